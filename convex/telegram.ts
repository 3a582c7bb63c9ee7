/**
 * The owner's chat as a mirror of the bridge: the bot, and what is to be shown. What is said in the chat comes through telegramInbox.ts. The
 * bot's token is a secret of the appliance; nothing here could speak to Telegram.
 */
import { v } from "convex/values";
import { pairingMs, postAttemptsMax, vPost, vPostOutcome, vPostState, vTelegramView } from "./model/telegram.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery } from "./turn/guard.ts";
import { findBot } from "./turn/telegram.ts";

const countedMax = 100;

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
