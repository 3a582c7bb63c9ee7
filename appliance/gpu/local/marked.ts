/** Processes of this machine by a mark in their environment, which children inherit: how work is found again whose starter is gone. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Bears the machine's name. The command's processes have it too. */
export const mark = "NIKA_MACHINE";

/** Names of machines that have processes, with these. Empty where there is no /proc. */
export function markedProcesses(): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const pid of pids()) {
    const name = nameOf(pid);
    if (name !== undefined) found.set(name, [...(found.get(name) ?? []), pid]);
  }
  return found;
}

/** Kills every process of that machine, those included that were started meanwhile. */
export async function killMarked(name: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const some = markedProcesses().get(name) ?? [];
    if (some.length === 0) return;
    for (const pid of some) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    await delay(25);
  }
}

function pids(): number[] {
  try {
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}

function nameOf(pid: number): string | undefined {
  try {
    // A process that ended and was not reaped yet has no environment any more.
    const entry = readFileSync(`/proc/${pid}/environ`, "latin1")
      .split("\0")
      .find((one) => one.startsWith(`${mark}=`));
    return entry?.slice(mark.length + 1);
  } catch {
    // Not ours to read, or gone.
    return undefined;
  }
}
