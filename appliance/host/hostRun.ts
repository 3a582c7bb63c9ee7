/**
 * What a line of the crontab runs. It needs no running Nika: the rule lies in a file beside, so upkeep goes on while Nika is down. Each
 * run is one line of JSON in DATA/log/host.jsonl.
 */
import { spawn } from "node:child_process";
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Rule } from "../../convex/model/recurrence.ts";
import { isScript, type Script } from "../../convex/model/schedule.ts";
import { nextInstants } from "../../ml/time/next.ts";

/** What a schedule of the machine is, as a file. */
export type HostJob = { readonly id: string; readonly name: string; readonly rule: Rule; readonly script: Script };

export type HostRun = {
  readonly id: string;
  /** The time of the rule that it was run for. */
  readonly occurrence: number;
  readonly start: number;
  readonly end: number;
  /** The script's exit code; 124 when it ran out of time, 75 when the run before it was still at it. */
  readonly code: number;
  /** How much it said. */
  readonly bytes: number;
  readonly text: string;
};

export type HostRunOptions = {
  readonly dataDir: string;
  readonly now: () => number;
  /** Done although it is not one of its times. */
  readonly isForced: boolean;
  /** How the script is run, as an argument vector. */
  readonly command: (script: Script) => readonly [string, ...string[]];
  readonly timeoutMs?: number;
};

const timeoutMsDefault = 30 * 60_000;
/** Cron fires at the beginning of a minute, or a little later on a busy machine. */
const lateMs = 90_000;
const textCharsMax = 2_000;
const timedOut = 124;
const heldUp = 75;

export const hostDir = (dataDir: string): string => join(dataDir, "host");
const jobPath = (dataDir: string, id: string): string => join(hostDir(dataDir), `${id}.json`);

/** Undefined when this is none of its times, or that one was run already: nothing is done then. */
export async function runHostJob(id: string, options: HostRunOptions): Promise<HostRun | undefined> {
  const { dataDir, now, isForced, command, timeoutMs = timeoutMsDefault } = options;
  const job = readJob(dataDir, id);
  const start = now();
  const occurrence = isForced ? start : nextInstants(job.rule, start - lateMs, 2).findLast((at) => at <= start);
  if (occurrence === undefined) return undefined;
  const lock = takeLock(join(hostDir(dataDir), `${id}.lock`));
  if (!lock)
    return log(dataDir, { id, occurrence, start, end: now(), code: heldUp, bytes: 0, text: "The run before is still at it." });
  try {
    const last = join(hostDir(dataDir), `${id}.last`);
    if (!isForced && readNumber(last) === occurrence) return undefined;
    if (!isForced) writeFileSync(last, String(occurrence), { mode: 0o600 });
    const { code, bytes, text } = await run(command(job.script), timeoutMs);
    return log(dataDir, { id, occurrence, start, end: now(), code, bytes, text });
  } finally {
    lock.release();
  }
}

function readJob(dataDir: string, id: string): HostJob {
  if (!/^[0-9a-z]{8,64}$/u.test(id)) throw new NikaError("missing", "The machine runs no such schedule.");
  try {
    const job = JSON.parse(readFileSync(jobPath(dataDir, id), "utf8")) as HostJob;
    if (isScript(job.script)) return job;
  } catch {
    // Not there, or not written by Nika.
  }
  throw new NikaError("missing", "The machine runs no such schedule; `nika host list` says which there are.");
}

export function writeJob(dataDir: string, job: HostJob): void {
  mkdirSync(hostDir(dataDir), { recursive: true, mode: 0o700 });
  writeFileSync(jobPath(dataDir, job.id), JSON.stringify(job), { mode: 0o600 });
}

export function dropJob(dataDir: string, id: string): void {
  for (const end of ["json", "last", "lock"]) rmSync(join(hostDir(dataDir), `${id}.${end}`), { force: true });
}

function log(dataDir: string, entry: HostRun): HostRun {
  mkdirSync(join(dataDir, "log"), { recursive: true, mode: 0o700 });
  appendFileSync(join(dataDir, "log", "host.jsonl"), `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  return entry;
}

type Said = { readonly code: number; readonly bytes: number; readonly text: string };

async function run([program, ...args]: readonly [string, ...string[]], timeoutMs: number): Promise<Said> {
  const { promise, resolve } = Promise.withResolvers<Said>();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs, killSignal: "SIGKILL" });
  let [bytes, text] = [0, ""];
  const hear = (chunk: Buffer): void => {
    bytes += chunk.length;
    text = (text + chunk.toString("utf8")).slice(-textCharsMax);
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  child.on("error", (error) => resolve({ code: 127, bytes, text: error.message }));
  child.on("close", (code, signal) => {
    const isKilled = signal === "SIGKILL";
    const told = isKilled ? `It was stopped after ${Math.round(timeoutMs / 1_000)} s.` : text.trim();
    resolve({ code: code ?? timedOut, bytes, text: told });
  });
  return promise;
}

/** Held by a process that lives; one left by a process that died is taken over. */
function takeLock(path: string): { release(): void } | undefined {
  for (const isLast of [false, true]) {
    try {
      const file = openSync(path, "wx", 0o600);
      writeSync(file, String(process.pid));
      closeSync(file);
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = readNumber(path);
      if (isLast || holder === undefined || isAlive(holder)) return undefined;
      rmSync(path, { force: true });
    }
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function readNumber(path: string): number | undefined {
  try {
    const number = Number(readFileSync(path, "utf8"));
    return Number.isSafeInteger(number) && number > 0 ? number : undefined;
  } catch {
    return undefined;
  }
}
