/** WebSockets: the handshake, signs of life, and a session for each. The only file that knows the `ws` library. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { clientOf } from "../auth/client.ts";
import { openSession, type Session, type SessionParts } from "./session.ts";
import { ping } from "./serverMessage.ts";

/** Arguments may have 16 MiB; a reconnecting client sends those of all its queries in one message. */
const messageBytesMax = 32 * 1024 * 1024;
/** Signs of life, as the original gives and expects them. */
const heartbeatMs = 5_000;
const applicationPingMs = 15_000;
const silenceMsMax = 120_000;
/** Thousands of signs of life in one turn, and as many answers soon after, would hold up whatever comes meanwhile. */
const beatsPerTurn = 200;
const beatPauseMs = 20;
/** Who lets this much pile up unread has stopped reading. */
const unsentBytesMax = 128 * 1024 * 1024;

/** `/api/sync` or `/api/<client version>/sync`. */
const syncPath = /^\/api\/(?:[^/]+\/)?sync$/;

export type Sockets = {
  /** Takes the socket over when the path is that of the sync protocol. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  count(): number;
  close(): Promise<void>;
};

export type SocketsOptions = Omit<SessionParts, "wire" | "client"> & {
  /** Whether pages of this origin may connect; the value of the Origin header. */
  readonly isAllowedOrigin: (origin: string) => boolean;
};

/** Times of a clock that only goes forward: one that is set must not end the sockets. */
type Life = { readonly ws: WebSocket; heardMs: number; saidMs: number };

export function openSockets(options: SocketsOptions): Sockets {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: messageBytesMax });
  const lives = new Set<Life>();
  const heartbeat = setInterval(() => beat([...lives]), heartbeatMs);
  heartbeat.unref();
  return {
    upgrade(request, socket, head) {
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      if (!syncPath.test(path)) return false;
      const { origin } = request.headers;
      if (origin !== undefined && !options.isAllowedOrigin(origin)) {
        socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return true;
      }
      server.handleUpgrade(request, socket, head, (ws) => serve({ ws, socket, request }, options, lives));
      return true;
    },
    count: () => lives.size,
    async close() {
      clearInterval(heartbeat);
      // Going away: clients come back by themselves, soon.
      for (const { ws } of lives) ws.close(1001, "InternalServerError: restarting");
      const closed = new Promise<void>((done) => server.close(() => done()));
      const impatience = setTimeout(() => lives.forEach(({ ws }) => ws.terminate()), 1000);
      await closed;
      clearTimeout(impatience);
    },
  };
}

type Opened = { readonly ws: WebSocket; readonly socket: Duplex; readonly request: IncomingMessage };

function serve({ ws, socket, request }: Opened, options: SocketsOptions, lives: Set<Life>): void {
  const life: Life = { ws, heardMs: performance.now(), saidMs: performance.now() };
  lives.add(life);
  const session: Session = openSession({
    ...options,
    client: (asker) => clientOf(request, asker),
    wire: {
      send(text, onFlushed) {
        life.saidMs = performance.now();
        if (ws.bufferedAmount > unsentBytesMax) ws.terminate();
        // Short texts go past the library, as the frame it would have made (it sends at once, in order, and never compresses here).
        if (text.length <= framedCharsMax && ws.readyState === ws.OPEN) socket.write(frameOf(text), onFlushed);
        else ws.send(text, () => onFlushed?.());
      },
      together() {
        socket.cork();
        return () => socket.uncork();
      },
      close: (code, reason) => ws.close(code, reason),
    },
  });
  ws.on("message", (data: RawData, isBinary: boolean) => {
    life.heardMs = performance.now();
    if (isBinary) session.reject("Messages must be text.");
    else session.receive((data as Buffer).toString());
  });
  ws.on("pong", () => (life.heardMs = performance.now()));
  ws.on("ping", () => (life.heardMs = performance.now()));
  // A frame that breaks the WebSocket protocol, or is too long: `ws` closes the socket itself.
  ws.on("error", () => undefined);
  ws.on("close", () => {
    lives.delete(life);
    session.end();
  });
}

const framedCharsMax = 64 * 1024;
let lastText = "";
let lastFrame = Buffer.alloc(0);

/** A whole WebSocket message of text (RFC 6455, 5.2). One commit sends the same words to many sockets: they are put into bytes once. */
function frameOf(text: string): Buffer {
  if (text === lastText) return lastFrame;
  const size = Buffer.byteLength(text);
  const headSize = size < 126 ? 2 : size < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headSize + size);
  frame[0] = 0x81; // The last and only part of a text.
  frame[1] = size < 126 ? size : size < 65_536 ? 126 : 127;
  if (headSize === 4) frame.writeUInt16BE(size, 2);
  if (headSize === 10) frame.writeBigUInt64BE(BigInt(size), 2);
  frame.write(text, headSize);
  lastText = text;
  lastFrame = frame;
  return frame;
}

/** Some now, the rest a little later. */
function beat(lives: readonly Life[]): void {
  const uptimeMs = performance.now();
  for (const life of lives.slice(0, beatsPerTurn)) {
    if (uptimeMs - life.heardMs > silenceMsMax) life.ws.terminate();
    else if (life.ws.readyState === life.ws.OPEN) {
      life.ws.ping();
      if (uptimeMs - life.saidMs >= applicationPingMs) {
        life.saidMs = uptimeMs;
        life.ws.send(ping);
      }
    }
  }
  if (lives.length > beatsPerTurn) setTimeout(() => beat(lives.slice(beatsPerTurn)), beatPauseMs).unref();
}
