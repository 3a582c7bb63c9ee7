/**
 * The bridge: messages to remote agents and what these say of them. Each target has its own queue and its own agent. No clock, no
 * database: callers pass `now`.
 */
import { v, type Infer } from "convex/values";
import { NikaError } from "./error.ts";

export const vMessageState = v.union(
  v.literal("pending"),
  /** The agent has seen it. */
  v.literal("acknowledged"),
  v.literal("in_progress"),
  v.literal("complete"),
  v.literal("error"),
);
export type MessageState = Infer<typeof vMessageState>;

export const isMessageOpen = (state: MessageState): boolean => state !== "complete" && state !== "error";

/** What an agent does with a message. */
export const vVerb = v.union(
  v.literal("ack"),
  v.literal("start"),
  v.literal("update"),
  v.literal("complete"),
  v.literal("error"),
);
export type Verb = Infer<typeof vVerb>;

/** A step on the way, or how it ended. */
export const vUpdateType = v.union(v.literal("update"), v.literal("complete"), v.literal("error"));
export type UpdateType = Infer<typeof vUpdateType>;

/** Where a message came from: the owner's page, command line or chat, a token's holder by its name, or a schedule. */
export const vMessageView = v.object({
  id: v.id("bridgeMessages"),
  target: v.string(),
  text: v.string(),
  state: vMessageState,
  isUrgent: v.boolean(),
  from: v.string(),
  /** The message it answers. */
  replyTo: v.optional(v.id("bridgeMessages")),
  createdAt: v.number(),
  acknowledgedAt: v.optional(v.number()),
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
});
export type MessageView = Infer<typeof vMessageView>;

export const vUpdateView = v.object({
  target: v.string(),
  /** From 1, without gaps, for each target. */
  seq: v.number(),
  messageId: v.optional(v.id("bridgeMessages")),
  type: vUpdateType,
  text: v.string(),
  createdAt: v.number(),
});
export type UpdateView = Infer<typeof vUpdateView>;

export const vMessageCounts = v.object({
  pending: v.number(),
  acknowledged: v.number(),
  in_progress: v.number(),
  complete: v.number(),
  error: v.number(),
});
export type MessageCounts = Infer<typeof vMessageCounts>;
export const noMessages: MessageCounts = { pending: 0, acknowledged: 0, in_progress: 0, complete: 0, error: 0 };

export const vTargetView = v.object({
  name: v.string(),
  counts: vMessageCounts,
  updates: v.number(),
  /** What its agent is working on. */
  currentTask: v.optional(v.string()),
  /** When its agent last said something. */
  heardAt: v.optional(v.number()),
  createdAt: v.number(),
});
export type TargetView = Infer<typeof vTargetView>;

/** "client": sends, pulls and looks. "agent": works for its target. */
export const vTokenRole = v.union(v.literal("client"), v.literal("agent"));
export type TokenRole = Infer<typeof vTokenRole>;

/** A token as it may be shown; the secret itself is nowhere, and its hash stays inside. */
export const vTokenView = v.object({
  name: v.string(),
  role: vTokenRole,
  /** The only target it is good for; an agent always has one. */
  target: v.optional(v.string()),
  createdAt: v.number(),
});
export type TokenView = Infer<typeof vTokenView>;

/** What came of a message that was sent. */
export const vSent = v.union(
  v.object({ queued: v.literal(true), id: v.id("bridgeMessages"), target: v.string() }),
  v.object({ queued: v.literal(false), reason: v.literal("duplicate"), id: v.id("bridgeMessages"), target: v.string() }),
);
export type Sent = Infer<typeof vSent>;

/** Counts as remote clients read them, of one target or of all. */
export const vQueueStatus = v.object({
  pending: v.number(),
  in_progress: v.number(),
  total_updates: v.number(),
  current_task: v.union(v.string(), v.null()),
});
export type QueueStatus = Infer<typeof vQueueStatus>;

export const textCharsMax = 32_000;
export const nameCharsMax = 64;
export const targetsMax = 100;
export const tokensMax = 200;
/** Given at once; more follow with the next pull. */
export const pulledMax = 100;
/** Ended messages and updates are kept this long, and no more than so many. */
export const keptMs = 30 * 24 * 3_600_000;
export const endedKeptMax = 5_000;
export const updatesKeptMax = 20_000;
/** A long wait ends empty after this; a client's own limit is rarely below half a minute. */
export const waitMsMax = 25_000;

/**
 * Where a verb takes a message: its next state, or the same one when the verb was said before or was skipped. What has ended only
 * takes the same end again. Fails with `conflict`.
 */
export function advance(state: MessageState, verb: Verb): MessageState {
  if (!isMessageOpen(state)) {
    if (verb === state || verb === "ack") return state;
    throw new NikaError("conflict", `This message has ended (${state}); nothing more can be said of it.`);
  }
  switch (verb) {
    case "ack":
      return state === "pending" ? "acknowledged" : state;
    case "start":
      return "in_progress";
    case "update":
      // Who reports on it has seen it.
      return state === "pending" ? "acknowledged" : state;
    case "complete":
    case "error":
      return verb;
  }
}

/** The text as it is compared and kept: NFC, newlines as LF, nothing around it. Fails with `invalid`. */
export function toText(raw: string): string {
  const text = raw.normalize("NFC").replaceAll(/\r\n?/gu, "\n").replaceAll("\0", "").trim();
  if (text === "" || text.length > textCharsMax) throw new NikaError("invalid", `A message has 1 to ${textCharsMax} characters.`);
  return text;
}

/** The name of a target: `homelab`, `nexus:felt`. Fails with `invalid`. */
export function toTarget(raw: string): string {
  const name = raw.normalize("NFC").trim().toLowerCase();
  if (!/^[a-z0-9](?:[a-z0-9:._-]{0,62}[a-z0-9])?$/u.test(name))
    throw new NikaError("invalid", `A target's name has letters a to z, digits and : . _ - inside, at most ${nameCharsMax}.`);
  return name;
}

/** Words that cannot wait: the agent is to look at these before anything else. */
export function isUrgentText(text: string): boolean {
  return /^[^\p{L}]*(?:stop|halt|abort|urgent|urgence|emergency|arr[êe]te[rz]?|stoppe[rz]?|halte)(?!\p{L})/iu.test(text);
}

/** Same text for the same target, whatever it was typed on. Hex. */
export async function hashOf(target: string, text: string): Promise<string> {
  const bytes = new TextEncoder().encode(`${target}\n${toText(text)}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** How far somebody has read, target by target, as an opaque text that travels through clients. */
export function toCursor(seen: Readonly<Record<string, number>>): string {
  return Object.entries(seen)
    .map(([target, seq]) => `${target}=${seq}`)
    .join(",");
}

/** Fails with `invalid` for what is no cursor of ours. */
export function fromCursor(cursor: string): Record<string, number> {
  const seen: Record<string, number> = {};
  for (const part of cursor === "" ? [] : cursor.split(",")) {
    const [, target, seq] = /^([a-z0-9:._-]{1,64})=(\d{1,15})$/u.exec(part) ?? [];
    if (target === undefined || seq === undefined)
      throw new NikaError("invalid", "This is no cursor; leave it out, or give back the one that came with the last answer.");
    seen[target] = Number(seq);
  }
  return seen;
}

/**
 * An instant from ISO 8601 text, in milliseconds since 1970. Without a zone it is UTC, as every time in an answer is, so that both
 * spellings compare alike. Fails with `invalid`.
 */
export function toInstant(text: string): number {
  const [, date, time = "T00:00:00", zone = "Z"] =
    /^(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$/iu.exec(text.trim()) ?? [];
  const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
  const at =
    date === undefined ? Number.NaN : Date.parse(`${date}${time.replace(" ", "T").replace(",", ".").toUpperCase()}${offset}`);
  if (Number.isNaN(at)) throw new NikaError("invalid", `"since" must be a time such as 2026-03-30T01:00:00Z.`);
  return at;
}
