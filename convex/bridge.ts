/** Messages to remote agents and what these say of them. Agents and their clients come through the appliance, which checks their tokens. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import {
  fromCursor,
  pulledMax,
  targetsMax,
  toCursor,
  tokensMax,
  toTarget,
  vMessageState,
  vMessageView,
  vQueueStatus,
  vSent,
  vTargetView,
  vUpdateView,
  vVerb,
  type MessageView,
  type TargetView,
  type UpdateView,
} from "./model/bridge.ts";
import { NikaError } from "./model/error.ts";
import { act, addTarget as addTargetRow, mustGetMessage, mustGetTarget, send as sendMessage } from "./turn/bridge.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

const listedMax = 200;
const droppedPerTurn = 200;

type Message = Doc<"bridgeMessages">;
type Target = Doc<"bridgeTargets">;

/** All of them, with how much waits for each. */
export const targets = ownerQuery({
  args: {},
  returns: v.array(vTargetView),
  handler: async (ctx) => Promise.all((await allTargets(ctx)).map((target) => toTargetView(ctx, target))),
});

/** Newest first; of one target, or of all. */
export const messages = ownerQuery({
  args: { target: v.optional(v.string()), limit: v.optional(v.number()) },
  returns: v.array(vMessageView),
  handler: async (ctx, { target, limit }) => {
    const count = checkedLimit(limit);
    const rows = ctx.db.query("bridgeMessages");
    const found =
      target === undefined
        ? rows.order("desc")
        : rows.withIndex("by_target", (q) => q.eq("target", toTarget(target))).order("desc");
    return (await found.take(count)).map(toView);
  },
});

/** Newest first; of one target, or of all. */
export const updates = ownerQuery({
  args: { target: v.optional(v.string()), limit: v.optional(v.number()) },
  returns: v.array(vUpdateView),
  handler: async (ctx, { target, limit }) => {
    const count = checkedLimit(limit);
    const rows = ctx.db.query("bridgeUpdates");
    const found =
      target === undefined ? rows.order("desc") : rows.withIndex("by_seq", (q) => q.eq("target", toTarget(target))).order("desc");
    return (await found.take(count)).map(toUpdateView);
  },
});

/** From the owner's page. */
export const send = ownerMutation({
  args: { target: v.string(), text: v.string(), isUrgent: v.optional(v.boolean()) },
  returns: vSent,
  handler: (turn, { target, text, isUrgent }) => sendMessage(turn, { target, text, isUrgent, from: "owner" }),
});

/** A queue of its own for one more agent; known already is fine. */
export const addTarget = ownerMutation({
  args: { name: v.string() },
  returns: v.string(),
  handler: async (turn, { name }) => (await addTargetRow(turn, name)).name,
});

/** With everything said to it and by it, and the tokens that were good for it alone. */
export const removeTarget = ownerMutation({
  args: { name: v.string() },
  returns: v.null(),
  handler: async (turn, { name }) => {
    const target = await mustGetTarget(turn, name);
    await turn.db.delete(target._id);
    for (const token of await turn.db.query("bridgeTokens").take(tokensMax))
      if (token.target === target.name) await turn.db.delete(token._id);
    await dropRows(turn, target.name);
    return null;
  },
});

/** The names of all, for whoever reads sentences. */
export const targetNames = systemQuery({
  args: {},
  returns: v.array(v.string()),
  handler: async (ctx) => (await allTargets(ctx)).map(({ name }) => name),
});

/** As `send`, for whoever the appliance let in. */
export const deliver = systemMutation({
  args: {
    target: v.optional(v.string()),
    text: v.string(),
    from: v.string(),
    isUrgent: v.optional(v.boolean()),
    replyTo: v.optional(v.string()),
    onceKey: v.optional(v.string()),
  },
  returns: vSent,
  handler: async (turn, { target, text, from, isUrgent, replyTo, onceKey }) => {
    const answered = replyTo === undefined ? undefined : await mustGetMessage(turn, replyTo, target);
    return sendMessage(turn, { target: target ?? answered?.target, text, from, isUrgent, replyTo: answered?._id, onceKey });
  },
});

const vPull = {
  consumer: v.string(),
  target: v.optional(v.string()),
  cursor: v.optional(v.string()),
  sinceAt: v.optional(v.number()),
};
type Pull = { consumer: string; target?: string; cursor?: string; sinceAt?: number };

/**
 * What is new to this consumer, oldest first: since its last pull, or since the cursor or time it names. Its place moves on with what it
 * was given; naming the cursor of an answer that did arrive gives again what was lost after it.
 */
export const pull = systemMutation({
  args: { ...vPull, limit: v.optional(v.number()) },
  returns: v.object({ updates: v.array(vUpdateView), cursor: v.string(), isMore: v.boolean() }),
  handler: async (turn, { limit = pulledMax, ...asked }) => {
    const places = await placesOf(turn, asked);
    const found: UpdateView[] = [];
    for (const { target, seq } of places) {
      const rows = await turn.db
        .query("bridgeUpdates")
        .withIndex("by_seq", (q) => q.eq("target", target.name).gt("seq", seq))
        .take(limit + 1);
      found.push(...rows.map(toUpdateView));
    }
    const sorted = found.toSorted((a, b) => a.createdAt - b.createdAt || a.target.localeCompare(b.target) || a.seq - b.seq);
    const given = sorted.slice(0, limit);
    const seen: Record<string, number> = {};
    for (const { target, seq } of places) {
      const reached = given.findLast((update) => update.target === target.name)?.seq ?? seq;
      seen[target.name] = reached;
      await advanceCursor(turn, asked.consumer, { target: target.name, seq: reached });
    }
    return { updates: given, cursor: toCursor(seen), isMore: sorted.length > limit };
  },
});

/** Whether a pull would find something: what a long wait watches. */
export const hasNews = systemQuery({
  args: vPull,
  returns: v.boolean(),
  handler: async (ctx, asked) => (await placesOf(ctx, asked)).some(({ target, seq }) => target.seq > seq),
});

/** Of one target, or over all. */
export const queueStatus = systemQuery({
  args: { target: v.optional(v.string()) },
  returns: vQueueStatus,
  handler: async (ctx, { target }) => {
    const asked = target === undefined ? await allTargets(ctx) : [await mustGetTarget(ctx, target)];
    const views = await Promise.all(asked.map((one) => toTargetView(ctx, one)));
    return {
      pending: sum(views, ({ counts }) => counts.pending),
      in_progress: sum(views, ({ counts }) => counts.in_progress),
      total_updates: sum(views, (view) => view.updates),
      current_task: views.find(({ currentTask }) => currentTask !== undefined)?.currentTask ?? null,
    };
  },
});

/**
 * What its agent is to look at next: urgent ones first, then in the order they were sent. `open` is what it took on and did not end,
 * for an agent that begins anew. It stays the next until the agent says something of it.
 */
export const next = systemQuery({
  args: { target: v.string(), isUrgentOnly: v.optional(v.boolean()) },
  returns: v.object({ message: v.union(vMessageView, v.null()), open: v.array(vMessageView) }),
  handler: async (ctx, { target: raw, isUrgentOnly = false }) => {
    const target = await mustGetTarget(ctx, raw);
    const inState = (state: Message["state"]) =>
      ctx.db.query("bridgeMessages").withIndex("by_queue", (q) => q.eq("target", target.name).eq("state", state));
    const first = await inState("pending").first();
    const open = [...(await inState("in_progress").take(listedMax)), ...(await inState("acknowledged").take(listedMax))];
    const message = first && (!isUrgentOnly || first.lane === 0) ? toView(first) : null;
    return { message, open: open.map(toView) };
  },
});

/** What an agent says of a message: without `target` it is the owner, who may speak for any. */
export const say = systemMutation({
  args: {
    verb: vVerb,
    messageId: v.optional(v.string()),
    target: v.optional(v.string()),
    text: v.optional(v.string()),
    key: v.optional(v.string()),
  },
  returns: v.object({ state: v.union(vMessageState, v.null()), seq: v.union(v.number(), v.null()), urgent: v.number() }),
  handler: (turn, { verb, messageId, target, text, key }) => act(turn, { verb, messageId, target, text, key }),
});

/** The rest of what a removed target left. */
export const drop = systemMutation({
  args: { target: v.string() },
  returns: v.null(),
  handler: async (turn, { target }) => {
    await dropRows(turn, target);
    return null;
  },
});

async function dropRows(turn: Turn, target: string): Promise<void> {
  const dropped = [
    ...(await turn.db
      .query("bridgeMessages")
      .withIndex("by_target", (q) => q.eq("target", target))
      .take(droppedPerTurn)),
    ...(await turn.db
      .query("bridgeUpdates")
      .withIndex("by_seq", (q) => q.eq("target", target))
      .take(droppedPerTurn)),
    ...(await turn.db
      .query("bridgeCursors")
      .withIndex("by_target", (q) => q.eq("target", target))
      .take(droppedPerTurn)),
  ];
  for (const { _id } of dropped) await turn.db.delete(_id);
  if (dropped.length >= droppedPerTurn) await turn.scheduler.runAfter(0, internal.bridge.drop, { target });
}

const allTargets = (ctx: QueryCtx | Turn): Promise<Target[]> => ctx.db.query("bridgeTargets").take(targetsMax);

/** From where each target's updates are new to the one who asks. */
async function placesOf(
  ctx: QueryCtx | Turn,
  { consumer, target, cursor, sinceAt }: Pull,
): Promise<{ readonly target: Target; readonly seq: number }[]> {
  const asked = target === undefined ? await allTargets(ctx) : [await mustGetTarget(ctx, target)];
  const named = cursor === undefined ? {} : fromCursor(cursor);
  return Promise.all(
    asked.map(async (one) => {
      // A cursor says nothing of targets that came after it.
      const told = sinceAt === undefined ? named[one.name] : await seqAt(ctx, one.name, sinceAt);
      return { target: one, seq: told ?? (await findCursor(ctx, consumer, one.name))?.seq ?? 0 };
    }),
  );
}

async function seqAt(ctx: QueryCtx | Turn, target: string, sinceAt: number): Promise<number> {
  const before = await ctx.db
    .query("bridgeUpdates")
    .withIndex("by_time", (q) => q.eq("target", target).lte("createdAt", sinceAt))
    .order("desc")
    .first();
  return before?.seq ?? 0;
}

const findCursor = (ctx: QueryCtx | Turn, consumer: string, target: string): Promise<Doc<"bridgeCursors"> | null> =>
  ctx.db
    .query("bridgeCursors")
    .withIndex("by_consumer", (q) => q.eq("consumer", consumer).eq("target", target))
    .unique();

async function advanceCursor(turn: Turn, consumer: string, { target, seq }: { target: string; seq: number }): Promise<void> {
  const cursor = await findCursor(turn, consumer, target);
  if (!cursor && seq > 0) await turn.db.insert("bridgeCursors", { consumer, target, seq });
  // Looking back does not take the place back.
  else if (cursor && cursor.seq < seq) await turn.db.patch(cursor._id, { seq });
}

async function toTargetView(ctx: QueryCtx | Turn, target: Target): Promise<TargetView> {
  const { name, counts, updates: said, heardAt, createdAt } = target;
  const current =
    counts.in_progress === 0
      ? null
      : await ctx.db
          .query("bridgeMessages")
          .withIndex("by_queue", (q) => q.eq("target", name).eq("state", "in_progress"))
          .first();
  return {
    name,
    counts,
    updates: said,
    createdAt,
    ...(current && { currentTask: current.text }),
    ...(heardAt !== undefined && { heardAt }),
  };
}

function toView({ _id: id, _creationTime: _at, openHash: _hash, onceKey: _key, lane, ...message }: Message): MessageView {
  return { id, ...message, isUrgent: lane === 0 };
}

function toUpdateView({ target, seq, messageId, type, text, createdAt }: Doc<"bridgeUpdates">): UpdateView {
  return { target, seq, type, text, createdAt, ...(messageId && { messageId }) };
}

function checkedLimit(limit = 50): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > listedMax)
    throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
  return limit;
}

const sum = (views: readonly TargetView[], of: (view: TargetView) => number): number =>
  views.reduce((total, view) => total + of(view), 0);
