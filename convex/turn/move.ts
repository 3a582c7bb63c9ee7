/** The one place where a job's row changes state: row, counts, wake-up and what it means for its document, in one transaction. */
import type { Doc, Id } from "../_generated/dataModel.js";
import { claimed, isOpen, type JobStep, type Outcome } from "../model/job.ts";
import { jobEnded, jobMoved } from "./document.ts";
import { occurrenceEnded } from "./occurrence.ts";
import { parkedUntil, wakeAt } from "./enqueue.ts";
import type { Turn } from "./guard.ts";

type Job = Doc<"jobs">;

/** Takes the job out of whoever's hands it is in: back to the queue, or ended. */
export async function moveJob(turn: Turn, job: Job, step: JobStep, outcome?: Outcome): Promise<void> {
  const {
    lease: _lease,
    cancelAsked: _asked,
    progress: _progress,
    error: _error,
    endedAt: _endedAt,
    isParked: _parked,
    ...kept
  } = job;
  const isReady = step.state === "ready";
  const isDue = isReady && step.readyAt <= turn.now;
  const hasEnded = !isOpen(step.state);
  count(turn, job, step);
  await turn.db.replace(job._id, { ...kept, ...step, isDue, ...(hasEnded && { endedAt: turn.now }) });
  if (isReady && !isDue) await wakeAt(turn, job, step.readyAt);
  if (hasEnded && job.kind === "schedules.run") await occurrenceEnded(turn, job, step, outcome);
  else if (hasEnded) await jobEnded(turn, job, step, outcome);
  else await jobMoved(turn, job, "ready");
}

/** Gives the job to a worker. */
export async function leaseJob(turn: Turn, job: Job, worker: { id: Id<"workers">; epoch: number; token: string }): Promise<Job> {
  const step = claimed(job, turn.now);
  const lease = { workerId: worker.id, epoch: worker.epoch, token: worker.token, startedAt: turn.now };
  const leased: Job = { ...job, ...step, isDue: false, lease, startedAt: turn.now };
  count(turn, job, step);
  await turn.db.replace(job._id, leased);
  await jobMoved(turn, job, "leased");
  return leased;
}

/** Its batch is held up, so it waits for that and not for a time. */
export async function parkJob(turn: Turn, job: Job): Promise<void> {
  await turn.db.patch(job._id, { isDue: false, isParked: true, readyAt: parkedUntil });
}

/** Its batch goes on. */
export async function unparkJob(turn: Turn, job: Job): Promise<void> {
  await turn.db.patch(job._id, { isDue: true, isParked: undefined, readyAt: turn.now });
}

function count(turn: Turn, job: Job, step: JobStep): void {
  turn.tally.add("jobs", job.state, -1);
  turn.tally.add("jobs", step.state, 1);
}
