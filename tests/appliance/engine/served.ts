/** An engine behind a real HTTP server on a free port, and clients that are closed with it. */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { engineAround, type Engine, type EngineOptions } from "../../../appliance/engine/engine.ts";
import type { Core } from "../../../appliance/engine/core.ts";

export const adminKey = "nika|0123456789abcdef";

export type Served = AsyncDisposable & {
  readonly url: string;
  readonly dir: string;
  readonly engine: Engine;
  /** Everything the engine logged. */
  readonly logged: string[];
  /** Live sockets, to be cut by a test. */
  readonly sockets: Set<Duplex>;
  client(): ConvexClient;
  httpClient(): ConvexHttpClient;
  /** Closes the engine and opens another over the same data; clients find it at the same address. */
  restart(open: (dir: string, origin: () => string) => Promise<Core>): Promise<void>;
};

type Options = Partial<Pick<EngineOptions, "allowedOrigins" | "nowMs" | "dir">>;

export async function serve(open: (dir: string, origin: () => string) => Promise<Core>, options: Options = {}): Promise<Served> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "engine-")));
  const sockets = new Set<Duplex>();
  const clients: ConvexClient[] = [];
  const logged: string[] = [];
  let engine: Engine | undefined;
  const server = createServer((request, response) => {
    if (!engine?.handle(request, response)) response.writeHead(404).end();
  });
  server.on("upgrade", (request, socket: Socket, head) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    if (!engine?.upgrade(request, socket, head)) socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const start = async (openNext: typeof open): Promise<Engine> => {
    const core = await openNext(dir, () => url);
    return engineAround(core, { dir, adminKey, origin: () => url, log: (line) => void logged.push(line), ...options });
  };
  let running = (engine = await start(open));
  return {
    url,
    dir,
    get engine() {
      return running;
    },
    logged,
    sockets,
    client() {
      const client = new ConvexClient(url, { logger: false, unsavedChangesWarning: false });
      clients.push(client);
      return client;
    },
    httpClient: () => new ConvexHttpClient(url, { logger: false }),
    async restart(openNext) {
      engine = undefined;
      await running.close();
      running = engine = await start(openNext);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
      await running.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Collects what a subscription tells, and waits for a value that pleases. */
export function collector<T>(): {
  readonly seen: T[];
  readonly push: (value: T) => void;
  until(isGood: (value: T) => boolean): Promise<T>;
} {
  const seen: T[] = [];
  const waiting = new Set<() => void>();
  return {
    seen,
    push(value) {
      seen.push(value);
      for (const look of waiting) look();
    },
    until: (isGood) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = seen.find(isGood);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}
