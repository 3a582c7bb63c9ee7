/** Telegram's Bot API in our words. Everything that knows grammY is here. */
import { createRequire } from "node:module";
import type * as Grammy from "grammy";
import { NikaError } from "../../convex/model/error.ts";
import { chatFileBytesMax, type Inbound, type Post, type PostOutcome } from "../../convex/model/telegram.ts";
import { toHtml } from "./html.ts";

export type Bot = { readonly id: number; readonly name: string };
export type Received = { readonly updateId: number; readonly inbound: Inbound | undefined };

export type BotApi = {
  /** Who this token is. */
  me(): Promise<Bot>;
  /** What came, in the order of its ids; waits for it until `signal`, half a minute at most. */
  receive(offset: number, signal: AbortSignal): Promise<readonly Received[]>;
  /** Never fails: how it went is the outcome. */
  show(post: Post, signal: AbortSignal): Promise<PostOutcome>;
  /** The bytes of a file. Fails with `full` when it is too large, `missing` when Telegram has it no more. */
  fetchFile(fileId: string, signal: AbortSignal): Promise<Uint8Array>;
};

const pollSeconds = 25;
/** Telegram answers within seconds or not at all. */
const replySeconds = 60;

/** Fails with `invalid` for what is no bot's token: digits, a colon and letters, and nothing else. */
export function toToken(raw: string): string {
  const token = raw.trim();
  if (!/^\d{3,20}:[\w-]{30,100}$/u.test(token))
    throw new NikaError("invalid", "That is no bot's token; BotFather gives one such as 123456789:AbC…, alone on its line.");
  return token;
}

/** Loaded by the first who talks to Telegram: most do not, and every start would wait for it. */
const grammy = (): typeof Grammy => createRequire(import.meta.url)("grammy") as typeof Grammy;

const isRefusal = (error: unknown): error is Grammy.GrammyError => error instanceof grammy().GrammyError;

/** `apiRoot`: where the Bot API is, without a slash at the end. */
export function openBotApi(token: string, apiRoot: string): BotApi {
  const api: Grammy.Api = new (grammy().Api)(token, { apiRoot, timeoutSeconds: replySeconds });
  return {
    async me() {
      const { id, username } = await inWords(() => api.getMe());
      return { id, name: username };
    },
    async receive(offset, signal) {
      const updates = await inWords(() =>
        api.getUpdates({ offset, timeout: pollSeconds, allowed_updates: ["message"] }, signal as never),
      );
      return updates.toSorted((a, b) => a.update_id - b.update_id).map(toReceived);
    },
    async show({ chatId, text, replyTo, target, attempts }, signal) {
      try {
        const sent = await api.sendMessage(
          chatId,
          toHtml(text, target),
          {
            parse_mode: "HTML",
            link_preview_options: { is_disabled: true },
            ...(replyTo !== undefined && { reply_parameters: { message_id: replyTo, allow_sending_without_reply: true } }),
          },
          signal as never,
        );
        return { type: "sent", sentId: sent.message_id };
      } catch (error) {
        return outcomeOf(error, attempts);
      }
    },
    async fetchFile(fileId, signal) {
      const { file_path: path, file_size: size } = await inWords(() => api.getFile(fileId, signal as never));
      if (path === undefined) throw new NikaError("missing", "Telegram does not give this file any more.");
      if ((size ?? 0) > chatFileBytesMax) throw new NikaError("full", "Telegram lets bots fetch at most 20 MB.");
      // The address holds the token: it must reach neither an error's text nor the log.
      const response = await fetch(`${apiRoot}/file/bot${token}/${path}`, { signal }).catch(() => undefined);
      if (!response) throw new NikaError("unavailable", "Telegram cannot be reached.");
      if (!response.ok)
        throw new NikaError(
          response.status >= 500 ? "unavailable" : "missing",
          `Telegram did not give the file (${response.status}).`,
        );
      const bytes = await response.bytes().catch(() => undefined);
      if (!bytes) throw new NikaError("unavailable", "The connection broke while the file was fetched.");
      if (bytes.length > chatFileBytesMax) throw new NikaError("full", "Telegram lets bots fetch at most 20 MB.");
      return bytes;
    },
  };
}

type Update = Awaited<ReturnType<Grammy.Api["getUpdates"]>>[number];

function toReceived({ update_id: updateId, message }: Update): Received {
  if (!message) return { updateId, inbound: undefined };
  const { chat, message_id: chatMessageId, reply_to_message: replied, document, photo, voice, audio, video } = message;
  const largest = photo?.at(-1);
  const media = document ?? audio ?? video ?? voice;
  const named = (media as { file_name?: string } | undefined)?.file_name;
  const ending = voice ? "ogg" : video ? "mp4" : audio ? "mp3" : "bin";
  const file = media
    ? { fileId: media.file_id, name: named ?? `telegram-${chatMessageId}.${ending}`, sizeBytes: media.file_size }
    : largest && { fileId: largest.file_id, name: `telegram-${chatMessageId}.jpg`, sizeBytes: largest.file_size };
  return {
    updateId,
    inbound: {
      updateId,
      chatId: chat.id,
      isPrivate: chat.type === "private",
      chatMessageId,
      text: message.text ?? message.caption ?? "",
      ...(replied && { replyTo: replied.message_id }),
      ...(file && {
        file: { fileId: file.fileId, name: file.name, ...(file.sizeBytes !== undefined && { sizeBytes: file.sizeBytes }) },
      }),
    },
  };
}

/** Nothing left this machine when these happen, so nothing can have arrived. */
const neverSent = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

function outcomeOf(error: unknown, attempts: number): PostOutcome {
  const backoffMs = Math.min(60_000, 1_000 * 2 ** Math.min(attempts, 6));
  if (isRefusal(error)) {
    const { error_code: status, description, parameters } = error;
    if (status === 429) return { type: "later", afterMs: (parameters.retry_after ?? 1) * 1_000, problem: description };
    // A server that stumbled may have stumbled after it sent.
    return { type: status >= 500 ? "unknown" : "failed", problem: description };
  }
  const cause = error instanceof grammy().HttpError ? (error.error as { code?: string } | undefined) : undefined;
  if (cause?.code !== undefined && neverSent.has(cause.code))
    return { type: "later", afterMs: backoffMs, problem: "Telegram cannot be reached." };
  return { type: "unknown", problem: "Telegram's answer was lost." };
}

/** Seconds that Telegram asked to wait, if that is what went wrong. */
export function retryAfterMs(error: unknown): number | undefined {
  const cause = error instanceof NikaError ? error.cause : error;
  return isRefusal(cause) && cause.parameters.retry_after !== undefined ? cause.parameters.retry_after * 1_000 : undefined;
}

/** grammY keeps the token out of its messages, and so do we: only the status and Telegram's own words go on. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isRefusal(error)) throw new NikaError("unavailable", "Telegram cannot be reached.", { cause: error });
    const { error_code: status, description } = error;
    if (status === 401 || status === 404)
      throw new NikaError("denied", "Telegram does not know this token; connect again with `nika telegram connect`.", {
        cause: error,
      });
    if (status === 409)
      throw new NikaError("conflict", "Another program reads this bot's messages; stop it, or give Nika a bot of its own.", {
        cause: error,
      });
    if (status === 429 || status >= 500)
      throw new NikaError("unavailable", `Telegram asks to wait: ${description}`, { cause: error });
    throw new NikaError("invalid", `Telegram refused: ${description}`, { cause: error });
  }
}
