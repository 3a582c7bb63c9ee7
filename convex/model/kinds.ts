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
