/** `nika stop`: asks, then insists. */
import { setTimeout as pause } from "node:timers/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { openClient } from "./client.ts";
import { findRun, isAlive, isNikaProcess } from "./running.ts";
import type { Terminal } from "./terminal.ts";

/** Running jobs get five seconds to finish before their leases are handed back; then databases close. */
const graceMs = 15_000;
const termMs = 5_000;
/** The end of a process that is not our child cannot be subscribed to. */
const lookMs = 25;

export type Stopped = { readonly wasRunning: boolean; readonly pid?: number; readonly how?: "asked" | "terminated" | "killed" };

export async function runStop(terminal: Terminal, config: Config, options: { json: boolean }): Promise<void> {
  const stopped = await stop(config);
  if (options.json) terminal.json(stopped);
  else terminal.line(sentenceOf(stopped));
}

function sentenceOf({ wasRunning, pid, how }: Stopped): string {
  if (!wasRunning) return "Nika is not running; nothing to stop.";
  if (how === "killed") return `Nika (pid ${pid}) did not stop in time and was ended; nothing acknowledged is lost.`;
  return `Nika (pid ${pid}) has stopped.`;
}

async function stop(config: Config): Promise<Stopped> {
  const run = findRun(config.dataDir);
  if (run === undefined) return { wasRunning: false };
  const { pid } = run;
  const isAsked = await ask(config);
  if (isAsked && (await isGone(pid, graceMs))) return { wasRunning: true, pid, how: "asked" };
  if (!isAlive(pid)) return { wasRunning: true, pid, how: "asked" };
  // Left by a crash, and the number went to another program since.
  if (!isAsked && !isNikaProcess(pid)) return { wasRunning: false };
  process.kill(pid, "SIGTERM");
  if (await isGone(pid, termMs)) return { wasRunning: true, pid, how: "terminated" };
  process.kill(pid, "SIGKILL");
  if (await isGone(pid, termMs)) return { wasRunning: true, pid, how: "killed" };
  throw new NikaError("unavailable", `Process ${pid} cannot be ended; the machine may be waiting for a disk.`);
}

/** Whether the appliance took the request. One that hangs or refuses is ended by signal. */
async function ask(config: Config): Promise<boolean> {
  try {
    const client = openClient(config);
    await client.post("/nika/stop", { authorization: client.adminAuthorization, timeoutMs: 3_000 });
    return true;
  } catch {
    return false;
  }
}

async function isGone(pid: number, withinMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < withinMs; waitedMs += lookMs) {
    if (!isAlive(pid)) return true;
    await pause(lookMs);
  }
  return !isAlive(pid);
}
