/**
 * The owner's chat as a mirror of the bridge. The queue is the truth: what is to be shown is written there first, what comes is written
 * there before Telegram hears that it arrived, so a crash anywhere loses nothing and does nothing twice. Off without a token.
 */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { toNikaError } from "../../convex/model/error.ts";
import { toWish, type ChatFile, type Post } from "../../convex/model/telegram.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";
import type { State } from "../../functions/ports/state.ts";
import { openBotApi, retryAfterMs, toToken, type BotApi } from "./botApi.ts";

export type TelegramOptions = {
  readonly state: State;
  /** Keeps the bot's token, as `telegram`. */
  readonly secrets: Secrets;
  /** Where the Bot API is, without a slash at the end. */
  readonly apiRoot: string;
  /** Puts bytes where uploads go; their id there. */
  readonly upload: (bytes: Uint8Array, signal: AbortSignal) => Promise<string>;
  readonly log: (line: string) => void;
  /** Telegram wants about a second between two posts in a chat. */
  readonly gapMs?: number;
  /** How long to leave Telegram alone after a second failure in a row; longer with each. */
  readonly troubledMs?: number;
};

export type Connected = {
  readonly botName: string;
  readonly isPaired: boolean;
  /** Opened in Telegram, it makes that chat the mirror. Good until `until`. */
  readonly link: string;
  readonly until: number;
};

export type Telegram = {
  /** Checks a token with Telegram, keeps it and begins. Fails with `invalid` or `denied` when it is none. */
  connect(token: string): Promise<Connected>;
  /** Ends and forgets the token. */
  disconnect(): Promise<void>;
  close(): Promise<void>;
};

const troubledMaxMs = 60_000;
const secretName = "telegram";

export async function openTelegram({
  state,
  secrets,
  apiRoot,
  upload,
  log,
  gapMs = 1_000,
  troubledMs = 5_000,
}: TelegramOptions): Promise<Telegram> {
  let running: { stop(): Promise<void> } | undefined;
  const stop = async (): Promise<void> => {
    const was = running;
    running = undefined;
    await was?.stop();
  };
  const start = (token: string): void => {
    running = serve(openBotApi(token, apiRoot), { state, upload, log, gapMs, troubledMs });
  };
  const known = await secrets.find(secretName, "telegram");
  if (known !== undefined) start(known);
  return {
    async connect(raw) {
      const token = toToken(raw);
      const bot = await openBotApi(token, apiRoot).me();
      await stop();
      await secrets.set(secretName, token, "telegram");
      const code = randomBytes(16).toString("base64url");
      const { isPaired, until } = await state.mutation(internal.telegram.connect, {
        botId: bot.id,
        botName: bot.name,
        codeHash: hashCode(code),
      });
      start(token);
      return { botName: bot.name, isPaired, until, link: `https://t.me/${bot.name}?start=${code}` };
    },
    async disconnect() {
      await stop();
      await secrets.remove(secretName, "telegram");
      await state.mutation(internal.telegram.disconnect, {});
    },
    close: stop,
  };
}

const hashCode = (code: string): string => createHash("sha256").update(code).digest("hex");

type Service = Pick<TelegramOptions, "state" | "upload" | "log"> & { readonly gapMs: number; readonly troubledMs: number };

function serve(api: BotApi, service: Service): { stop(): Promise<void> } {
  const ended = new AbortController();
  const { signal } = ended;
  const loops = [hear(api, service, signal), showAll(api, service, signal), fetchAll(api, service, signal)];
  return {
    async stop() {
      ended.abort();
      await Promise.all(loops);
    },
  };
}

/** Takes in what was written in the chat. Telegram gives again what was not taken in. */
async function hear(api: BotApi, { state, log, troubledMs }: Service, signal: AbortSignal): Promise<void> {
  let troubles = 0;
  while (!signal.aborted) {
    try {
      const place = await state.query(internal.telegram.place, {});
      if (!place) return log("telegram: there is a token but no bot; connect again with `nika telegram connect`");
      const received = await api.receive(place.offset, signal);
      for (const { updateId, inbound } of received) {
        if (!inbound) await state.mutation(internal.telegramInbox.skip, { updateId });
        else {
          const wish = toWish(inbound.text);
          const codeHash = wish.type === "start" && wish.code !== "" ? hashCode(wish.code) : undefined;
          await state.mutation(internal.telegramInbox.receive, { inbound, ...(codeHash !== undefined && { codeHash }) });
        }
      }
      if (troubles > 0 || received.length > 0) await state.mutation(internal.telegram.trouble, {});
      troubles = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toNikaError(thrown);
      const waitMs = retryAfterMs(thrown) ?? Math.min(troubledMaxMs, troubledMs * 2 ** Math.min(troubles, 5));
      // A request that broke is no news; a second one in a row is.
      if ((troubles += 1) > 1 || error.code !== "unavailable") {
        log(`telegram: ${error.message}`);
        await state.mutation(internal.telegram.trouble, { problem: error.message }).catch(() => undefined);
      }
      await pause(troubles === 1 && retryAfterMs(thrown) === undefined ? 200 : waitMs, signal);
    }
  }
}

/** Shows what waits, one after the other. Each is noted before and after, so that its fate is known or known to be unknown. */
async function showAll(api: BotApi, { state, log, gapMs }: Service, signal: AbortSignal): Promise<void> {
  const lost = await persist(() => state.mutation(internal.telegram.recover, {}), signal);
  if (lost !== undefined && lost > 0)
    log(`telegram: ${lost} posts may or may not have arrived; \`nika telegram resend\` sends them again`);
  // An answer under way at the end is worth waiting for, a little.
  const late = new AbortController();
  signal.addEventListener("abort", () => void setTimeout(() => late.abort(), stopGraceMs).unref(), { once: true });
  await each({ state, query: internal.telegram.due, signal, log }, async (given) => {
    const post = given as Post | null;
    if (!post) return;
    await pause(post.readyAt - Date.now(), signal);
    if (signal.aborted || (await persist(() => state.mutation(internal.telegram.begin, { id: post.id }), signal)) !== true)
      return;
    const outcome = await api.show(post, AbortSignal.any([AbortSignal.timeout(sendMsMax), late.signal]));
    await persist(() => state.mutation(internal.telegram.settle, { id: post.id, outcome }), signal);
    await pause(gapMs, signal);
  });
}

const sendMsMax = 20_000;
const stopGraceMs = 2_000;
const fetchTriesMax = 5;

type Waiting = ChatFile & { readonly id: Id<"telegramFiles"> };

/** Fetches the files of the chat. Twice is once: the same bytes are one document. */
async function fetchAll(api: BotApi, service: Service, signal: AbortSignal): Promise<void> {
  const { state, log } = service;
  await each({ state, query: internal.telegramInbox.files, signal, log }, async (files) => {
    for (const file of files as readonly Waiting[]) await fetchOne(api, file, service, signal);
  });
}

async function fetchOne(
  api: BotApi,
  { id, fileId }: Waiting,
  { state, upload, log }: Service,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1; !signal.aborted; tries += 1) {
    try {
      const storageId = (await upload(await api.fetchFile(fileId, signal), signal)) as Id<"_storage">;
      await state.mutation(internal.telegramInbox.takeFile, { id, storageId });
      return;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toNikaError(thrown);
      log(`telegram: a file was not fetched: ${error.message}`);
      if (error.code !== "unavailable" || tries === fetchTriesMax) {
        await persist(() => state.mutation(internal.telegramInbox.failFile, { id, problem: error.message }), signal);
        return;
      }
      await pause(retryAfterMs(thrown) ?? 500 * 2 ** tries, signal);
    }
  }
}

type Watched = {
  readonly state: State;
  readonly query: Parameters<State["watch"]>[0];
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
};

/** Works on each new result of a query, one at a time; results that come meanwhile are looked at once, as the latest. */
async function each({ state, query, signal, log }: Watched, work: (result: unknown) => Promise<unknown>): Promise<void> {
  let latest: { readonly result: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const unwatch = state.watch(
    query,
    {},
    (result: unknown) => {
      latest = { result };
      wake.resolve();
    },
    (error) => log(`telegram: ${error.message}`),
  );
  const stop = (): void => wake.resolve();
  signal.addEventListener("abort", stop, { once: true });
  try {
    while (!signal.aborted) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
      if (signal.aborted) return;
      const taken = latest;
      latest = undefined;
      if (!taken) continue;
      await work(taken.result).catch((error: unknown) => log(`telegram: ${toNikaError(error).message}`));
    }
  } finally {
    signal.removeEventListener("abort", stop);
    unwatch();
  }
}

/** The control plane may be starting anew: what was decided is told it once it is back. */
async function persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  for (;;) {
    try {
      return await work();
    } catch {
      if (signal.aborted) return undefined;
      await pause(1_000, signal);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
}
