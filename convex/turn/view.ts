import type { Doc } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import type { DocumentView } from "../model/document.ts";

/** A document as the owner sees it. */
export async function toView(ctx: QueryCtx, document: Doc<"documents">): Promise<DocumentView> {
  const { _id, name, state, sizeBytes, addedAt, readyAt, problem, reading, labels, version, batchId, parentId } = document;
  const job = state === "reading" && document.jobId ? await ctx.db.get(document.jobId) : null;
  return {
    id: _id,
    name,
    state,
    sizeBytes,
    addedAt,
    ...(readyAt !== undefined && { readyAt }),
    ...(problem && { problem }),
    ...(reading && { reading }),
    ...(job?.progress && { progress: job.progress }),
    ...(labels && { labels }),
    ...(version !== undefined && { version }),
    ...(batchId && { batchId }),
    ...(parentId && { parentId }),
  };
}
