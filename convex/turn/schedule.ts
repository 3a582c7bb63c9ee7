/** A schedule's times as work: begun when they come or at a word, stopped when the schedule is another one or none. */
import type { Doc, Id } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import { isOpen } from "../model/job.ts";
import { wishOf } from "../model/schedule.ts";
import { scheduledInput } from "../model/userFunction.ts";
import { enqueue } from "./enqueue.ts";
import type { Turn } from "./guard.ts";
import { beginInvocation, findFunction } from "./invocation.ts";
import { moveJob } from "./move.ts";
import { dropOccurrences, endOccurrence, note, noteSaid, trim } from "./occurrence.ts";
import { cancelRun, startRun } from "./run.ts";

type Schedule = Doc<"schedules">;

const openMax = 200;

/** Fails with `missing`. */
export async function mustGetSchedule(turn: Turn, id: Id<"schedules">): Promise<Schedule> {
  const schedule = await turn.db.get(id);
  if (!schedule) throw new NikaError("missing", "There is no such schedule.");
  return schedule;
}

/** Has it done, unless it was already, or the time before is still being worked on and that is to have its peace. */
export async function begin(turn: Turn, schedule: Schedule, { at, isLate }: { at: number; isLate: boolean }): Promise<void> {
  const same = await turn.db
    .query("occurrences")
    .withIndex("by_schedule", (q) => q.eq("scheduleId", schedule._id).eq("at", at))
    .first();
  if (same) return;
  if (schedule.action.type === "remind") {
    // To remind is to write it down here: that waits for no worker, nothing can come between, and a thousand at one instant are soon told.
    await noteSaid(turn, schedule, { at, isLate, text: wishOf(schedule) });
    await trim(turn, schedule);
    return;
  }
  const running = schedule.overlap === "queue" ? [] : await openOnes(turn, schedule._id);
  if (running.length > 0 && schedule.overlap === "skip") {
    await note(turn, schedule, { at, state: "skipped" });
    return;
  }
  for (const occurrence of running) await stop(turn, occurrence);
  const occurrenceId = await turn.db.insert("occurrences", {
    scheduleId: schedule._id,
    version: schedule.version,
    at,
    state: "open",
    isLate,
  });
  if (schedule.action.type === "function") {
    await beginFunction(turn, schedule, { at, occurrenceId, name: schedule.action.name });
    await trim(turn, schedule);
    return;
  }
  if (schedule.action.type === "run") {
    const { tasks, isInTurn } = schedule.action;
    const args = JSON.stringify({ name: schedule.name, tasks, isInTurn });
    const runId = await startRun(turn, { name: "schedules.tasks", label: schedule.name, args, occurrenceId });
    await turn.db.patch(occurrenceId, { runId });
    return trim(turn, schedule);
  }
  const jobId = await enqueue(turn, { kind: "schedules.run", args: { occurrenceId }, label: schedule.name });
  await turn.db.patch(occurrenceId, { jobId });
  await trim(turn, schedule);
}

type FunctionTime = { readonly at: number; readonly occurrenceId: Id<"occurrences">; readonly name: string };

/** The run is a job of its own, with the tries and the doors of that function; this time ends with it. */
async function beginFunction(turn: Turn, schedule: Schedule, { at, occurrenceId, name }: FunctionTime): Promise<void> {
  const input = scheduledInput(schedule.prompt, at);
  if (!(await findFunction(turn, name))) {
    const said = `There is no function called ${name} any more.`;
    return endOccurrence(turn, occurrenceId, { state: "failed", name: schedule.name, said });
  }
  const { jobId } = await beginInvocation(turn, { name, trigger: "schedule", input, occurrenceId });
  await turn.db.patch(occurrenceId, { jobId });
}

/** It is done once more right now. Fails with `invalid` when it is the machine that does it. */
export async function startNow(turn: Turn, id: Id<"schedules">): Promise<void> {
  const schedule = await mustGetSchedule(turn, id);
  if (schedule.backend === "host")
    throw new NikaError("invalid", `The machine runs that one: \`nika host run ${id} --now\` does it at once.`);
  await begin(turn, schedule, { at: turn.now, isLate: false });
}

/** Takes it away, with what is left of it to do and what is known of its past. */
export async function dropSchedule(turn: Turn, schedule: Schedule): Promise<void> {
  await withdraw(turn, schedule);
  await turn.db.delete(schedule._id);
  await dropOccurrences(turn, schedule._id);
}

/** The schedule is another one now, or none: what still waits or runs of it is stopped. */
export async function withdraw(turn: Turn, schedule: Schedule): Promise<void> {
  for (const occurrence of await openOnes(turn, schedule._id)) await stop(turn, occurrence);
}

async function openOnes(turn: Turn, scheduleId: Id<"schedules">): Promise<Doc<"occurrences">[]> {
  return turn.db
    .query("occurrences")
    .withIndex("by_open", (q) => q.eq("scheduleId", scheduleId).eq("state", "open"))
    .take(openMax);
}

async function stop(turn: Turn, { jobId, runId }: Doc<"occurrences">): Promise<void> {
  const run = runId && (await turn.db.get(runId));
  if (run) return cancelRun(turn, run);
  const job = jobId && (await turn.db.get(jobId));
  if (!job || !isOpen(job.state)) return;
  if (job.state === "leased") await turn.db.patch(job._id, { cancelAsked: true });
  else await moveJob(turn, job, { state: "cancelled", readyAt: turn.now, attempts: job.attempts, deaths: job.deaths });
}
