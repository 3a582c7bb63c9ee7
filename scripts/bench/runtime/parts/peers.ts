/**
 * BullMQ on a Redis that syncs its log with each write or each second, graphile-worker and pg-boss on a Postgres: servers of this run's
 * own with throw-away data, the packages in a folder of their own. Names only those that could be had here.
 */
import { execFile, fork, spawn, type ChildProcess } from "node:child_process";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { existsSync, globSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../../../lab/freePort.ts";
import type { Measured } from "./measured.ts";

const run = promisify(execFile);
export type PeerName = "bullmq-always" | "bullmq-everysec" | "graphile-worker" | "pg-boss";
type Load = { readonly concurrency: number; readonly jobs: number };

export type Peers = {
  readonly names: readonly PeerName[];
  measure(name: PeerName, mode: string, load: Load): Promise<Measured>;
  stop(): Promise<void>;
};

/** The slow ones get fewer jobs: what they do in a second is the same. */
const jobsMax: Record<PeerName, number> = {
  "bullmq-always": 10_000,
  "bullmq-everysec": 10_000,
  "graphile-worker": 3_000,
  "pg-boss": 3_000,
};

export async function startPeers(): Promise<Peers | undefined> {
  const dir = await mkdtemp(join(tmpdir(), "bench-queues-"));
  const packages = ["bullmq@5", "graphile-worker@0.16", "pg-boss@12.35.0", "pg@8"];
  try {
    await run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", dir, ...packages], { timeout: 120_000 });
  } catch (error) {
    console.error(`peers: their packages cannot be had here (${String(error).split("\n", 1)[0]})`);
    await rm(dir, { recursive: true, force: true });
    return undefined;
  }
  const children: ChildProcess[] = [];
  const urls = new Map<PeerName, string>();
  for (const [name, fsync] of [
    ["bullmq-always", "always"],
    ["bullmq-everysec", "everysec"],
  ] as const) {
    const redis = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].find((path) => existsSync(path));
    if (!redis) break;
    const port = await freePort();
    const data = await mkdtemp(join(dir, "redis-"));
    const words = ["--bind", "127.0.0.1", "--dir", data, "--save", "", "--appendonly", "yes", "--appendfsync", fsync];
    children.push(spawn(redis, ["--port", `${port}`, ...words], { stdio: "ignore" }));
    urls.set(name, `redis://127.0.0.1:${port}`);
  }
  const postgres = await startPostgres();
  if (postgres) {
    children.push(postgres.server);
    for (const name of ["graphile-worker", "pg-boss"] as const) urls.set(name, postgres.url);
  }
  return {
    names: [...urls.keys()],
    async measure(name, mode, { concurrency, jobs }) {
      const words = [dir, name, urls.get(name) ?? "", mode, `${concurrency}`, `${Math.min(jobs, jobsMax[name])}`];
      const child = fork(join(import.meta.dirname, "peerProcess.ts"), words, { execArgv: [] });
      return new Promise((resolve, reject) => {
        child.once("message", (message) => resolve(message as Measured));
        child.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it said what it measured`)));
      });
    },
    async stop() {
      for (const child of children) {
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGINT");
        await gone;
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function startPostgres(): Promise<{ url: string; server: ChildProcess } | undefined> {
  const bin = globSync("/usr/lib/postgresql/*/bin").toSorted().at(-1);
  if (bin === undefined) return undefined;
  const dir = await mkdtemp(join(tmpdir(), "bench-queues-pg-"));
  // Postgres refuses to run as root; its package made a user for it.
  const who = process.getuid?.() === 0 ? { uid: await numberOf("-u"), gid: await numberOf("-g") } : undefined;
  if (who) await chown(dir, who.uid, who.gid);
  await run(join(bin, "initdb"), ["-D", join(dir, "data"), "-U", "bench", "-A", "trust"], { ...who, cwd: dir });
  const port = await freePort();
  const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=80"].flatMap((one) => ["-c", one]);
  const server = spawn(join(bin, "postgres"), ["-D", join(dir, "data"), "-p", `${port}`, ...settings], {
    ...who,
    cwd: dir,
    stdio: "ignore",
  });
  server.once("exit", () => void rm(dir, { recursive: true, force: true }));
  const isReady = join(bin, "pg_isready");
  for (let turn = 0; turn < 100; turn++) {
    const answer = await run(isReady, ["-h", "127.0.0.1", "-p", `${port}`]).catch(() => undefined);
    if (answer) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  return { url: `postgres://bench@127.0.0.1:${port}/postgres`, server };
}

async function numberOf(which: "-u" | "-g"): Promise<number> {
  return Number((await run("id", [which, "postgres"])).stdout);
}
