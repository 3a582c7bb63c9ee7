import { v, type Infer } from "convex/values";

/** What an owner wants to be told. A wire name: add, never rename. */
export const vEventType = v.union(
  v.literal("documentReady"),
  v.literal("documentUnreadable"),
  v.literal("documentForgotten"),
  v.literal("contradictionFound"),
  v.literal("jobDead"),
  v.literal("workerLost"),
  v.literal("asked"),
  v.literal("scheduled"),
  v.literal("scheduleFailed"),
  v.literal("functionFailed"),
  v.literal("toolChanged"),
  v.literal("serverFailed"),
  v.literal("runFailed"),
  v.literal("runParked"),
  v.literal("runAsks"),
  v.literal("machineLeaks"),
  v.literal("gpuJobEnded"),
  v.literal("budgetWarning"),
  v.literal("billTooHigh"),
  v.literal("modelTrained"),
);
export type EventType = Infer<typeof vEventType>;

export const vEventView = v.object({
  id: v.id("events"),
  at: v.number(),
  type: vEventType,
  /** What it is about: a document, a worker, or the question itself. */
  name: v.string(),
  /** One English sentence; a page that speaks another language goes by `type` and `name`. */
  text: v.string(),
  documentId: v.optional(v.id("documents")),
});
export type EventView = Infer<typeof vEventView>;

/** Events are kept for a week, and no more than this many. */
export const eventsKeptMax = 1_000;
export const eventsKeptMs = 7 * 24 * 3_600_000;
