/**
 * Watches a worker from the main thread and ends it when a run goes over its budget: its JavaScript time, measured as the CPU time of
 * that thread so that a busy machine is not held against the app, or in the end the clock; and the memory that it holds outside the
 * thread's heap, which the heap's own limit does not see.
 */
import type { Worker } from "node:worker_threads";
import { limits } from "../codec/limits.ts";
import { watchman, type Culprit } from "./watch.ts";

const lookEveryMs = 250;
/** A heap fuller than this at the moment of a look is on its way to the end, and would spend seconds on collecting before it. */
const heapShareMax = 0.75;

export const timedOut = "Function execution timed out (maximum duration: 1s)";

export function outOfMemory(sizeMb: number): string {
  return `Function execution ran out of memory (maximum memory usage: ${sizeMb} MB)`;
}

/** Whether a thread ended because its heap was full. */
export function isHeapFull(error: Error): boolean {
  return (error as { code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY";
}

/** Whether a thread holds too much, in its heap or beside it (buffers). */
export async function isHoarding(worker: Worker, outsideMb: number): Promise<boolean> {
  const heap = await worker.getHeapStatistics();
  return heap.external_memory > outsideMb * 1024 * 1024 || heap.used_heap_size > heap.heap_size_limit * heapShareMax;
}

export type Guard = { start(): void; stop(): void };
/** `culprit` is absent when the wrong run may have been hit. */
export type Overrun = { readonly culprit: Culprit | undefined; readonly message: string };

export type GuardOptions = {
  readonly worker: Worker;
  readonly memory: SharedArrayBuffer;
  readonly memoryMb: number;
  /** Called once the thread is gone. */
  readonly onOverrun: (overrun: Overrun) => void;
};

export function guardWorker({ worker, memory, memoryMb, onOverrun }: GuardOptions): Guard {
  const man = watchman(memory);
  let timer: NodeJS.Timeout | undefined;
  let seen: { readonly unit: number; readonly cpuMs: number } | undefined;
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
    seen = undefined;
  };
  const look = async (): Promise<void> => {
    const present = man.present();
    if (!present || present.forMs < lookEveryMs) return;
    const [cpu, isFull] = await Promise.all([worker.cpuUsage(), isHoarding(worker, memoryMb)]);
    const cpuMs = (cpu.user + cpu.system) / 1000;
    if (seen?.unit !== present.unit) seen = { unit: present.unit, cpuMs };
    const isOverTime = cpuMs - seen.cpuMs >= limits.userTimeMs || present.forMs >= limits.wallTimeMs;
    if (!isOverTime && !isFull) return;
    if (!man.condemn(present.unit)) return;
    stop();
    await worker.terminate();
    // Between the look and the verdict that run may have ended and another begun: then nobody is to blame.
    onOverrun({
      culprit: man.present()?.unit === present.unit ? man.culprit() : undefined,
      message: isFull ? outOfMemory(memoryMb) : timedOut,
    });
  };
  return {
    start: () => {
      timer ??= setInterval(() => void look().catch(() => {}), lookEveryMs).unref();
    },
    stop,
  };
}
