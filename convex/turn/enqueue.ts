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
};

/** Work to be done as soon as somebody has room, recorded together with the reason for it. */
export async function enqueue<K extends JobKind>(turn: Turn, work: Work<K>): Promise<Id<"jobs">> {
  const job = {
    ...work,
    rank: ranks[work.kind],
    state: "ready" as const,
    readyAt: turn.now,
    isDue: true,
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
