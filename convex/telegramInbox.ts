/** What the owner says and hands in in the chat, done like the same said anywhere else. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { toDocumentName } from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import {
  chatFileBytesMax,
  helpText,
  recentMax,
  toWish,
  vChatFile,
  vInbound,
  type ChatWish,
  type Inbound,
} from "./model/telegram.ts";
import { act, mustGetTarget, send } from "./turn/bridge.ts";
import { systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { takeIn } from "./turn/intake.ts";
import { findBot, mirror } from "./turn/telegram.ts";

const filesMax = 20;
const targetsMax = 100;

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
