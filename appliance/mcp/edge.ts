/**
 * The gateway on a socket: Streamable HTTP at one address for both eras, and a raw pipe for programs that start their servers. Old clients get a
 * session and with it a server of their own; stateless ones get an answer. Who may ask was checked before.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { NikaError } from "../../convex/model/error.ts";
import type { Session, Visitor } from "./conversation.ts";
import type { Gateway } from "./gateway.ts";
import { strictPipe } from "./guard/strictPipe.ts";

export type Edge = {
  answer(request: IncomingMessage, response: ServerResponse, visitor: Visitor): Promise<void>;
  /** Speaks over the socket until either side ends it. */
  serve(socket: Duplex, visitor: Visitor): void;
  /** Tells stateless listeners that lists changed. */
  announce(): void;
  close(): Promise<void>;
};

type OldSession = {
  readonly visitor: Visitor;
  readonly session: Session;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  lastAt: number;
  /** Requests and streams that are open now. */
  open: number;
};

const bodyBytesMax = 4 * 1024 * 1024;
const drainedBytesMax = 64 * 1024 * 1024;
const sessionsMax = 256;
const idleMs = 60 * 60_000;

export type EdgeOptions = { readonly gateway: Gateway; readonly log: (line: string) => void; readonly now: () => number };

export function openEdge({ gateway, log, now }: EdgeOptions): Edge {
  const sessions = new Map<string, OldSession>();
  const pipes = new Set<() => Promise<void>>();
  const onerror = (error: Error): void => {
    if (!isEveryday(error.message)) log(`mcp: ${error.message}`);
  };
  const modern = createMcpHandler(
    ({ authInfo }) => {
      const visitor = authInfo?.extra?.["visitor"] as Visitor | undefined;
      if (!visitor) throw new NikaError("denied", "Nobody said who asks.");
      const session = gateway.open(visitor, "modern");
      // The SDK closes it with the request.
      // oxlint-disable-next-line unicorn/prefer-add-event-listener
      session.server.onclose = () => void session.end();
      return session.server;
    },
    { legacy: "reject", maxRequestBodySize: bodyBytesMax, onerror },
  );
  const sweep = setInterval(() => {
    for (const [id, old] of sessions) if (old.open === 0 && now() - old.lastAt > idleMs) void end(id);
  }, 60_000).unref();

  async function end(id: string): Promise<void> {
    const old = sessions.get(id);
    sessions.delete(id);
    await old?.session.end();
    await old?.transport.close().catch(() => undefined);
  }

  async function begin(visitor: Visitor): Promise<OldSession> {
    if (sessions.size >= sessionsMax) {
      const [oldest] = [...sessions]
        .filter(([, { open }]) => open === 0)
        .toSorted(([, left], [, right]) => left.lastAt - right.lastAt);
      if (!oldest) throw new NikaError("full", `There are ${sessionsMax} sessions, and all of them are busy.`);
      await end(oldest[0]);
    }
    const session = gateway.open(visitor, "legacy");
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, old),
      onsessionclosed: (id) => void end(id),
      maxRequestBodySize: bodyBytesMax,
    });
    const old: OldSession = { visitor, session, transport, lastAt: now(), open: 0 };
    await session.server.connect(transport);
    return old;
  }

  async function answerOld(request: Request, body: unknown, visitor: Visitor): Promise<Response> {
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : sessions.get(id);
    // A session is its holder's; another's name for it means nothing.
    if (id !== null && known?.visitor.principal !== visitor.principal)
      return problem(404, -32001, "There is no such session; begin a new one.");
    const isBeginning = isInitializeRequest(body) || (Array.isArray(body) && body.some((one) => isInitializeRequest(one)));
    if (!known && !isBeginning)
      return problem(400, -32000, "Begin with initialize, and send the session's id along from then on.");
    const old = known ?? (await begin(visitor));
    old.open += 1;
    old.lastAt = now();
    try {
      return await old.transport.handleRequest(request, body === undefined ? {} : { parsedBody: body });
    } finally {
      old.open -= 1;
      old.lastAt = now();
      if (!known && old.transport.sessionId === undefined) void old.session.end();
    }
  }

  return {
    async answer(incoming, response, visitor) {
      const gone = new AbortController();
      response.once("close", () => {
        if (!response.writableFinished) gone.abort();
      });
      const bytes = await readBody(incoming);
      if (!bytes) throw new NikaError("full", `A request has at most ${bodyBytesMax / 1024 / 1024} MB.`);
      const request = toRequest(incoming, bytes, gone.signal);
      const body = toJson(bytes, incoming);
      const wrong = gateway.disagreement(request.headers, body);
      if (wrong !== undefined) return send(problem(400, headerMismatch, wrong, (body as { id?: unknown }).id), response);
      let reply: Response;
      try {
        const isOld = incoming.method !== "POST" || body === undefined || (await isLegacyRequest(request, body));
        reply = isOld
          ? await answerOld(request, body, visitor)
          : await modern.fetch(request, {
              ...(body !== undefined && { parsedBody: body }),
              authInfo: { token: "", clientId: visitor.principal, scopes: [], extra: { visitor } },
            });
        await send(reply, response);
      } catch (error) {
        // Hanging up is how a stateless call is cancelled.
        if (!gone.signal.aborted) throw error;
      }
    },
    serve(socket, visitor) {
      const opened: Session[] = [];
      const thread = randomUUID();
      const handle = serveStdio(
        ({ era }) => {
          const session = gateway.open({ ...visitor, thread }, era);
          opened.push(session);
          return session.server;
        },
        { transport: strictPipe(socket), onerror },
      );
      const stop = async (): Promise<void> => {
        pipes.delete(stop);
        await handle.close().catch(() => undefined);
        await Promise.all(opened.map((session) => session.end()));
        socket.destroy();
      };
      pipes.add(stop);
      socket.on("error", () => socket.destroy());
      socket.once("close", () => void stop());
      socket.once("end", () => void stop());
    },
    announce() {
      modern.notify.toolsChanged();
      modern.notify.promptsChanged();
      modern.notify.resourcesChanged();
    },
    async close() {
      clearInterval(sweep);
      await modern.close();
      await Promise.all([...[...sessions.keys()].map(end), ...[...pipes].map((stop) => stop())]);
    },
  };
}

const headerMismatch = -32020;
const problem = (status: number, code: number, message: string, id: unknown = null): Response =>
  Response.json({ jsonrpc: "2.0", error: { code, message }, id }, { status });

/** What clients do wrong every day is told to them, and is no news here. */
const isEveryday = (message: string): boolean =>
  /not connected|aborted|closed|parse error|bad request|unsupported/i.test(message);

/** Undefined when it is too large; it is read to its end all the same, or the sender would never see the answer. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes <= bodyBytesMax) chunks.push(chunk);
    if (sizeBytes > drainedBytesMax) break;
  }
  if (sizeBytes > bodyBytesMax) return undefined;
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

function toJson(bytes: Buffer, { headers }: IncomingMessage): unknown {
  if (bytes.length === 0 || !/^application\/json\b/i.test(headers["content-type"] ?? "")) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    // The SDK says so in its own words.
    return undefined;
  }
}

function toRequest(incoming: IncomingMessage, body: Buffer, signal: AbortSignal): Request {
  const { method = "GET" } = incoming;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers))
    // Who asks is known; what he showed goes no further, so that nothing can hand it on.
    if (name !== "authorization" && name !== "cookie")
      for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  const hasBody = method !== "GET" && method !== "HEAD" && body.length > 0;
  return new Request(new URL(incoming.url ?? "/", "http://127.0.0.1"), {
    method,
    headers,
    signal,
    ...(hasBody && { body: new Uint8Array(body) }),
  });
}

async function send(reply: Response, response: ServerResponse): Promise<void> {
  const headers = { ...Object.fromEntries(reply.headers), "cache-control": "no-store", "x-accel-buffering": "no" };
  response.writeHead(reply.status, headers);
  if (!reply.body) {
    response.end();
    return;
  }
  // A stream that waits for news must be known to be there.
  response.flushHeaders();
  const reader = reply.body.getReader();
  response.once("close", () => void reader.cancel().catch(() => undefined));
  for (let piece = await reader.read(); !piece.done; piece = await reader.read())
    // Who does not read holds up whoever writes, unless he goes away.
    if (!response.write(piece.value)) await Promise.race([once(response, "drain"), once(response, "close")]);
  response.end();
}
