/** An engine in a process of its own, which can be killed and started again over the same data at the same address. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../scripts/lab/freePort.ts";

const serving = fileURLToPath(new URL("./serving.ts", import.meta.url));

export type OwnEngine = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  /** Whether its process has ended. */
  hasEnded(): boolean;
  /** Ends it at once, as a loss of power would, and waits until it is gone. */
  kill(): Promise<void>;
  /** Rejects when it ends instead of listening. */
  start(): Promise<void>;
};

type Options = {
  /** Kept afterwards when given. */
  readonly dir?: string;
  readonly functionsDir?: string;
  /** For Node. */
  readonly flags?: readonly string[];
};

export async function ownEngine(options: Options = {}): Promise<OwnEngine> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "nika-own-"));
  const port = await freePort();
  const args = [...(options.flags ?? []), serving, dir, String(port)];
  if (options.functionsDir !== undefined) args.push(options.functionsDir);
  const start = async (): Promise<ChildProcess> => {
    const started = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(started, "exit").then(() => {
      throw new Error("The engine ended before it listened.");
    });
    await Promise.race([once(started.stdout, "data"), ended]);
    ended.catch(() => undefined);
    return started;
  };
  let child = await start();
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const kill = async (): Promise<void> => {
    if (hasEnded()) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return child.pid as number;
    },
    hasEnded,
    kill,
    start: async () => {
      child = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await kill();
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}
