/** Documents handed in together: how far they are, what is in them, and whether they count. */
import { v, type Infer } from "convex/values";
import { documentStates, vProblem, type DocumentState } from "./document.ts";

export const vBatchOrigin = v.union(v.literal("command"), v.literal("page"), v.literal("watch"));
export type BatchOrigin = Infer<typeof vBatchOrigin>;

/** What documents of a batch are summed up by. */
export const groupings = ["type", "language", "theme", "folder", "format", "problem"] as const;
export type Grouping = (typeof groupings)[number];
export const vGrouping = v.union(...groupings.map((by) => v.literal(by)));

/** By these the owner may accept or reject, and change what documents are filed under. */
export const vDecidable = v.union(v.literal("type"), v.literal("language"), v.literal("theme"), v.literal("folder"));
export const vOnly = v.object({ by: vDecidable, value: v.string() });
export type Only = Infer<typeof vOnly>;

/** The owner's word on what waits, while it is being carried out. */
export const vDecision = v.object({ isAccepted: v.boolean(), only: v.optional(vOnly) });
export type Decision = Infer<typeof vDecision>;

const stateSums = Object.fromEntries(documentStates.map((state) => [state, v.number()])) as Record<
  DocumentState,
  ReturnType<typeof v.number>
>;

/** How many documents stand where, and what they add up to. Documents that are gone are in none of them. */
export const vBatchSums = v.object({
  ...stateSums,
  /** Bytes of all of them, and of those that are dealt with. */
  sizeBytes: v.number(),
  doneBytes: v.number(),
  passages: v.number(),
  /** Files whose bytes Nika had already. */
  known: v.number(),
});
export type BatchSums = Infer<typeof vBatchSums>;

export const noSums: BatchSums = {
  waiting: 0,
  reading: 0,
  staged: 0,
  ready: 0,
  unreadable: 0,
  replaced: 0,
  forgetting: 0,
  sizeBytes: 0,
  doneBytes: 0,
  passages: 0,
  known: 0,
};

/** How much was done when; the rate is what lies between the first and the last. */
export const vSample = v.object({ at: v.number(), documents: v.number(), bytes: v.number() });
export type Sample = Infer<typeof vSample>;

/** Enough to smooth over a large file, and short enough to follow a change within a minute or two. */
const samplesMax = 12;
const sampleEveryMs = 5_000;

/** The samples with what is done now: the last one moves until it is old enough for another. */
export function sampled(samples: readonly Sample[], now: Sample): Sample[] {
  const last = samples.at(-1);
  const before = samples.at(-2);
  if (last && before && last.at - before.at < sampleEveryMs) return [...samples.slice(0, -1), now];
  return [...samples, now].slice(-samplesMax);
}

export type Pace = { readonly documentsPerSecond: number; readonly bytesPerSecond: number; readonly leftMs: number | undefined };

/** How fast it goes, and how long the rest takes at that; undefined before there is anything to tell by. */
export function paceOf(samples: readonly Sample[], sums: BatchSums): Pace | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at <= first.at) return undefined;
  const seconds = (last.at - first.at) / 1_000;
  const documentsPerSecond = (last.documents - first.documents) / seconds;
  const bytesPerSecond = (last.bytes - first.bytes) / seconds;
  const leftDocuments = sums.waiting + sums.reading;
  if (leftDocuments === 0 || documentsPerSecond <= 0) return { documentsPerSecond, bytesPerSecond, leftMs: undefined };
  // A few large files at the end take longer than their number says, many small ones longer than their bytes say.
  const byBytes = bytesPerSecond > 0 ? (sums.sizeBytes - sums.doneBytes) / bytesPerSecond : 0;
  return { documentsPerSecond, bytesPerSecond, leftMs: 1_000 * Math.max(leftDocuments / documentsPerSecond, byBytes) };
}

/** Documents that have been dealt with, one way or another. */
export const doneOf = (sums: BatchSums): number => sums.staged + sums.ready + sums.unreadable + sums.replaced;
export const totalOf = (sums: BatchSums): number => doneOf(sums) + sums.waiting + sums.reading;

/** In a word where a batch stands. `adding`: more files may come. `review`: it waits for the owner's word. */
export const vBatchState = v.union(
  v.literal("adding"),
  v.literal("reading"),
  v.literal("paused"),
  v.literal("deciding"),
  v.literal("review"),
  v.literal("done"),
  v.literal("cancelled"),
);
export type BatchState = Infer<typeof vBatchState>;

export function batchState(
  batch: { isClosed: boolean; isPaused: boolean; isCancelled: boolean; decision?: Decision | undefined },
  sums: BatchSums,
): BatchState {
  if (batch.isCancelled) return "cancelled";
  if (batch.decision) return "deciding";
  if (batch.isPaused) return "paused";
  if (sums.waiting + sums.reading > 0) return "reading";
  if (!batch.isClosed) return "adding";
  return sums.staged > 0 ? "review" : "done";
}

/** A batch as the owner sees it. Times are milliseconds since 1970. */
export const vBatchView = v.object({
  id: v.id("batches"),
  label: v.string(),
  origin: vBatchOrigin,
  isReviewed: v.boolean(),
  state: vBatchState,
  addedAt: v.number(),
  sums: vBatchSums,
  samples: v.array(vSample),
  endedAt: v.optional(v.number()),
});
export type BatchView = Infer<typeof vBatchView>;

export const vGroupView = v.object({
  by: vGrouping,
  value: v.string(),
  documents: v.number(),
  sizeBytes: v.number(),
  /** Of these, how many wait for the owner's word. */
  staged: v.number(),
});
export type GroupView = Infer<typeof vGroupView>;

/** What is in a batch: the largest groups of each sort, and some of the files that could not be read. */
export const vBatchSummary = v.object({
  batch: vBatchView,
  groups: v.array(vGroupView),
  failures: v.array(v.object({ id: v.id("documents"), name: v.string(), problem: vProblem, message: v.string() })),
});
export type BatchSummary = Infer<typeof vBatchSummary>;
