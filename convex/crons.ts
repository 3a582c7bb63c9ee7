import { cronJobs } from "convex/server";
import { internal } from "./_generated/api.js";

const crons = cronJobs();

// Behind the scheduled calls, which do the same in time when nothing goes wrong.
crons.interval("give up silent workers and wake overdue jobs", { minutes: 1 }, internal.workers.check, {});
crons.interval("fire overdue schedules and end silent sessions", { minutes: 1 }, internal.schedules.check, {});
crons.interval("wake overdue runs", { minutes: 1 }, internal.runs.check, {});
crons.interval("end rented machines that nobody ends", { minutes: 1 }, internal.machines.reap, {});
crons.interval("look through the accounts where machines are rented", { minutes: 5 }, internal.gpuSweeps.due, {});
crons.interval("rent machines for what waits, or let them go", { seconds: 30 }, internal.scaling.tick, {});
crons.interval("hold the bills of providers against what is known", { hours: 1 }, internal.gpuBills.due, {});
crons.interval("copy registries that are turned on", { hours: 1 }, internal.registries.copyDue, {});
crons.interval("sweep old jobs and events", { minutes: 10 }, internal.upkeep.sweep, {});
crons.interval("throw away uploads nobody claimed", { hours: 6 }, internal.upkeep.sweepUploads, {});

export default crons;
