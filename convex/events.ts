/** What the owner wants to be told. */
import { v } from "convex/values";
import { vEventType, vEventView } from "./model/event.ts";
import { NikaError } from "./model/error.ts";
import { record as recordEvent } from "./turn/event.ts";
import { ownerQuery, systemMutation } from "./turn/guard.ts";

const listedMax = 200;

/** Newest first. */
export const list = ownerQuery({
  args: { limit: v.optional(v.number()) },
  returns: v.array(vEventView),
  handler: async (ctx, { limit = 50 }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > listedMax) {
      throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
    }
    const events = await ctx.db.query("events").withIndex("by_at").order("desc").take(limit);
    return events.map(({ _id, at, type, name, text, documentId }) => ({
      id: _id,
      at,
      type,
      name,
      text,
      ...(documentId && { documentId }),
    }));
  },
});

/** For what happened outside any job. */
export const record = systemMutation({
  args: { type: vEventType, name: v.string(), text: v.string(), documentId: v.optional(v.id("documents")) },
  returns: v.null(),
  handler: async (turn, { type, name, text, documentId }) => {
    await recordEvent(turn, { type, name, text, ...(documentId && { documentId }) });
    return null;
  },
});
