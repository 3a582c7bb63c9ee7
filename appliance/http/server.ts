/**
 * The one listening socket. It checks that the request was meant for us (a page on another name must not reach us through the owner's
 * browser: DNS rebinding), and hands it to the control plane, to Nika's own routes, or to the page.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { NikaError } from "../../convex/model/error.ts";
import { sendStatic } from "./static.ts";
import type { Routes } from "./routes.ts";

/** What the embedded engine offers the server; absent when Convex runs elsewhere. */
export type Backend = {
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
};

export type ServerOptions = {
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | undefined;
  readonly webDir: string;
};

export type HttpServer = {
  /** `http://127.0.0.1:6452`: no slash at the end. */
  readonly origin: string;
  readonly port: number;
  /** Requests that come before this are told to come back. `connectTo` is what the page may open connections to, besides us. */
  serve(parts: {
    backend: Backend | undefined;
    routes: Routes;
    connectTo: string;
    /** Further names that the owner made known while we run, port included. */
    isOurName?: (host: string) => boolean;
  }): void;
  close(): Promise<void>;
};

/** A 64 MB file over a slow phone line takes its time; Node's own limit of five minutes would cut it off. */
const uploadMsMax = 30 * 60_000;

/** Listens at once, so that a taken port is known before anything else starts. Fails with `conflict`. */
export async function openServer(options: ServerOptions): Promise<HttpServer> {
  let parts: Parameters<HttpServer["serve"]>[0] | undefined;
  const server = createServer((request, response) => {
    if (!isForUs(request, options.publicUrl, parts?.isOurName))
      return refuse(response, 421, "This address is not one Nika answers to; see NIKA_PUBLIC_URL.");
    // Node hands on what no address can be ("//"); those who answer take it for one.
    if (!URL.canParse(request.url ?? "/", "http://nika")) return refuse(response, 400, "This is not an address.");
    if (!parts) return refuse(response, 503, "Nika is starting; try again in a moment.");
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    // Convex has the rest of /api to itself, and answers for what it does not know.
    const isOurs = path.startsWith("/api/schedules") || path.startsWith("/api/bridge/");
    if (isOurs && parts.routes.handle(path, request, response)) return;
    if (parts.backend?.handle(request, response)) return;
    if (parts.routes.handle(path, request, response)) return;
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405, "Only GET works here.");
    if (!sendStatic(options.webDir, path, response, parts.connectTo)) refuse(response, 404, "There is nothing at this address.");
  });
  server.requestTimeout = uploadMsMax;
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy()); // A peer that goes away mid-handshake is no news.
    if (!isForUs(request, options.publicUrl, parts?.isOurName) || !parts?.backend?.upgrade(request, socket, head))
      socket.destroy();
  });
  await listen(server, options);
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : options.port;
  return {
    origin: options.publicUrl ?? `http://127.0.0.1:${port}`,
    port,
    serve(given) {
      parts = given;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function listen(server: Server, { host, port }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE")
        reject(
          new NikaError("conflict", `Port ${port} is in use by another program; choose another with --port.`, { cause: error }),
        );
      else if (error.code === "EACCES")
        reject(
          new NikaError("denied", `Nika may not listen on port ${port}; choose one above 1023 with --port.`, { cause: error }),
        );
      else reject(error);
    });
    server.listen(port, host, resolve);
  });
}

/** Names that can only mean this machine, plus the one its owner configured. */
function isForUs(
  request: IncomingMessage,
  publicUrl: string | undefined,
  isOurName: (host: string) => boolean = () => false,
): boolean {
  const host = request.headers.host ?? "";
  const name = host.replace(/:\d+$/, "").toLowerCase();
  const isLocal = name === "127.0.0.1" || name === "localhost" || name === "[::1]";
  return isLocal || (publicUrl !== undefined && host === new URL(publicUrl).host) || isOurName(host);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ code: "unavailable", message }));
}
