/** The bridge's own moves, each inside one transaction: check and append together, so that nothing is queued twice. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import {
  advance,
  endedKeptMax,
  hashOf,
  isMessageOpen,
  isUrgentText,
  keptMs,
  noMessages,
  targetsMax,
  toTarget,
  toText,
  updatesKeptMax,
  type MessageState,
  type Sent,
  type UpdateType,
  type Verb,
} from "../model/bridge.ts";
import { NikaError } from "../model/error.ts";
import type { Turn } from "./guard.ts";
import { mirror, type Mirrored } from "./telegram.ts";

type Target = Doc<"bridgeTargets">;
type Message = Doc<"bridgeMessages">;

/** An agent that reads nothing must not fill the disk. */
const openMax = 1_000;
const sweptMax = 200; // One short transaction; the rest follows in the next.

export const findTarget = (ctx: QueryCtx | Turn, name: string): Promise<Target | null> =>
  ctx.db
    .query("bridgeTargets")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();

export async function mustGetTarget(ctx: QueryCtx | Turn, raw: string): Promise<Target> {
  const name = toTarget(raw);
  const target = await findTarget(ctx, name);
  if (target) return target;
  const known = (await ctx.db.query("bridgeTargets").take(targetsMax)).map((one) => one.name);
  const hint = known.length === 0 ? "add one with `nika bridge targets add`" : `there are ${known.join(", ")}`;
  throw new NikaError("missing", `There is no target ${name}; ${hint}.`);
}

/** The one that is meant when none is named: only when there is exactly one. */
export async function onlyTarget(ctx: QueryCtx | Turn): Promise<Target> {
  const targets = await ctx.db.query("bridgeTargets").take(targetsMax);
  const [first] = targets;
  if (first && targets.length === 1) return first;
  if (!first) throw new NikaError("missing", "There is no target yet; add one with `nika bridge targets add`.");
  throw new NikaError("invalid", `Say which target: ${targets.map(({ name }) => name).join(", ")}.`);
}

/** Known already is fine. */
export async function addTarget(turn: Turn, raw: string): Promise<Target> {
  const name = toTarget(raw);
  const known = await findTarget(turn, name);
  if (known) return known;
  const left = await turn.db
    .query("bridgeMessages")
    .withIndex("by_target", (q) => q.eq("target", name))
    .first();
  if (left) throw new NikaError("conflict", `The old ${name} is still being removed; try again in a moment.`);
  const others = await turn.db.query("bridgeTargets").take(targetsMax);
  if (others.length === targetsMax) throw new NikaError("full", `There can be at most ${targetsMax} targets.`);
  const id = await turn.db.insert("bridgeTargets", {
    name,
    counts: noMessages,
    updates: 0,
    seq: 0,
    lastAt: 0,
    createdAt: turn.now,
  });
  const target = await turn.db.get(id);
  if (!target) throw new Error("A row just written is there.");
  return target;
}

export type Sending = {
  readonly target: string | undefined;
  readonly text: string;
  readonly from: string;
  readonly isUrgent?: boolean | undefined;
  readonly replyTo?: Id<"bridgeMessages"> | undefined;
  /** Sent at most once under this name, even when the first has ended. */
  readonly onceKey?: string | undefined;
};

/** Queues a message, unless the same one for the same target has not ended yet. */
export async function send(turn: Turn, sending: Sending, mirrored: Mirrored = {}): Promise<Sent> {
  const target = sending.target === undefined ? await onlyTarget(turn) : await mustGetTarget(turn, sending.target);
  const text = toText(sending.text);
  const { onceKey } = sending;
  const before =
    onceKey === undefined
      ? null
      : await turn.db
          .query("bridgeMessages")
          .withIndex("by_onceKey", (q) => q.eq("onceKey", onceKey))
          .unique();
  if (before) return { queued: false, reason: "duplicate", id: before._id, target: before.target };
  const openHash = await hashOf(target.name, text);
  const same = await turn.db
    .query("bridgeMessages")
    .withIndex("by_openHash", (q) => q.eq("openHash", openHash))
    .unique();
  if (same) return { queued: false, reason: "duplicate", id: same._id, target: target.name };
  const { pending, acknowledged, in_progress } = target.counts;
  if (pending + acknowledged + in_progress >= openMax)
    throw new NikaError("full", `${target.name} has ${openMax} messages that it did not answer; nothing more is queued for it.`);
  const isUrgent = sending.isUrgent ?? isUrgentText(text);
  const id = await turn.db.insert("bridgeMessages", {
    target: target.name,
    text,
    openHash,
    state: "pending",
    lane: isUrgent ? 0 : 1,
    from: sending.from,
    createdAt: turn.now,
    ...(onceKey !== undefined && { onceKey }),
    ...(sending.replyTo && { replyTo: sending.replyTo }),
  });
  await count(turn, target, { to: "pending" });
  await mirror(turn, { target: target.name, text: `→ ${target.name}${isUrgent ? " ‼" : ""}: ${text}`, messageId: id }, mirrored);
  return { queued: true, id, target: target.name };
}

export type Act = {
  readonly verb: Verb;
  readonly messageId: string | undefined;
  /** The agent's own; undefined for the owner, who may speak for any. */
  readonly target: string | undefined;
  readonly text?: string | undefined;
  /** The same key on the same message is the same update, however often it arrives. */
  readonly key?: string | undefined;
};
export type Acted = { readonly state: MessageState | null; readonly seq: number | null; readonly urgent: number };

/** What an agent says of a message. Said again it changes nothing. */
export async function act(
  turn: Turn,
  { verb, messageId, target: of, text: raw, key }: Act,
  mirrored: Mirrored = {},
): Promise<Acted> {
  if (messageId === undefined) {
    if (verb !== "update" || of === undefined) throw new NikaError("invalid", "Say which message, by its id.");
    const target = await mustGetTarget(turn, of);
    const seq = await append(turn, target, { type: "update", text: toText(raw ?? "") }, mirrored);
    return { state: null, seq, urgent: await urgentOf(turn, target.name) };
  }
  const message = await mustGetMessage(turn, messageId, of);
  const target = await mustGetTarget(turn, message.target);
  const known = key === undefined ? undefined : await findKeyed(turn, message._id, key);
  if (known) return { state: message.state, seq: known.seq, urgent: await urgentOf(turn, target.name) };
  const state = advance(message.state, verb);
  const isEnd = verb === "complete" || verb === "error";
  const isRepeated = isEnd && state === message.state;
  const moved = await move(turn, target, message, state);
  const says = verb === "update" ? toText(raw ?? "") : raw !== undefined && raw.trim() !== "" ? toText(raw) : undefined;
  if (isRepeated || (says === undefined && !isEnd)) return { state, seq: null, urgent: await urgentOf(turn, target.name) };
  const type: UpdateType = isEnd ? verb : "update";
  const update = {
    type,
    text: says ?? (verb === "error" ? "Failed." : "Done."),
    messageId: message._id,
    ...(key !== undefined && { key }),
  };
  const seq = await append(turn, moved, update, mirrored);
  return { state, seq, urgent: await urgentOf(turn, target.name) };
}

export async function mustGetMessage(ctx: QueryCtx | Turn, raw: string, target: string | undefined): Promise<Message> {
  const id = ctx.db.normalizeId("bridgeMessages", raw);
  const message = id && (await ctx.db.get(id));
  // Another target's message does not exist for this one.
  if (!message || (target !== undefined && message.target !== toTarget(target)))
    throw new NikaError("missing", "There is no such message.");
  return message;
}

async function findKeyed(turn: Turn, messageId: Id<"bridgeMessages">, key: string): Promise<Doc<"bridgeUpdates"> | null> {
  return turn.db
    .query("bridgeUpdates")
    .withIndex("by_key", (q) => q.eq("messageId", messageId).eq("key", key))
    .unique();
}

async function move(turn: Turn, target: Target, message: Message, state: MessageState): Promise<Target> {
  const heard = { heardAt: turn.now };
  if (state === message.state) {
    await turn.db.patch(target._id, heard);
    return { ...target, ...heard };
  }
  const { _id, acknowledgedAt, startedAt } = message;
  const isEnded = !isMessageOpen(state);
  await turn.db.patch(_id, {
    state,
    ...(acknowledgedAt === undefined && { acknowledgedAt: turn.now }),
    ...(state === "in_progress" && startedAt === undefined && { startedAt: turn.now }),
    ...(isEnded && { endedAt: turn.now, openHash: undefined }),
  });
  await turn.db.patch(target._id, heard);
  return count(turn, { ...target, ...heard }, { from: message.state, to: state });
}

async function count(turn: Turn, target: Target, { from, to }: { from?: MessageState; to?: MessageState }): Promise<Target> {
  const counts = { ...target.counts };
  if (from) counts[from] -= 1;
  if (to) counts[to] += 1;
  await turn.db.patch(target._id, { counts });
  return { ...target, counts };
}

type Update = {
  readonly type: UpdateType;
  readonly text: string;
  readonly messageId?: Id<"bridgeMessages">;
  readonly key?: string;
};

async function append(turn: Turn, target: Target, update: Update, mirrored: Mirrored): Promise<number> {
  const seq = target.seq + 1;
  // Two updates never share a time, nor go back with the clock, so that whoever asks by time misses none.
  const createdAt = Math.max(turn.now, target.lastAt + 1);
  await turn.db.insert("bridgeUpdates", { target: target.name, seq, createdAt, ...update });
  await turn.db.patch(target._id, { seq, lastAt: createdAt, updates: target.updates + 1, heardAt: turn.now });
  const mark = { update: "·", complete: "✓", error: "✗" }[update.type];
  const { messageId } = update;
  await mirror(
    turn,
    { target: target.name, text: `${target.name} ${mark} ${update.text}`, ...(messageId && { messageId }) },
    mirrored,
  );
  return seq;
}

/** How many urgent messages wait for this agent: it is told with every answer, so that it looks up from its work. */
async function urgentOf(turn: Turn, target: string): Promise<number> {
  const urgent = await turn.db
    .query("bridgeMessages")
    .withIndex("by_queue", (q) => q.eq("target", target).eq("state", "pending").eq("lane", 0))
    .take(sweptMax);
  return urgent.length;
}

/** Old messages that ended, old updates, and what is more than is kept; oldest first. True when there is more to do. */
export async function sweepBridge(turn: Turn): Promise<boolean> {
  const targets = new Map((await turn.db.query("bridgeTargets").take(targetsMax)).map((target) => [target.name, target]));
  let ended = 0;
  let updates = 0;
  for (const target of targets.values()) {
    ended += target.counts.complete + target.counts.error;
    updates += target.updates;
  }
  let endedExcess = ended - endedKeptMax;
  const messages = await turn.db
    .query("bridgeMessages")
    .withIndex("by_endedAt", (q) => q.gt("endedAt", 0))
    .take(sweptMax);
  const oldMessages = messages.filter((one) => (one.endedAt ?? 0) < turn.now - keptMs || endedExcess-- > 0);
  for (const { _id, target: name, state } of oldMessages) {
    const target = targets.get(name);
    if (target) targets.set(name, { ...target, counts: { ...target.counts, [state]: target.counts[state] - 1 } });
    await turn.db.delete(_id);
  }
  let updatesExcess = updates - updatesKeptMax;
  const said = await turn.db.query("bridgeUpdates").order("asc").take(sweptMax);
  const oldUpdates = said.filter((one) => one._creationTime < turn.now - keptMs || updatesExcess-- > 0);
  for (const { _id, target: name } of oldUpdates) {
    const target = targets.get(name);
    if (target) targets.set(name, { ...target, updates: target.updates - 1 });
    await turn.db.delete(_id);
  }
  const posts = [
    ...(await turn.db.query("telegramPosts").order("asc").take(sweptMax)),
    ...(await turn.db.query("telegramFiles").order("asc").take(sweptMax)),
  ].filter((one) => one._creationTime < turn.now - keptMs);
  for (const { _id } of posts) await turn.db.delete(_id);
  const touched = new Set([...oldMessages, ...oldUpdates].map(({ target }) => target));
  for (const name of touched) {
    const target = targets.get(name);
    if (target) await turn.db.patch(target._id, { counts: target.counts, updates: target.updates });
  }
  return oldMessages.length === sweptMax || oldUpdates.length === sweptMax || posts.length >= sweptMax;
}
