/** Finding the appliance that serves a data directory. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import { systemCode } from "../folder/systemCode.ts";

/** What the appliance writes into its data directory while it runs. */
export type Run = {
  readonly pid: number;
  readonly port: number;
  /** Where people reach it; may be a public address. */
  readonly url: string;
  /** Where this machine reaches it, whatever lies between it and the public address. */
  readonly localUrl: string;
  readonly version: string;
  readonly startedAt: number;
};

/** The appliance of this data directory, if its process is alive. A file left behind by a crash counts as nothing. */
export function findRun(dataDir: string): Run | undefined {
  let run: Partial<Run>;
  try {
    run = JSON.parse(readFileSync(join(dataDir, "run.json"), "utf8")) as Partial<Run>;
  } catch (error) {
    if (error instanceof SyntaxError || ["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
  if (typeof run.pid !== "number" || typeof run.url !== "string" || !isAlive(run.pid)) return undefined;
  const port = run.port ?? Number(new URL(run.url).port);
  return {
    pid: run.pid,
    url: run.url.replace(/\/$/, ""),
    localUrl: `http://127.0.0.1:${port}`,
    port,
    version: run.version ?? "",
    startedAt: run.startedAt ?? 0,
  };
}

/** As findRun, but its absence is an error that says what to do. */
export function getRun(dataDir: string): Run {
  const run = findRun(dataDir);
  if (run === undefined) throw new NikaError("unavailable", "Nika is not running; start it with `nika up`.");
  return run;
}

/** The key that lets its holder ask for owner tokens. Whoever can read this file is the owner. */
export function readAdminKey(dataDir: string): string {
  return readFileSync(join(dataDir, "keys", "admin.key"), "utf8").trim();
}

/**
 * Whether the process exists and still runs. A process that ended but was not collected by its parent (common in containers without an
 * init) still answers signals on Linux, so its state is read too.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
  // The state follows the command name, which is in parentheses and may itself contain some: proc_pid_stat(5).
  const state = readProc(pid, "stat")?.match(/\) (\S)[^)]*$/)?.[1];
  return state === undefined || !["Z", "X"].includes(state);
}

/** Whether a process looks like an appliance: pids are used again, and a stranger must not be ended. Unknown counts as yes off Linux. */
export function isNikaProcess(pid: number): boolean {
  const command = readProc(pid, "cmdline");
  return command === undefined ? process.platform !== "linux" : /appliance\/main\.ts|nika/.test(command);
}

function readProc(pid: number, file: "stat" | "cmdline"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
