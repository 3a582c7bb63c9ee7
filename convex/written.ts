/** Questions and wrong answers that a language model wrote about passages. They go with their document, and with all that is remembered. */
import { paginationOptsValidator } from "convex/server";
import { v } from "convex/values";
import { vWritten } from "./model/written.ts";
import { systemMutation, systemQuery } from "./turn/guard.ts";

/** All that was written until `until`, some at a time. */
export const page = systemQuery({
  args: { until: v.number(), paginationOpts: paginationOptsValidator },
  returns: v.object({ written: v.array(vWritten), cursor: v.union(v.string(), v.null()) }),
  handler: async (ctx, { until, paginationOpts }) => {
    const {
      page: rows,
      isDone,
      continueCursor,
    } = await ctx.db
      .query("written")
      .withIndex("by_at", (q) => q.lte("at", until))
      .paginate(paginationOpts);
    const written = rows.map(({ _id, _creationTime, at: _at, ...one }) => one);
    return { written, cursor: isDone ? null : continueCursor };
  },
});

/** Keeps what was written for a training of `at`. Of a passage that was written about since, the newer stays. */
export const keep = systemMutation({
  args: { at: v.number(), written: v.array(vWritten) },
  returns: v.null(),
  handler: async (turn, { at, written }) => {
    for (const one of written) {
      const known = await turn.db
        .query("written")
        .withIndex("by_documentId", (q) => q.eq("documentId", one.documentId).eq("ordinal", one.ordinal))
        .first();
      if (known) await turn.db.delete(known._id);
      // A document that was forgotten meanwhile is not to be quoted.
      const id = turn.db.normalizeId("documents", one.documentId);
      if (id && (await turn.db.get(id))) await turn.db.insert("written", { at, ...one });
    }
    return null;
  },
});
