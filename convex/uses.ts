/**
 * How searches are used, so that Nika can learn from it. Nothing is kept before the owner said of which documents; he may change that, and
 * have all of it erased, at any time.
 */
import { paginationOptsValidator } from "convex/server";
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { QueryCtx } from "./_generated/server.js";
import { questionCharsMax } from "./model/answer.ts";
import { NikaError } from "./model/error.ts";
import {
  isKey,
  scopesKnown,
  shownMax,
  toSession,
  vLearning,
  vPassageName,
  vReactionType,
  vUse,
  type PassageName,
  type ReactionType,
} from "./model/use.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { readTally } from "./turn/tally.ts";
import { dropComparisons, dropUse, dropWritten, forgetUsesOf } from "./turn/use.ts";

const batchMax = 100; // One short transaction; the rest follows in the next.

/** What may be learned from, and how much there is. */
export const get = ownerQuery({
  args: {},
  returns: vLearning,
  handler: async (ctx) => {
    const count = await readTally(ctx.db, "uses");
    return { scopes: await scopesOf(ctx), questions: count("question"), reactions: count("reaction") };
  },
});

/** From now on the use of documents of these scopes is remembered; of none, nothing is. What was remembered stays: see `erase`. */
export const allow = ownerMutation({
  args: { scopes: v.array(v.string()) },
  returns: v.null(),
  handler: async (turn, { scopes }) => {
    const unknown = scopes.find((scope) => !(scopesKnown as readonly string[]).includes(scope));
    if (unknown !== undefined)
      throw new NikaError("invalid", `There is no scope "${unknown.slice(0, 40)}"; there are ${scopesKnown.join(", ")}.`);
    const row = await turn.db.query("learning").first();
    if (row) await turn.db.patch(row._id, { scopes: [...new Set(scopes)] });
    else await turn.db.insert("learning", { scopes: [...new Set(scopes)] });
    return null;
  },
});

/** Forgets every question and what was done with its answers. */
export const erase = ownerMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    await turn.scheduler.runAfter(0, internal.uses.eraseSome, {});
    return null;
  },
});

/** What a forgotten document answered is about it, and goes too. */
export const forget = systemMutation({
  args: { documentId: v.string() },
  returns: v.null(),
  handler: async (turn, { documentId }) => {
    if (await forgetUsesOf(turn, documentId)) await turn.scheduler.runAfter(0, internal.uses.forget, { documentId });
    return null;
  },
});

export const eraseSome = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    await dropComparisons(turn);
    const hasMore = await dropWritten(turn);
    const some = await turn.db.query("uses").withIndex("by_at").take(batchMax);
    for (const use of some) await dropUse(turn, use);
    if (hasMore || some.length === batchMax) await turn.scheduler.runAfter(0, internal.uses.eraseSome, {});
    return null;
  },
});

/** A question that was answered. Does nothing where nothing may be remembered, and the second time. */
export const record = systemMutation({
  args: { key: v.string(), session: v.string(), question: v.string(), shown: v.array(vPassageName) },
  returns: v.null(),
  handler: async (turn, { key, session, question, shown }) => {
    if (!isKey(key) || (await scopesOf(turn)).length === 0 || (await find(turn, key))) return null;
    turn.tally.add("uses", "question", 1);
    await turn.db.insert("uses", {
      key,
      at: turn.now,
      session: toSession(session),
      question: question.slice(0, questionCharsMax),
      shown: shown.slice(0, shownMax).map(({ documentId, ordinal }) => ({ documentId, ordinal })),
    });
    return null;
  },
});

/** What the owner did with a passage. Of what is not remembered, or was not shown, nothing is kept, and nobody is told off for it. */
export const react = ownerMutation({
  args: { key: v.string(), type: vReactionType, ...vPassageName.fields },
  returns: v.null(),
  handler: async (turn, { key, type, documentId, ordinal }) => note(turn, key, type, { documentId, ordinal }),
});

/** The same for what the appliance sees itself. */
export const reacted = systemMutation({
  args: { key: v.string(), type: vReactionType, ...vPassageName.fields },
  returns: v.null(),
  handler: async (turn, { key, type, documentId, ordinal }) => note(turn, key, type, { documentId, ordinal }),
});

/** Oldest first, some at a time, for who makes a dataset of them. */
export const page = systemQuery({
  args: { paginationOpts: paginationOptsValidator },
  returns: v.object({ uses: v.array(vUse), cursor: v.union(v.string(), v.null()) }),
  handler: async (ctx, { paginationOpts }) => {
    const { page: rows, isDone, continueCursor } = await ctx.db.query("uses").withIndex("by_at").paginate(paginationOpts);
    const uses = rows.map(async ({ _id, key, at, session, question, shown }) => {
      const reactions = await ctx.db
        .query("reactions")
        .withIndex("by_use", (q) => q.eq("useId", _id))
        .take(shownMax);
      return {
        key,
        at,
        session,
        question,
        shown,
        reactions: reactions.map(({ type, at: when, documentId, ordinal }) => ({ type, at: when, documentId, ordinal })),
      };
    });
    return { uses: await Promise.all(uses), cursor: isDone ? null : continueCursor };
  },
});

/** For who makes a dataset: whose use may be learned from. */
export const allowed = systemQuery({ args: {}, returns: v.array(v.string()), handler: (ctx) => scopesOf(ctx) });

async function note(turn: Turn, key: string, type: ReactionType, { documentId, ordinal }: PassageName): Promise<null> {
  const use = isKey(key) ? await find(turn, key) : null;
  if (!use?.shown.some((one) => one.documentId === documentId && one.ordinal === ordinal)) return null;
  const mine = await turn.db
    .query("reactions")
    .withIndex("by_use", (q) => q.eq("useId", use._id))
    .take(shownMax);
  const same = mine.filter((one) => one.documentId === documentId && one.ordinal === ordinal);
  if (same.some((one) => one.type === type) || mine.length === shownMax) return null;
  // The last word of two that contradict each other counts.
  const opposite = type === "liked" ? "disliked" : type === "disliked" ? "liked" : undefined;
  for (const one of same) {
    if (one.type !== opposite) continue;
    turn.tally.add("uses", "reaction", -1);
    await turn.db.delete(one._id);
  }
  turn.tally.add("uses", "reaction", 1);
  await turn.db.insert("reactions", { useId: use._id, at: turn.now, type, documentId, ordinal });
  return null;
}

const find = (ctx: QueryCtx | Turn, key: string) =>
  ctx.db
    .query("uses")
    .withIndex("by_key", (q) => q.eq("key", key))
    .unique();

const scopesOf = async (ctx: QueryCtx | Turn): Promise<string[]> => (await ctx.db.query("learning").first())?.scopes ?? [];
