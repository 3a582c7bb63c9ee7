/** Starts and stops engines in processes of their own, each on a folder of its own. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Stats = {
  readonly runs: number;
  readonly rss: number;
  readonly heap: number;
};
export type Host = {
  readonly url: string;
  readonly dir: string;
  /** From the start of the process until it listens. */
  readonly startMs: number;
  stats(): Promise<Stats>;
  /** When the engine heard of its last commit, as `process.hrtime.bigint()` tells time. */
  committedAt(): Promise<bigint>;
  /** Ends it; its folder stays. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export const adminKey = "bench|00";
/** In place of an app's folder: it waits for a push. */
export const noApp = "-";
const benchApp = join(import.meta.dirname, "..", "_app");

export async function startEngine(options: { readonly dir?: string; readonly app?: string } = {}): Promise<Host> {
  const dir = options.dir ?? (await scratch("engine"));
  const startedAt = performance.now();
  // With our own flags, so that `node --cpu-prof` on a bench profiles the engine and its threads too.
  const child = fork(join(import.meta.dirname, "engineProcess.ts"), [dir, options.app ?? benchApp]);
  const { url } = (await told(child)) as { url: string };
  const startMs = performance.now() - startedAt;
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.send("close");
    await gone;
  };
  return {
    url,
    dir,
    startMs,
    stats: async () => {
      child.send("stats");
      return (await told(child)) as Stats;
    },
    committedAt: async () => {
      child.send("commit");
      return BigInt(((await told(child)) as { committedAt: string }).committedAt);
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      if (!options.dir) await rm(dir, { recursive: true, force: true });
    },
  };
}

export async function scratch(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `bench-${name}-`));
}

/** What a child says next; fails when it ends instead. */
export async function told(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`A process of the bench ended with ${code}.`));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message);
    });
  });
}
