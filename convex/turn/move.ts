/** The one place where a job's row changes state: row, counts, wake-up and what it means for its document, in one transaction. */
import { internal } from "../_generated/api.js";
import type { Doc } from "../_generated/dataModel.js";
import { claimed, isOpen, noted, parkedUntil, type JobStep, type Outcome, type Terms } from "../model/job.ts";
import { policyOf } from "../model/lane.ts";
import { jobEnded, jobMoved } from "./document.ts";
import { invocationEnded } from "./invocation.ts";
import { occurrenceEnded } from "./occurrence.ts";
import { findOpen, leaseOf, wakeAt, type Holder } from "./enqueue.ts";
import { enter, inLine, leave } from "./gate.ts";
import type { Turn } from "./guard.ts";

type Job = Doc<"jobs">;

/** What its next wait depends on. */
export const termsOf = (job: Job): Terms => ({ chance: Math.random(), attemptsMax: policyOf(job.kind).attemptsMax });

/** Takes the job out of whoever's hands it is in: back to the queue, or ended. */
export async function moveJob(turn: Turn, job: Job, { event, ...step }: JobStep, outcome?: Outcome): Promise<void> {
  const {
    lease: _lease,
    cancelAsked: _asked,
    progress: _progress,
    error: _error,
    endedAt: _endedAt,
    isParked: _parked,
    isGated: _gated,
    ...kept
  } = job;
  const isReady = step.state === "ready";
  const hasEnded = !isOpen(step.state);
  turn.tally.add("jobs", job.state, -1);
  await leave(turn, job);
  if (step.state === "done" && !policyOf(job.kind).isKept) {
    await turn.db.delete(job._id);
  } else {
    turn.tally.add("jobs", step.state, 1);
    const isPast = isReady && step.readyAt <= turn.now;
    const wait = isPast && !(await enter(turn, job)) ? inLine : { isDue: isPast };
    const history = event && noted(job.history, event);
    await turn.db.replace(job._id, {
      ...kept,
      ...step,
      ...wait,
      ...(history && { history }),
      ...(hasEnded && { endedAt: turn.now }),
    });
    if (isReady && !isPast) await wakeAt(turn, job, step.readyAt);
  }
  if (hasEnded) await end(turn, job, step, outcome);
  else {
    await claimKey(turn, job);
    await jobMoved(turn, job, "ready");
  }
}

async function end(turn: Turn, job: Job, step: JobStep, outcome?: Outcome): Promise<void> {
  if (job.uniqueKey !== undefined) {
    const open = await findOpen(turn, job.kind, job.uniqueKey);
    if (open?.jobId === job._id) await turn.db.delete(open._id);
  }
  // In a call of its own, since what follows for the run moves jobs itself.
  if (job.kind === "runs.advance" && "runId" in job.args && step.state !== "done")
    await turn.scheduler.runAfter(0, internal.runs.advanceEnded, { ...job.args, jobId: job._id, isDead: step.state === "dead" });
  if (job.kind === "schedules.run") await occurrenceEnded(turn, job, step, outcome);
  else if (job.kind === "functions.invoke") await invocationEnded(turn, job, step, outcome);
  else await jobEnded(turn, job, step, outcome);
}

/** An ended job that is open again has its key again; who moves it has looked that nobody else has. */
async function claimKey(turn: Turn, job: Job): Promise<void> {
  if (isOpen(job.state) || job.uniqueKey === undefined) return;
  await turn.db.insert("uniques", { kind: job.kind, key: job.uniqueKey, jobId: job._id });
}

/** Gives the job to a worker. */
export async function leaseJob(turn: Turn, job: Job, worker: Holder): Promise<Job> {
  const step = claimed(job, turn.now);
  const leased: Job = { ...job, ...step, isDue: false, lease: leaseOf(turn, worker), startedAt: turn.now };
  turn.tally.add("jobs", job.state, -1);
  turn.tally.add("jobs", step.state, 1);
  await turn.db.replace(job._id, leased);
  await jobMoved(turn, job, "leased");
  return leased;
}

/** Nothing but its doors keeps it from being worked on any more. */
export async function becomeDue(turn: Turn, job: Job): Promise<void> {
  const isThrough = await enter(turn, job);
  await turn.db.patch(job._id, { isParked: undefined, ...(isThrough ? { isDue: true, readyAt: turn.now } : inLine) });
}

/** Its batch is held up, so it waits for that and not for a time. */
export async function parkJob(turn: Turn, job: Job): Promise<void> {
  await leave(turn, job);
  await turn.db.patch(job._id, { isDue: false, isParked: true, isGated: undefined, readyAt: parkedUntil });
}

/** Its batch goes on. */
export async function unparkJob(turn: Turn, job: Job): Promise<void> {
  await becomeDue(turn, job);
}
