/** Where the vectors are: our store, in a thread of this process, a Qdrant in a container of our own, or one that was configured. */
import { createHash } from "node:crypto";
import { mkdirSync, statfsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "./config.ts";
import { dockerContainers } from "./docker/docker.ts";
import type { Log } from "./log.ts";
import { provisionQdrant } from "./qdrant/provision.ts";
import { startVectors, type RunningVectors } from "./vectors/vectors.ts";

export type StoreOptions = {
  readonly config: Config["vectors"];
  readonly dir: string;
  /** Opens the embedded store, and the Qdrant in a container. */
  readonly apiKey: string;
  readonly log: Log;
};
export type OpenStore = {
  readonly url: string;
  readonly apiKey?: string;
  /** Bytes free where it lies, when that is a folder of ours. */
  readonly freeBytes?: () => number;
  close(): Promise<void>;
};

/** Long enough not to spin on a disk that is full, short enough that a question asked again is answered. */
const restartAfterMs = 1_000;

/** An image of a hundred megabytes over a slow line, and its first start. */
const provisionMs = 15 * 60_000;

/** An embedded store whose thread dies comes back on the same port, so its clients need not know. */
export async function openStore({ config, dir, apiKey, log }: StoreOptions): Promise<OpenStore> {
  if (config.type === "qdrant" && "container" in config) {
    const { port, image } = config.container;
    // Each folder of data has a container and a volume of its own: two appliances on one machine must not share a vault.
    const name = `nika-qdrant-${createHash("sha256").update(dir).digest("hex").slice(0, 8)}`;
    const options = { containers: dockerContainers(), apiKey, port, name, ...(image !== undefined && { image }) };
    const { url, version, stop } = await provisionQdrant(options, AbortSignal.timeout(provisionMs));
    log(`vectors: Qdrant ${version} in a container, on port ${port}`);
    return { url, apiKey, close: stop };
  }
  if (config.type === "qdrant") {
    return { url: config.url, ...(config.apiKey !== undefined && { apiKey: config.apiKey }), close: async () => undefined };
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const closing = new AbortController();
  const start = (port?: number): Promise<RunningVectors> =>
    startVectors({ dir, apiKey, host: "127.0.0.1", log, onExit: revive, ...(port !== undefined && { port }) });
  // The first start picks the port, and may fail: then there is no appliance.
  const first = await start();
  let running: Promise<RunningVectors | undefined> = Promise.resolve(first);

  function revive(why: string): void {
    log(`vectors: the store ended (${why}) and is started again`);
    running = restart();
  }

  async function restart(): Promise<RunningVectors | undefined> {
    while (!closing.signal.aborted) {
      try {
        return await start(Number(new URL(first.url).port));
      } catch (error) {
        log(`vectors: ${String(error)}`);
        await delay(restartAfterMs, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
    return undefined;
  }

  return {
    url: first.url,
    apiKey,
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(dir);
      return bavail * bsize;
    },
    async close() {
      closing.abort();
      await (await running)?.close();
    },
  };
}
