/** The owner's chat as a mirror of the bridge. Its token is a file of the appliance; nothing here could speak to Telegram. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { toDocumentName } from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import {
  chatFileBytesMax,
  helpText,
  pairingMs,
  postAttemptsMax,
  recentMax,
  toWish,
  vChatFile,
  vInbound,
  vPost,
  vPostOutcome,
  vPostState,
  vTelegramView,
  type ChatWish,
  type Inbound,
} from "./model/telegram.ts";
import { act, mustGetTarget, send } from "./turn/bridge.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { takeIn } from "./turn/intake.ts";
import { findBot, mirror } from "./turn/telegram.ts";

const countedMax = 100;
const filesMax = 20;
const targetsMax = 100;

/** Null while no bot is connected. */
export const status = ownerQuery({
  args: {},
  returns: v.union(vTelegramView, v.null()),
  handler: async (ctx) => {
    const bot = await findBot(ctx);
    if (!bot) return null;
    const count = async (state: "waiting" | "failed" | "unknown"): Promise<number> =>
      (
        await ctx.db
          .query("telegramPosts")
          .withIndex("by_state", (q) => q.eq("state", state))
          .take(countedMax)
      ).length;
    const { botName, chatId, pairing, problem, connectedAt } = bot;
    return {
      botName,
      isPaired: chatId !== undefined,
      connectedAt,
      waiting: await count("waiting"),
      failed: await count("failed"),
      unknown: await count("unknown"),
      ...(pairing && chatId === undefined && { pairingUntil: pairing.until }),
      ...(problem !== undefined && { problem }),
    };
  },
});

/** Posts whose arrival nobody knows are sent once more, at the owner's word. */
export const resend = ownerMutation({
  args: {},
  returns: v.number(),
  handler: async (turn) => {
    let count = 0;
    for (const state of ["unknown", "failed"] as const) {
      const posts = await turn.db
        .query("telegramPosts")
        .withIndex("by_state", (q) => q.eq("state", state))
        .take(countedMax);
      for (const { _id } of posts) await turn.db.patch(_id, { state: "waiting", attempts: 0, readyAt: turn.now });
      count += posts.length;
    }
    return count;
  },
});

/** A bot whose token the appliance has checked. The same bot again keeps its chat. `codeHash` opens it to one chat. */
export const connect = systemMutation({
  args: { botId: v.number(), botName: v.string(), codeHash: v.string() },
  returns: v.object({ isPaired: v.boolean(), until: v.number() }),
  handler: async (turn, { botId, botName, codeHash }) => {
    const bot = await findBot(turn);
    const until = turn.now + pairingMs;
    const pairing = { hash: codeHash, until };
    if (bot?.botId === botId) {
      await turn.db.patch(bot._id, { botName, pairing, problem: undefined });
      return { isPaired: bot.chatId !== undefined, until };
    }
    if (bot) await turn.db.delete(bot._id);
    await turn.db.insert("telegram", { botId, botName, pairing, offset: 0, recent: [], connectedAt: turn.now });
    return { isPaired: false, until };
  },
});

/** The chat is forgotten, and what waited for it. */
export const disconnect = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const bot = await findBot(turn);
    if (bot) await turn.db.delete(bot._id);
    const waiting = await turn.db
      .query("telegramPosts")
      .withIndex("by_state", (q) => q.eq("state", "waiting"))
      .take(1_000);
    for (const { _id } of waiting) await turn.db.delete(_id);
    return null;
  },
});

/** From where Telegram is asked for more; null while there is no bot. */
export const place = systemQuery({
  args: {},
  returns: v.union(v.object({ botId: v.number(), offset: v.number() }), v.null()),
  handler: async (ctx) => {
    const bot = await findBot(ctx);
    return bot && { botId: bot.botId, offset: bot.offset };
  },
});

/** What is to be shown, in order: the service that shows it watches this. Only the first, since order matters in a chat. */
export const due = systemQuery({
  args: {},
  returns: v.union(vPost, v.null()),
  handler: async (ctx) => {
    const post = await ctx.db
      .query("telegramPosts")
      .withIndex("by_state", (q) => q.eq("state", "waiting"))
      .first();
    if (!post) return null;
    const { _id: id, chatId, text, target, replyTo, attempts, readyAt } = post;
    return {
      id,
      chatId,
      text,
      attempts,
      readyAt,
      ...(target !== undefined && { target }),
      ...(replyTo !== undefined && { replyTo }),
    };
  },
});

/** Written before Telegram is asked. False when it is not to be shown any more. */
export const begin = systemMutation({
  args: { id: v.id("telegramPosts") },
  returns: v.boolean(),
  handler: async (turn, { id }) => {
    const post = await turn.db.get(id);
    if (post?.state !== "waiting") return false;
    await turn.db.patch(id, { state: "sending", attempts: post.attempts + 1 });
    return true;
  },
});

export const settle = systemMutation({
  args: { id: v.id("telegramPosts"), outcome: vPostOutcome },
  returns: v.null(),
  handler: async (turn, { id, outcome }) => {
    const post = await turn.db.get(id);
    if (post?.state !== "sending") return null;
    if (outcome.type === "sent") await turn.db.patch(id, { state: "sent", sentId: outcome.sentId });
    else if (outcome.type !== "later") await turn.db.patch(id, { state: outcome.type, problem: outcome.problem });
    else if (post.attempts >= postAttemptsMax) await turn.db.patch(id, { state: "failed", problem: outcome.problem });
    else await turn.db.patch(id, { state: "waiting", readyAt: turn.now + outcome.afterMs, problem: outcome.problem });
    return null;
  },
});

/** At a start: what was being sent when the last one ended may have arrived. */
export const recover = systemMutation({
  args: {},
  returns: v.number(),
  handler: async (turn) => {
    const lost = await turn.db
      .query("telegramPosts")
      .withIndex("by_state", (q) => q.eq("state", "sending"))
      .take(1_000);
    for (const { _id } of lost) await turn.db.patch(_id, { state: "unknown", problem: "Nika ended while it was being sent." });
    return lost.length;
  },
});

/** Why Telegram cannot be reached, or that it can again. */
export const trouble = systemMutation({
  args: { problem: v.optional(v.string()) },
  returns: v.null(),
  handler: async (turn, { problem }) => {
    const bot = await findBot(turn);
    if (bot && bot.problem !== problem) await turn.db.patch(bot._id, { problem });
    return null;
  },
});

/**
 * What came from Telegram, and that it came, in one transaction: whatever happens in between, it is neither lost nor done twice. `codeHash`
 * is the hash of what a `/start` carried.
 */
export const receive = systemMutation({
  args: { inbound: vInbound, codeHash: v.optional(v.string()) },
  returns: v.boolean(),
  handler: async (turn, { inbound, codeHash }) => {
    const bot = await findBot(turn);
    if (!bot || bot.recent.includes(inbound.updateId)) return false;
    await turn.db.patch(bot._id, {
      recent: [...bot.recent, inbound.updateId].slice(-recentMax),
      offset: nextOffset(bot, inbound.updateId),
    });
    await heed(turn, { ...bot }, inbound, codeHash);
    return true;
  },
});

/** What is no message for us is passed over all the same. */
export const skip = systemMutation({
  args: { updateId: v.number() },
  returns: v.null(),
  handler: async (turn, { updateId }) => {
    const bot = await findBot(turn);
    if (bot) await turn.db.patch(bot._id, { offset: nextOffset(bot, updateId) });
    return null;
  },
});

/** Files of the chat that are still to be fetched. */
export const files = systemQuery({
  args: {},
  returns: v.array(v.object({ id: v.id("telegramFiles"), ...vChatFile.fields })),
  handler: async (ctx) => {
    const found = await ctx.db
      .query("telegramFiles")
      .withIndex("by_state", (q) => q.eq("state", "waiting"))
      .take(filesMax);
    return found.map(({ _id: id, fileId, name, sizeBytes }) => ({
      id,
      fileId,
      name,
      ...(sizeBytes !== undefined && { sizeBytes }),
    }));
  },
});

/** Fetched and uploaded: it becomes a document like any other, and the chat is told. */
export const takeFile = systemMutation({
  args: { id: v.id("telegramFiles"), storageId: v.id("_storage") },
  returns: v.null(),
  handler: async (turn, { id, storageId }) => {
    const file = await turn.db.get(id);
    if (file?.state !== "waiting") {
      await turn.storage.delete(storageId);
      return null;
    }
    const added = await takeIn(turn, storageId, { name: file.name });
    await turn.db.patch(id, { state: "done" });
    await mirror(
      turn,
      { text: added.isNew ? `Kept: ${added.name}` : `Known already: ${added.name}` },
      { replyTo: file.chatMessageId },
    );
    return null;
  },
});

export const failFile = systemMutation({
  args: { id: v.id("telegramFiles"), problem: v.string() },
  returns: v.null(),
  handler: async (turn, { id, problem }) => {
    const file = await turn.db.get(id);
    if (file?.state !== "waiting") return null;
    await turn.db.patch(id, { state: "failed", problem });
    await mirror(turn, { text: `Not kept: ${file.name}. ${problem}` }, { replyTo: file.chatMessageId });
    return null;
  },
});

/** How posts stand, newest first; for those who look into it. */
export const posts = ownerQuery({
  args: { state: v.optional(vPostState) },
  returns: v.array(v.object({ text: v.string(), state: vPostState, problem: v.optional(v.string()), at: v.number() })),
  handler: async (ctx, { state }) => {
    const rows = ctx.db.query("telegramPosts");
    const found =
      state === undefined ? rows.order("desc") : rows.withIndex("by_state", (q) => q.eq("state", state)).order("desc");
    return (await found.take(countedMax)).map(({ text, state: became, problem, at }) => ({
      text,
      state: became,
      at,
      ...(problem !== undefined && { problem }),
    }));
  },
});

/** Ids begin anew after a quiet week; far below the last they are not old but new. */
function nextOffset({ offset }: Doc<"telegram">, updateId: number): number {
  return updateId + 1 > offset || updateId < offset - recentMax ? updateId + 1 : offset;
}

async function heed(turn: Turn, bot: Doc<"telegram">, inbound: Inbound, codeHash: string | undefined): Promise<void> {
  const wish = toWish(inbound.text);
  if (bot.chatId === undefined) {
    const { pairing } = bot;
    const isPairing = wish.type === "start" && wish.code !== "" && codeHash !== undefined && inbound.isPrivate;
    if (!isPairing || !pairing || pairing.hash !== codeHash || pairing.until < turn.now) return;
    await turn.db.patch(bot._id, { chatId: inbound.chatId, pairing: undefined });
    await mirror(turn, { text: `This chat shows what your agents do.\n${helpText}` });
    return;
  }
  // Strangers find a bot by its name; it does not even answer them.
  if (inbound.chatId !== bot.chatId) return;
  try {
    await obey(turn, wish, inbound);
  } catch (error) {
    if (!(error instanceof NikaError)) throw error;
    await mirror(turn, { text: error.message }, { replyTo: inbound.chatMessageId });
  }
}

async function obey(turn: Turn, wish: ChatWish, inbound: Inbound): Promise<void> {
  const answer = (text: string): Promise<void> => mirror(turn, { text }, { replyTo: inbound.chatMessageId });
  const replied = inbound.replyTo === undefined ? null : await findPost(turn, inbound.chatId, inbound.replyTo);
  if (inbound.file) {
    const { file, chatMessageId } = inbound;
    if ((file.sizeBytes ?? 0) > chatFileBytesMax)
      return answer(`Telegram lets bots fetch at most 20 MB; ${file.name} is larger.`);
    await turn.db.insert("telegramFiles", {
      ...file,
      name: toDocumentName(file.name),
      chatMessageId,
      state: "waiting",
      at: turn.now,
    });
    if (inbound.text.trim() === "") return;
  }
  switch (wish.type) {
    case "start":
    case "help":
      return answer(helpText);
    case "status":
      return answer(await statusText(turn));
    case "stop": {
      const named =
        wish.target === undefined
          ? await turn.db.query("bridgeTargets").take(targetsMax)
          : [await mustGetTarget(turn, wish.target)];
      for (const { name } of named)
        await send(turn, { target: name, text: "STOP", from: "telegram", isUrgent: true }, { replyTo: inbound.chatMessageId });
      return named.length === 0 ? answer("There is no target to stop.") : undefined;
    }
    case "send":
      return sendFrom(turn, { target: wish.target, text: wish.text }, inbound);
    case "act": {
      if (!replied?.messageId) return answer("Answer one of an agent's messages with that.");
      await act(
        turn,
        { verb: wish.verb, messageId: replied.messageId, target: undefined, text: wish.text },
        { replyTo: inbound.chatMessageId },
      );
      return;
    }
    case "say":
      if (inbound.replyTo === undefined) return sendFrom(turn, { target: undefined, text: wish.text }, inbound);
      if (replied?.target === undefined) return answer("Nika does not know which message this answers; use /send TARGET text.");
      return sendFrom(
        turn,
        { target: replied.target, text: wish.text, ...(replied.messageId && { replyTo: replied.messageId }) },
        inbound,
      );
  }
}

async function sendFrom(
  turn: Turn,
  sending: { target: string | undefined; text: string; replyTo?: NonNullable<Doc<"telegramPosts">["messageId"]> },
  { chatMessageId: replyTo }: Inbound,
): Promise<void> {
  const sent = await send(turn, { ...sending, from: "telegram" }, { replyTo });
  // What was queued is shown with its target, and can be answered.
  if (!sent.queued)
    await mirror(turn, { target: sent.target, text: `${sent.target} has this already.`, messageId: sent.id }, { replyTo });
}

/** Which message a post of ours was about: the only thing that says what a reply is about. */
const findPost = (turn: Turn, chatId: number, sentId: number): Promise<Doc<"telegramPosts"> | null> =>
  turn.db
    .query("telegramPosts")
    .withIndex("by_sentId", (q) => q.eq("chatId", chatId).eq("sentId", sentId))
    .first();

async function statusText(turn: Turn): Promise<string> {
  const targets = await turn.db.query("bridgeTargets").take(targetsMax);
  if (targets.length === 0) return "There is no target yet.";
  const lines = await Promise.all(
    targets.map(async ({ name, counts }) => {
      const current = await turn.db
        .query("bridgeMessages")
        .withIndex("by_queue", (q) => q.eq("target", name).eq("state", "in_progress"))
        .first();
      const waiting = counts.pending + counts.acknowledged;
      return `${name}: ${waiting} waiting, ${counts.in_progress} in progress${current ? `\n  ${current.text.slice(0, 200)}` : ""}`;
    }),
  );
  return lines.join("\n");
}
