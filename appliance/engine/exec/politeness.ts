/** How much a thread leaves the processor to others. */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";

/** A third of the processor beside who is not nice at all: enough to keep live queries live under a load of mutations. */
const niceness = 5;

/**
 * Puts the calling thread behind those of ordinary priority when there are more threads than processors: a query that reads for long
 * then holds up no mutation. Linux keeps a priority for each thread; elsewhere this does nothing.
 */
export function giveWay(): void {
  if (process.platform !== "linux") return;
  try {
    // `PID/task/TID` of who reads it.
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    if (Number.isInteger(thread) && thread !== process.pid) setPriority(thread, niceness);
  } catch {
    // Without it queries compete on equal terms, as they do elsewhere.
  }
}
