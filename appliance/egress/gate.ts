/**
 * The outer end of the way out of a sandbox. Programs inside ask as they would ask an HTTP proxy; here it is decided, the name resolved,
 * the address checked and kept, and every connection told of. What comes through the pipe is hostile until shown otherwise.
 */
import { lookup } from "node:dns/promises";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import { finished, Transform, type Duplex, type Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { SandboxConnection } from "../../functions/ports/sandboxes.ts";
import { isPublic, toAllowed, toPlace, wordsOf, type Place } from "./addresses.ts";
import { readHello } from "./clientHello.ts";
import { openMux } from "./guest/frames.ts";

export type EgressLimits = {
  /** Both ways together, over the life of the sandbox. */
  readonly bytesMax: number;
  readonly connectionsMax: number;
  /** A connection on which nothing moves for so long is cut. */
  readonly idleMs: number;
  readonly connectMs: number;
};

export const egressLimits: EgressLimits = { bytesMax: 1 << 30, connectionsMax: 32, idleMs: 120_000, connectMs: 10_000 };

export type GateOptions = {
  readonly sandbox: string;
  /** `host:port`, exactly. */
  readonly allowed: readonly string[];
  readonly report: (connection: SandboxConnection) => void;
  readonly limits?: Partial<EgressLimits>;
  /** Every address of a name. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly now?: () => number;
};

/** Talks to the relay inside over these until either is over. */
export type Gate = { serve(input: Readable, output: Writable): void; close(): void };

/** What is asked for where TLS is spoken from the first byte on. */
const tlsPorts = new Set([443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2376, 5061, 5671, 6443, 6514, 8443, 8883, 9443]);
const tlsFirstByte = 22;
const hopByHop = new Set(
  "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade host".split(
    " ",
  ),
);

/** A connection that may not be. `status`: what the program is told. */
class Refusal extends Error {
  readonly status: number;

  constructor(reason: string, status = 403) {
    super(reason);
    this.status = status;
  }
}

/** Fails with `invalid` when what is allowed cannot be read. */
export function openGate(options: GateOptions): Gate {
  const { sandbox, report, resolve = resolveAll, now = Date.now } = options;
  const limits = { ...egressLimits, ...options.limits };
  const allowed = toAllowed(options.allowed);
  const muxes = new Set<{ close(): void }>();
  let spent = 0;
  let pipeBytes = 0;

  /** One connection's account: told once, when it is over. */
  function account(to: string) {
    const at = now();
    let [bytesIn, bytesOut] = [0, 0];
    let reason: string | undefined;
    let isAllowed = false;
    let isTold = false;
    return {
      admit: () => void (isAllowed = true),
      cut: (why: string) => void (reason ??= why),
      count(direction: "in" | "out", bytes: number): void {
        if (direction === "in") bytesIn += bytes;
        else bytesOut += bytes;
        if ((spent += bytes) > limits.bytesMax) throw new Refusal("the sandbox has used up the bytes it may send and receive");
      },
      tell(): void {
        if (isTold) return;
        isTold = true;
        report({ sandbox, to, allowed: isAllowed, ...(reason !== undefined && { reason }), bytesIn, bytesOut, at });
      },
    };
  }
  type Account = ReturnType<typeof account>;

  /** The address to connect to. Fails with a refusal. */
  async function admit(words: string): Promise<{ place: Place; address: string }> {
    const place = toPlace(words);
    if (!place) throw new Refusal("it is not written as a plain host and port");
    if (!allowed.has(wordsOf(place))) throw new Refusal("it is not on the list of this sandbox");
    if (isIP(place.host)) return { place, address: place.host };
    const addresses = await within(limits.connectMs, resolve(place.host)).catch(() => []);
    const [first] = addresses;
    if (first === undefined) throw new Refusal("its name cannot be resolved", 502);
    const inside = addresses.find((address) => !isPublic(address) && !allowed.has(wordsOf({ host: address, port: place.port })));
    // One bad address is enough: a name that leads both outside and inside was made to.
    if (inside !== undefined) throw new Refusal(`its name leads to ${inside}, which is not on the internet`);
    return { place, address: first };
  }

  async function dial(address: string, port: number): Promise<Socket> {
    const socket = connect({ host: address, port, allowHalfOpen: true, timeout: limits.connectMs });
    await new Promise<void>((done, fail) => {
      socket.once("connect", done);
      socket.once("timeout", () => fail(new Refusal("it does not answer", 504)));
      socket.once("error", () => fail(new Refusal("it cannot be reached", 502)));
    }).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    socket.on("error", () => undefined);
    socket.setTimeout(0);
    return socket;
  }

  /** Counts what passes, holds back what `inspect` wants to see more of, and fails when either refuses. */
  function metered(
    direction: "in" | "out",
    told: Account,
    { moved, inspect }: { moved?: () => void; inspect?: Inspect } = {},
  ): Transform {
    let held: Buffer | undefined = inspect && Buffer.alloc(0);
    return new Transform({
      highWaterMark: 64 * 1024,
      transform(chunk: Buffer, _encoding, done) {
        moved?.();
        try {
          told.count(direction, chunk.length);
          if (held === undefined || !inspect) return done(null, chunk);
          held = Buffer.concat([held, chunk]);
          if (!inspect(held)) return done();
          const all = held;
          held = undefined;
          done(null, all);
        } catch (error) {
          done(error as Error);
        }
      },
      flush(done) {
        done(held !== undefined && held.length > 0 ? new Refusal("it never said whom it talks to") : null);
      },
    });
  }

  /** Passes bytes both ways until both are over, one breaks, or nothing moves. */
  async function join(
    inside: Duplex,
    outside: Socket,
    { place, head, told }: { place: Place; head: Buffer; told: Account },
  ): Promise<void> {
    const end = (why?: string): void => {
      if (why !== undefined) told.cut(why);
      inside.destroy();
      outside.destroy();
    };
    const idle = setTimeout(end, limits.idleMs, "nothing moved on it");
    const moved = () => void idle.refresh();
    const outwards = metered("out", told, { moved, inspect: firstWords(place) });
    if (head.length > 0) outwards.write(head);
    const settle = (one: Promise<void>) =>
      one.catch((error: unknown) => end(error instanceof Refusal ? error.message : undefined));
    await Promise.all([
      settle(pipeline(inside, outwards, outside)),
      settle(pipeline(outside, metered("in", told, { moved }), inside)),
    ]);
    clearTimeout(idle);
  }

  async function tunnel(asked: IncomingMessage, inside: Duplex, head: Buffer): Promise<void> {
    const words = asked.url ?? "";
    const told = account(words);
    let outside: Socket | undefined;
    try {
      const { place, address } = await admit(words);
      outside = await dial(address, place.port);
      told.admit();
      inside.write("HTTP/1.1 200 Connection established\r\n\r\n");
      await join(inside, outside, { place, head, told });
    } catch (error) {
      outside?.destroy();
      const refusal = toRefusal(error);
      told.cut(refusal.message);
      if (inside.writable && !outside) inside.end(answer(refusal, words));
      else inside.destroy();
    } finally {
      told.tell();
    }
  }

  async function forward(asked: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.canParse(asked.url ?? "") ? new URL(asked.url ?? "") : undefined;
    const words = url ? `${url.hostname}:${url.port || 80}` : (asked.url ?? "").slice(0, 200);
    const told = account(words);
    try {
      if (url?.protocol !== "http:") throw new Refusal("only http is passed on like this; use CONNECT", 400);
      if (url.username !== "" || url.password !== "") throw new Refusal("an address may not hold a password", 400);
      const { place, address } = await admit(words);
      told.admit();
      await pass(asked, response, { url, place, address, told });
    } catch (error) {
      const refusal = toRefusal(error);
      told.cut(refusal.message);
      if (response.headersSent) response.destroy();
      else
        response.writeHead(refusal.status, { "content-type": "text/plain", connection: "close" }).end(sentence(refusal, words));
    } finally {
      told.tell();
    }
  }

  type Passing = { readonly url: URL; readonly place: Place; readonly address: string; readonly told: Account };

  async function pass(asked: IncomingMessage, response: ServerResponse, { url, place, address, told }: Passing): Promise<void> {
    const onwards = httpRequest({
      host: address,
      port: place.port,
      method: asked.method,
      path: `${url.pathname}${url.search}`,
      // Ours, so that what is asked for is what was allowed.
      headers: { ...passedOn(asked), host: url.host },
      setHost: false,
      agent: false,
      timeout: limits.idleMs,
    });
    onwards.once("timeout", () => onwards.destroy(new Refusal("nothing moved on it", 504)));
    const answered = new Promise<IncomingMessage>((done, fail) => {
      onwards.once("response", done);
      onwards.once("error", (error) => fail(error instanceof Refusal ? error : new Refusal("it cannot be reached", 502)));
    });
    response.once("close", () => onwards.destroy());
    const sent = pipeline(asked, metered("out", told), onwards);
    sent.catch(() => undefined);
    const answer = await answered;
    response.writeHead(answer.statusCode ?? 502, passedOn(answer));
    await pipeline(answer, metered("in", told), response);
    await sent.catch((error: unknown) => {
      if (error instanceof Refusal) throw error;
    });
  }

  const server = createServer({ maxHeaderSize: 32 * 1024, requireHostHeader: false, insecureHTTPParser: false });
  server.on("connect", (asked, inside, head) => void tunnel(asked, inside, head));
  server.on("request", (asked, response) => void forward(asked, response));
  // Refused before it begins: what is upgraded is no longer HTTP, which is all that can be passed on request by request.
  server.on("upgrade", (_asked, inside) => inside.end("HTTP/1.1 501 Not Implemented\r\nconnection: close\r\n\r\n"));
  server.on("clientError", (_error, inside) => inside.destroy());

  return {
    serve(input, output) {
      const mux = openMux({
        input,
        output,
        openMax: limits.connectionsMax,
        mayTake: (bytes) => {
          // Frames that carry nothing are paid for like those that do, or they would be free to send for ever.
          pipeBytes += bytes;
          return pipeBytes <= limits.bytesMax * 2 + (64 << 20);
        },
        accept(connection) {
          // Until it has said what it wants, too.
          const silence = setTimeout(() => connection.destroy(), limits.idleMs);
          connection.once("data", () => clearTimeout(silence));
          finished(connection, () => clearTimeout(silence));
          server.emit("connection", connection);
        },
        closed(reason) {
          muxes.delete(mux);
          if (reason !== undefined)
            report({
              sandbox,
              to: "",
              allowed: false,
              reason: `the way out was closed: ${reason}`,
              bytesIn: 0,
              bytesOut: 0,
              at: now(),
            });
        },
      });
      muxes.add(mux);
    },
    close() {
      for (const mux of muxes) mux.close();
    },
  };
}

/** Looks at what a client says first; true when it may pass, false when more must be seen. Fails with a refusal. */
type Inspect = (bytes: Buffer) => boolean;

/** In a tunnel nobody else would notice that a client talks to another than it named. */
function firstWords({ host, port }: Place): Inspect {
  return (bytes) => {
    if (!tlsPorts.has(port) && bytes[0] !== tlsFirstByte) return true;
    const hello = readHello(bytes);
    if (hello.type === "more") return false;
    if (hello.type === "bad") throw new Refusal(hello.reason);
    if (hello.isHidden) throw new Refusal("it hides whom it talks to (encrypted client hello)");
    // An address is never said in the open.
    if (hello.name !== (isIP(host) ? undefined : host))
      throw new Refusal(`inside TLS it asks for ${hello.name ?? "nobody"} instead`);
    return true;
  };
}

const resolveAll = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true, order: "ipv4first" })).map(({ address }) => address);

/** Headers that are meant for the other end, not for who stands between. */
function passedOn({ headers }: IncomingMessage): Record<string, string | string[]> {
  const named = new Set((headers.connection ?? "").toLowerCase().split(/\s*,\s*/));
  const kept = Object.entries(headers).filter(([name, value]) => value !== undefined && !hopByHop.has(name) && !named.has(name));
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}

const toRefusal = (error: unknown): Refusal => (error instanceof Refusal ? error : new Refusal("the connection broke", 502));

const sentence = ({ message }: Refusal, to: string): string =>
  `Nika does not connect this sandbox to ${to.slice(0, 200)}: ${message}.\n`;

function answer(refusal: Refusal, to: string): string {
  const body = sentence(refusal, to);
  const head = `HTTP/1.1 ${refusal.status} Refused\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  return head + body;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Refusal("its name cannot be resolved in time", 504)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
