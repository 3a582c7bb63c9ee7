/** What is to be shown in the chat, written in the transaction that gives the reason. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { toPosts } from "../model/telegram.ts";
import type { Turn } from "./guard.ts";

/** At most one row: the bot the owner connected. */
export const findBot = (ctx: QueryCtx | Turn): Promise<Doc<"telegram"> | null> => ctx.db.query("telegram").first();

/** How something is shown: as an answer to a message of the chat, perhaps. */
export type Mirrored = { readonly replyTo?: number | undefined };

/** Puts a text on its way to the owner's chat; nothing happens while no chat is connected. */
export async function mirror(
  turn: Turn,
  { target, text, messageId }: { readonly target?: string; readonly text: string; readonly messageId?: Id<"bridgeMessages"> },
  { replyTo }: Mirrored = {},
): Promise<void> {
  const bot = await findBot(turn);
  if (bot?.chatId === undefined) return;
  for (const piece of toPosts(text))
    await turn.db.insert("telegramPosts", {
      chatId: bot.chatId,
      text: piece,
      state: "waiting",
      attempts: 0,
      readyAt: turn.now,
      at: turn.now,
      ...(target !== undefined && { target }),
      ...(messageId && { messageId }),
      ...(replyTo !== undefined && { replyTo }),
    });
}
