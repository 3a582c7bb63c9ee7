import type { WithoutSystemFields } from "convex/server";
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { claimed, parkedUntil } from "../model/job.ts";
import type { JobArgs, JobKind } from "../model/kinds.ts";
import { gatesOf, policyOf, type Gate, type Lane } from "../model/lane.ts";
import { enter, inLine } from "./gate.ts";
import type { Turn } from "./guard.ts";

export type Work<K extends JobKind> = {
  readonly kind: K;
  readonly args: JobArgs<K>;
  /** What it is about, for people. */
  readonly label: string;
  readonly documentId?: Id<"documents">;
  readonly batchId?: Id<"batches">;
  /** What its kind says unless it is given. */
  readonly lane?: Lane;
  /** Within its lane a lower rank goes first. */
  readonly rank?: number;
  /** Not before then. */
  readonly runAt?: number;
  /** Of those with the same key one is worked on at a time. */
  readonly key?: string;
  /** Further doors. */
  readonly gates?: readonly Gate[];
  /** While one of the same kind and key is open, that one is meant. */
  readonly uniqueKey?: string;
};

export type Holder = { readonly id: Id<"workers">; readonly epoch: number; readonly token: string };
export type Enqueued = {
  readonly jobId: Id<"jobs">;
  readonly isNew: boolean;
  readonly isDue: boolean;
  readonly isLeased: boolean;
};

/** Work to be done as soon as somebody has room, recorded together with the reason for it. */
export async function enqueue<K extends JobKind>(turn: Turn, work: Work<K>): Promise<Id<"jobs">> {
  return (await place(turn, work)).jobId;
}

/**
 * The same, with what became of it. A `holder` has room and nothing older to do: it gets the job at once, unless something stands in its
 * way.
 */
export async function place<K extends JobKind>(turn: Turn, work: Work<K>, holder?: Holder): Promise<Enqueued> {
  const { kind, args, label, documentId, batchId, uniqueKey } = work;
  const open = uniqueKey === undefined ? null : await findOpen(turn, kind, uniqueKey);
  if (open) return { jobId: open.jobId, isNew: false, isDue: false, isLeased: false };
  const policy = policyOf(kind);
  const isParked = batchId !== undefined && (await isHeldUp(turn, batchId));
  const readyAt = isParked ? parkedUntil : Math.max(turn.now, work.runAt ?? 0);
  const isDue = readyAt <= turn.now;
  const gates = gatesOf(kind, work);
  const isLeased = holder !== undefined && isDue && gates.length === 0;
  const fresh = { state: "ready" as const, attempts: 0, deaths: 0 };
  const job: WithoutSystemFields<Doc<"jobs">> = {
    kind,
    args,
    label,
    ...(documentId && { documentId }),
    ...(batchId && { batchId }),
    ...(uniqueKey !== undefined && { uniqueKey }),
    ...(gates.length > 0 && { gates }),
    ...(isParked && { isParked }),
    lane: work.lane ?? policy.lane,
    rank: work.rank ?? policy.rank,
    readyAt,
    isDue: isDue && !isLeased,
    ...fresh,
    ...(isLeased && { ...claimed(fresh, turn.now), lease: leaseOf(turn, holder), startedAt: turn.now }),
  };
  turn.tally.add("jobs", job.state, 1);
  const jobId = await turn.db.insert("jobs", job);
  if (uniqueKey !== undefined) await turn.db.insert("uniques", { kind, key: uniqueKey, jobId });
  if (!isDue && !isParked) await wakeAt(turn, { _id: jobId }, readyAt);
  if (!isDue || gates.length === 0) return { jobId, isNew: true, isDue: job.isDue, isLeased };
  const isThrough = await enter(turn, { _id: jobId, gates, rank: job.rank });
  if (!isThrough) await turn.db.patch(jobId, inLine);
  return { jobId, isNew: true, isDue: isThrough, isLeased: false };
}

export const leaseOf = (turn: Turn, { id, epoch, token }: Holder): NonNullable<Doc<"jobs">["lease"]> => ({
  workerId: id,
  epoch,
  token,
  startedAt: turn.now,
});

/** The delayed job becomes visible to workers at its time; `workers.check` stands behind this, should the call be lost. */
export async function wakeAt(turn: Turn, job: { readonly _id: Id<"jobs"> }, at: number): Promise<void> {
  await turn.scheduler.runAt(at, internal.jobs.wake, { jobId: job._id });
}

/** The open job of that key. */
export const findOpen = (turn: Turn, kind: JobKind, key: string): Promise<Doc<"uniques"> | null> =>
  turn.db
    .query("uniques")
    .withIndex("by_key", (q) => q.eq("kind", kind).eq("key", key))
    .unique();

/** No job of it may begin: the owner paused it, or it is being decided what of it counts. */
export async function isHeldUp(turn: Turn, batchId: Id<"batches">): Promise<boolean> {
  const batch = await turn.db.get(batchId);
  return batch !== null && (batch.isPaused || batch.decision !== undefined);
}
