/** HTTP on loopback: keys, bodies, the envelope and the errors. What is asked for is in routes.ts. */
import { createHash, timingSafeEqual } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { basename } from "node:path";
import { pipeline } from "node:stream";
import { isObject } from "./body.ts";
import { Refusal } from "./refusal.ts";
import { findRoute } from "./routes.ts";
import { openPaths } from "./routes/service.ts";
import type { Store } from "./store.ts";

export type ServeOptions = { readonly store: Store; readonly apiKey: string; readonly log: (line: string) => void };

// Qdrant's own default; 256 vectors of 1,408 floats take a quarter of it.
const bodyBytesMax = 32 * 1024 * 1024;
// Longer than any client of ours idles, so that the client and not the server ends a connection: no request meets a closing socket.
const keepAliveMs = 75_000;

export function serve({ store, apiKey, log }: ServeOptions): Server {
  const expected = digest(apiKey);
  const server = createServer({ keepAliveTimeout: keepAliveMs, noDelay: true }, (request, response) => {
    const startedAt = performance.now();
    answer({ request, store, expected }).then(
      (reply) => send(response, reply, startedAt),
      (error: unknown) => {
        if (error instanceof Refusal) return send(response, { status: error.status, error: error.message }, startedAt);
        log(
          `vectors: ${request.method} ${request.url}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
        return send(response, { status: 500, error: "Service internal error: see the log" }, startedAt);
      },
    );
  });
  return server;
}

type Reply =
  | { readonly status: 200; readonly result: unknown }
  | { readonly status: 200; readonly bare: unknown }
  | { readonly status: 200; readonly text: string }
  | { readonly status: 200; readonly file: string }
  | { readonly status: number; readonly error: string };

type Asked = { readonly request: IncomingMessage; readonly store: Store; readonly expected: Buffer };

async function answer({ request, store, expected }: Asked): Promise<Reply> {
  // Split by hand: a URL parser reads `//x` as a host and folds `..`, and what is checked must be what is routed.
  const [target = "/", search = ""] = (request.url ?? "/").split("?", 2);
  const pathname = target.length > 1 && target.endsWith("/") ? target.slice(0, -1) : target;
  if (!openPaths.includes(pathname)) checkKey(request, expected);
  const found = findRoute(request.method ?? "GET", pathname);
  if (!found) throw new Refusal(404, `Not found: the embedded store does not answer ${request.method} ${pathname}`);
  const { route, path } = found;
  const body = route.isStreamed ? {} : await readBody(request);
  if (route.method !== "GET" && route.isReading !== true) await store.settled();
  const before = store.commits;
  const result = await route.answer({ store, path, search: new URLSearchParams(search), body, request });
  // Who wrote hears of it when it is there for good; who only reads waits for no disk.
  if (store.commits !== before) await store.durable();
  if (isObject(result) && Object.keys(result).length === 1) {
    if (typeof result["text"] === "string") return { status: 200, text: result["text"] };
    if (typeof result["file"] === "string") return { status: 200, file: result["file"] };
    if ("bare" in result) return { status: 200, bare: result["bare"] };
  }
  return { status: 200, result };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** In constant time: hashes of one length are compared, whatever was sent. */
function checkKey({ headers }: IncomingMessage, expected: Buffer): void {
  const given = headers["api-key"] ?? /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  if (given === undefined) throw new Refusal(401, "Must provide an API key or an Authorization bearer token");
  if (!timingSafeEqual(digest(String(given)), expected)) throw new Refusal(401, "Invalid API key or JWT");
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return {};
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new Refusal(400, `Format error in JSON body: ${(error as Error).message}`);
  }
  if (!isObject(body)) throw new Refusal(400, "Format error in JSON body: expected an object");
  return body;
}

/** By events: iterating over the stream costs a tenth of a millisecond, which is a tenth of an answer. */
function readBytes(request: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > bodyBytesMax) {
      request.pause();
      reject(new Refusal(413, `Payload error: a JSON body larger than ${bodyBytesMax} bytes`));
    } else chunks.push(chunk);
  });
  request.on("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)));
  request.on("error", () => reject(new Refusal(400, "Format error in JSON body: it was cut off")));
  return promise;
}

function send(response: ServerResponse, reply: Reply, startedAt: number): void {
  if ("text" in reply) {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(reply.text);
    return;
  }
  if ("file" in reply) return sendFile(response, reply.file);
  const time = (performance.now() - startedAt) / 1000;
  const json =
    "error" in reply
      ? { status: { error: reply.error }, time }
      : "bare" in reply
        ? reply.bare
        : { result: reply.result, status: "ok", time };
  const bytes = Buffer.from(JSON.stringify(json));
  response.writeHead(reply.status, {
    "content-type": "application/json",
    "content-length": bytes.length,
    // What is left of a body that was refused half-way must not be taken for the next request.
    ...(reply.status === 413 && { connection: "close" }),
  });
  response.end(bytes);
}

/** In pieces; a client that goes away ends it. */
function sendFile(response: ServerResponse, path: string): void {
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    "content-length": statSync(path).size,
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(basename(path))}`,
  });
  pipeline(createReadStream(path), response, (error) => void (error && response.destroy()));
}
