/**
 * Where actions run: a thread, or, for those that may use Node to the full, a process of its own, because native code that crashes takes
 * its whole process along. Both speak `actionMessage.ts`.
 */
/* oxlint-disable unicorn/require-post-message-target-origin -- that rule is about windows; these are threads */
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { Opening } from "./actionLink.ts";
import type { ActionSetup, FromAction, ToAction } from "./actionMessage.ts";
import { compiledFolder } from "./compiled.ts";
import { isHeapFull, isHoarding, outOfMemory } from "./guard.ts";

export type ActionHost = {
  /** `transfer` only to a thread. */
  post(message: ToAction, transfer?: ReadableStream[]): void;
  /** Whether it holds more memory than an action may. False where that cannot be known. */
  isHoarding(): Promise<boolean>;
  terminate(): Promise<void>;
};

/** How it ended by itself: `why` is for an action that was alone in it. */
export type Ended = { readonly why: string; readonly isMemory: boolean };

export type HostEvents = {
  readonly onMessage: (message: FromAction) => void;
  /** At most once, and not after `terminate`. */
  readonly onEnd: (ended: Ended) => void;
  readonly log: (line: string) => void;
};

export type OpenHost = (
  setup: ActionSetup,
  options: { readonly env: Readonly<Record<string, string>>; readonly memoryMb: number },
  events: HostEvents,
) => ActionHost;

const entry = new URL("./actionWorker.ts", import.meta.url);

export const openActionThread: OpenHost = (setup, { env, memoryMb }, { onMessage, onEnd, log }) => {
  let isOver = false;
  const end = (ended: Ended): void => {
    if (isOver) return;
    isOver = true;
    onEnd(ended);
  };
  const worker = new Worker(entry, {
    workerData: setup,
    env: { ...env, NODE_COMPILE_CACHE: compiledFolder(setup.dir) },
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
  });
  worker.on("message", onMessage);
  worker.on("error", (error: Error) => {
    log(`an action thread failed: ${error.message}`);
    const isMemory = isHeapFull(error);
    end({ why: isMemory ? `Uncaught Error: ${outOfMemory(memoryMb)}` : "Transient error while executing action", isMemory });
  });
  // As `process.exit` does it: without a word.
  worker.on("exit", () => end({ why: "The action ended its thread.", isMemory: false }));
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    isHoarding: () => isHoarding(worker, memoryMb),
    terminate: async () => {
      isOver = true;
      await worker.terminate();
    },
  };
};

/** How V8 ends a process whose heap is full. */
const heapFullSignals: ReadonlySet<string | null> = new Set(["SIGABRT", "SIGTRAP", "SIGILL"]);
/** Of the memory that it may hold: one that held as much when it was last looked at, and then ended so, ended for that. */
const fullShare = 0.5;

export const openActionProcess: OpenHost = (setup, { env, memoryMb }, { onMessage, onEnd, log }) => {
  let isOver = false;
  let heldMb = 0;
  const child = fork(entry, [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env: { NODE_COMPILE_CACHE: compiledFolder(setup.dir) },
    execArgv: [`--max-old-space-size=${memoryMb}`, "--disable-warning=ExperimentalWarning"],
  });
  child.send({ setup, env } satisfies Opening, () => undefined);
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const end = (why: string, isMemory = false): void => {
    resolve();
    if (isOver) return;
    isOver = true;
    log(`an action process ended: ${why}`);
    onEnd({ why, isMemory });
  };
  const look = (): number => (heldMb = Math.max(heldMb, residentMb(child.pid)));
  child.on("message", (message) => onMessage(message as FromAction));
  child.on("error", (error) => end(`The process of the action failed: ${error.message}`));
  child.on("exit", (_code, signal) => {
    if (heapFullSignals.has(signal) && heldMb > memoryMb * fullShare) end(`Uncaught Error: ${outOfMemory(memoryMb)}`, true);
    else end(signal === null ? "The action ended its process." : `The action ended its process (${signal}).`);
  });
  return {
    post: (message) => {
      // One that is ending takes nothing any more, which its end tells.
      if (child.connected) child.send(message, () => undefined);
    },
    isHoarding: async () => look() > memoryMb,
    terminate: async () => {
      isOver = true;
      child.kill("SIGKILL");
      await gone;
    },
  };
};

/** As the kernel counts it; 0 where there is no /proc, and then only the heap is bounded. */
function residentMb(pid: number | undefined): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
