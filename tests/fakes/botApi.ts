/**
 * Telegram's Bot API as far as Nika uses it, on a socket of this machine, with its real rules: an offset confirms what came before it,
 * bots never see bots, markup that does not parse is refused, and so is a post that is too long. Faults are told beforehand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Shown = {
  readonly id: number;
  readonly chatId: number;
  readonly html: string;
  readonly text: string;
  readonly replyTo?: number;
};
/**
 * What goes wrong with the next post: the connection breaks before Telegram took it, or after; Telegram asks to wait, stumbles, or never
 * answers.
 */
export type Fault = "dropBefore" | "dropAfter" | "tooMany" | "stumble" | "hang";

type Update = { readonly update_id: number; readonly message: object };
type Said = {
  text?: string;
  replyTo?: number;
  document?: { name: string; bytes: Buffer };
  chatId?: number;
  isBot?: boolean;
  isGroup?: boolean;
};

export type FakeBotApi = {
  readonly url: string;
  readonly token: string;
  /** What the chat shows, in order. */
  readonly shown: readonly Shown[];
  /** How often each method was called. */
  readonly calls: Readonly<Record<string, number>>;
  readonly faults: Fault[];
  /** How the next answers to `getUpdates` go wrong. */
  readonly pollFaults: ("drop" | "tooMany" | "again" | "reverse" | "conflict")[];
  /** A person writes in a chat; the message's id in it. */
  say(said: Said): number;
  /** Resolves when so many posts are shown. */
  showed(count: number): Promise<readonly Shown[]>;
  /** Resolves when a post hangs. */
  hung(): Promise<void>;
  close(): Promise<void>;
};

export async function openFakeBotApi(token = `123456789:${"A".repeat(35)}`): Promise<FakeBotApi> {
  const shown: Shown[] = [];
  const calls: Record<string, number> = {};
  const faults: Fault[] = [];
  const pollFaults: FakeBotApi["pollFaults"] = [];
  const files = new Map<string, Buffer>();
  let updates: Update[] = [];
  let lastServed: Update[] = [];
  let nextMessage = 1;
  let nextUpdate = 700_000_000;
  const waiting = new Set<() => void>();
  const changed = (): void => {
    for (const wake of waiting) wake();
  };
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo())
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
      });
  };
  let hanging = 0;

  const methods: Record<
    string,
    (args: Record<string, unknown>, request: IncomingMessage, response: ServerResponse) => Promise<void>
  > = {
    getMe: async (_args, _request, response) =>
      ok(response, { id: 123456789, is_bot: true, first_name: "Nika", username: "nika_test_bot" }),
    async getUpdates({ offset = 0, timeout = 0 }, request, response) {
      const from = Number(offset);
      const fault = pollFaults.shift();
      if (fault === "drop") return void request.socket.destroy();
      if (fault === "tooMany") return fail(response, 429, "Too Many Requests: retry after 0", { retry_after: 0 });
      if (fault === "conflict") return fail(response, 409, "Conflict: terminated by other getUpdates request");
      if (fault === "again" && lastServed.length > 0) return ok(response, lastServed);
      updates = updates.filter(({ update_id }) => update_id >= from);
      if (updates.length === 0 && Number(timeout) > 0) {
        let isGone = false;
        request.socket.once("close", () => {
          isGone = true;
          changed();
        });
        await until(() => isGone || updates.some(({ update_id }) => update_id >= from));
        if (isGone) return;
      }
      lastServed = updates.filter(({ update_id }) => update_id >= from);
      ok(response, fault === "reverse" ? lastServed.toReversed() : lastServed);
    },
    async sendMessage({ chat_id: chatId, text, parse_mode: mode, reply_parameters: reply }, request, response) {
      const fault = faults.shift();
      if (fault === "dropBefore") return void request.socket.destroy();
      if (fault === "tooMany") return fail(response, 429, "Too Many Requests: retry after 0", { retry_after: 0 });
      if (fault === "stumble") return fail(response, 500, "Internal Server Error");
      if (fault === "hang") {
        hanging += 1;
        return changed();
      }
      const plain = mode === "HTML" ? readHtml(String(text)) : String(text);
      if (plain === undefined) return fail(response, 400, "Bad Request: can't parse entities");
      if (plain.length > 4096) return fail(response, 400, "Bad Request: message is too long");
      const replyTo = (reply as { message_id?: number } | undefined)?.message_id;
      const post: Shown = {
        id: nextMessage++,
        chatId: Number(chatId),
        html: String(text),
        text: plain,
        ...(replyTo !== undefined && { replyTo }),
      };
      shown.push(post);
      changed();
      if (fault === "dropAfter") return void request.socket.destroy();
      ok(response, { message_id: post.id, date: 0, chat: { id: post.chatId, type: "private" }, text: plain });
    },
    async getFile({ file_id: id }, _request, response) {
      const bytes = files.get(String(id));
      if (!bytes) return fail(response, 400, "Bad Request: invalid file_id");
      ok(response, { file_id: id, file_unique_id: id, file_size: bytes.length, file_path: `documents/${String(id)}` });
    },
  };

  const server = createServer((request, response) => {
    void (async () => {
      const [, kind, name = "", file] = /^\/(file\/)?bot([^/]+)\/(.+)$/u.exec(request.url ?? "") ?? [];
      if (name !== token) return fail(response, 401, "Unauthorized");
      if (kind !== undefined) {
        const bytes = files.get(String(file).replace("documents/", ""));
        return void response.writeHead(bytes ? 200 : 404).end(bytes);
      }
      const method = String(file);
      calls[method] = (calls[method] ?? 0) + 1;
      const run = methods[method];
      if (!run) return fail(response, 404, "Not Found: method not found");
      await run(await readBody(request), request, response);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    shown,
    calls,
    faults,
    pollFaults,
    say({ text, replyTo, document, chatId = 42, isBot = false, isGroup = false }) {
      const id = nextMessage++;
      if (isBot) return id;
      const fileId = document && `file${id}`;
      if (document && fileId !== undefined) files.set(fileId, document.bytes);
      const message = {
        message_id: id,
        date: 0,
        chat: { id: chatId, type: isGroup ? "group" : "private" },
        from: { id: chatId, is_bot: false },
        ...(document
          ? { caption: text, document: { file_id: fileId, file_name: document.name, file_size: document.bytes.length } }
          : { text }),
        ...(replyTo !== undefined && { reply_to_message: { message_id: replyTo } }),
      };
      updates.push({ update_id: nextUpdate++, message });
      changed();
      return id;
    },
    async showed(count) {
      await until(() => shown.length >= count);
      return shown;
    },
    hung: () => until(() => hanging > 0),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The text of it, or undefined when Telegram would refuse the markup. */
function readHtml(html: string): string | undefined {
  const bare = html.replaceAll(/<b>([^<>]*)<\/b>/gu, "$1");
  if (/[<>]|&(?!(?:amp|lt|gt);)/u.test(bare)) return undefined;
  return bare.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

const ok = (response: ServerResponse, result: unknown): void => reply(response, 200, { ok: true, result });
const fail = (response: ServerResponse, status: number, description: string, parameters?: object): void =>
  reply(response, status, { ok: false, error_code: status, description, ...(parameters && { parameters }) });
const reply = (response: ServerResponse, status: number, body: object): void =>
  void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
