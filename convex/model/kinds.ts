import { v, type Infer } from "convex/values";

/**
 * Every kind of work Nika can do, with what it takes: the contract between who enqueues and who does. A kind is a wire name, and
 * the path of its function: `documents.ingest` lives in `functions/documents/ingest.ts`. Add or alias, never rename.
 */
export const kinds = {
  "documents.ingest": v.object({ documentId: v.id("documents") }),
  "documents.forget": v.object({ documentId: v.id("documents") }),
} as const;

export type JobKind = keyof typeof kinds;
export type JobArgs<K extends JobKind> = Infer<(typeof kinds)[K]>;

/** A job's kind and arguments as they are stored; the pair was checked when it was enqueued. */
export const vKind = v.union(v.literal("documents.ingest"), v.literal("documents.forget"));
export const vArgs = v.union(...Object.values(kinds));

/** Jobs of a lower rank go first: what somebody just asked for is not kept waiting by a thousand files. */
export const ranks: Record<JobKind, number> = { "documents.forget": 0, "documents.ingest": 1 };
