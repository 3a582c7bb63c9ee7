/** Telegram as a mirror of the bridge: what is shown there, and what words from there ask for. */
import { v, type Infer } from "convex/values";

export const vPostState = v.union(
  v.literal("waiting"),
  /** Handed to Telegram; no answer yet. */
  v.literal("sending"),
  v.literal("sent"),
  v.literal("failed"),
  /** The answer was lost, so it may have arrived. Sending again could show it twice, and is left to the owner. */
  v.literal("unknown"),
);
export type PostState = Infer<typeof vPostState>;

export const vPost = v.object({
  id: v.id("telegramPosts"),
  chatId: v.number(),
  text: v.string(),
  /** The Telegram message it answers. */
  replyTo: v.optional(v.number()),
  attempts: v.number(),
  /** Not before then; milliseconds since 1970. */
  readyAt: v.number(),
  /** The agent it is about. */
  target: v.optional(v.string()),
});
export type Post = Infer<typeof vPost>;

export const vPostOutcome = v.union(
  v.object({ type: v.literal("sent"), sentId: v.number() }),
  v.object({ type: v.literal("failed"), problem: v.string() }),
  v.object({ type: v.literal("unknown"), problem: v.string() }),
  /** It was refused for now and certainly not shown; again not before `afterMs`. */
  v.object({ type: v.literal("later"), afterMs: v.number(), problem: v.string() }),
);
export type PostOutcome = Infer<typeof vPostOutcome>;

export const vChatFile = v.object({ fileId: v.string(), name: v.string(), sizeBytes: v.optional(v.number()) });
export type ChatFile = Infer<typeof vChatFile>;

/** What came in a chat, in our words. */
export const vInbound = v.object({
  updateId: v.number(),
  chatId: v.number(),
  /** One person's chat with the bot; groups are not listened to. */
  isPrivate: v.boolean(),
  /** The id of this very message in its chat. */
  chatMessageId: v.number(),
  text: v.string(),
  replyTo: v.optional(v.number()),
  file: v.optional(vChatFile),
});
export type Inbound = Infer<typeof vInbound>;

export const vTelegramView = v.object({
  botName: v.string(),
  isPaired: v.boolean(),
  /** Waiting for `/start CODE` until then. */
  pairingUntil: v.optional(v.number()),
  /** Why it does not work just now. */
  problem: v.optional(v.string()),
  waiting: v.number(),
  failed: v.number(),
  unknown: v.number(),
  connectedAt: v.number(),
});
export type TelegramView = Infer<typeof vTelegramView>;

/** Telegram's own limit, counted as it counts: UTF-16 units after its markup is read. */
export const postCharsMax = 4_096;
/** What a bot may fetch. */
export const chatFileBytesMax = 20 * 1024 * 1024;
/** Update ids are remembered because after a quiet week Telegram starts them anew. */
export const recentMax = 500;
export const pairingMs = 15 * 60_000;
/** Most of a day without a network. */
export const postAttemptsMax = 1_000;

/** What somebody in the chat wants. */
export type ChatWish =
  | { readonly type: "start"; readonly code: string }
  | { readonly type: "help" }
  | { readonly type: "status" }
  /** Without a target: all of them. */
  | { readonly type: "stop"; readonly target: string | undefined }
  | { readonly type: "send"; readonly target: string; readonly text: string }
  /** A word for a remote agent's own work, said by a person in its place: only as an answer to a message. */
  | { readonly type: "act"; readonly verb: "ack" | "start" | "update" | "complete" | "error"; readonly text: string }
  | { readonly type: "say"; readonly text: string };

/** Reads a chat message: `/send homelab restart the proxy`, `/stop`, or plain words. */
export function toWish(raw: string): ChatWish {
  const text = raw.trim();
  const [, command, rest = ""] = /^\/([a-z]+)(?:@\w+)?(?:\s+([\s\S]*))?$/iu.exec(text) ?? [];
  switch (command?.toLowerCase()) {
    case undefined:
      return { type: "say", text };
    case "start":
      // With a message to answer it is the agent's word; with a code, or alone, it is Telegram's own.
      return { type: "start", code: rest.trim() };
    case "status":
      return { type: "status" };
    case "stop":
      return { type: "stop", target: rest.trim() === "" ? undefined : rest.trim() };
    case "send": {
      const [, target, message] = /^(\S+)\s+([\s\S]+)$/u.exec(rest.trim()) ?? [];
      return target === undefined || message === undefined ? { type: "help" } : { type: "send", target, text: message };
    }
    case "ack":
    case "begin":
    case "update":
    case "complete":
    case "error":
      return {
        type: "act",
        verb: command?.toLowerCase() === "begin" ? "start" : (command?.toLowerCase() as "ack"),
        text: rest.trim(),
      };
    default:
      return { type: "help" };
  }
}

/** Cuts a long text where lines or words end, never inside a character. Each piece fits one post. */
export function toPosts(text: string, max: number = postCharsMax): string[] {
  const posts: string[] = [];
  let rest = text.trim();
  while (rest.length > max) {
    const head = rest.slice(0, max);
    const cut = [head.lastIndexOf("\n"), head.lastIndexOf(" ")].find((at) => at > max / 2) ?? wholeCharacters(head);
    posts.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  return rest === "" ? posts : [...posts, rest];
}

/** The end of the last whole character: a surrogate pair is one. */
function wholeCharacters(head: string): number {
  const last = head.charCodeAt(head.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? head.length - 1 : head.length;
}

export const helpText = [
  "Answer a message to write to its agent.",
  "/send TARGET text: a message to an agent",
  "/status: what waits and what is worked on",
  "/stop [TARGET]: an urgent STOP, to all agents when none is named",
  "In an agent's place, as an answer to its message: /ack, /begin, /update text, /complete text, /error text",
].join("\n");
