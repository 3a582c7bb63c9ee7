import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { ranks, type JobArgs, type JobKind } from "../model/kinds.ts";
import type { Turn } from "./guard.ts";

export type Work<K extends JobKind> = {
  readonly kind: K;
  readonly args: JobArgs<K>;
  /** What it is about, for people. */
  readonly label: string;
  readonly documentId?: Id<"documents">;
  readonly batchId?: Id<"batches">;
};

/** A parked job waits for its batch and for no time. */
export const parkedUntil = Number.MAX_SAFE_INTEGER;

/** Work to be done as soon as somebody has room, recorded together with the reason for it. */
export async function enqueue<K extends JobKind>(turn: Turn, work: Work<K>): Promise<Id<"jobs">> {
  const isParked = work.batchId !== undefined && (await isHeldUp(turn, work.batchId));
  const job = {
    ...work,
    rank: ranks[work.kind],
    state: "ready" as const,
    ...(isParked ? { readyAt: parkedUntil, isDue: false, isParked } : { readyAt: turn.now, isDue: true }),
    attempts: 0,
    deaths: 0,
  };
  turn.tally.add("jobs", "ready", 1);
  return turn.db.insert("jobs", job);
}

/** The delayed job becomes visible to workers at its time; `workers.check` stands behind this, should the call be lost. */
export async function wakeAt(turn: Turn, job: Doc<"jobs">, at: number): Promise<void> {
  await turn.scheduler.runAt(at, internal.jobs.wake, { jobId: job._id });
}

/** No job of it may begin: the owner paused it, or it is being decided what of it counts. */
export async function isHeldUp(turn: Turn, batchId: Id<"batches">): Promise<boolean> {
  const batch = await turn.db.get(batchId);
  return batch !== null && (batch.isPaused || batch.decision !== undefined);
}
