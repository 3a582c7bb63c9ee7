/**
 * Watches a worker from the main thread and ends it when a run goes over its budget: its JavaScript time, measured as the CPU time of
 * that thread so that a busy machine is not held against the app, or in the end the clock; and the memory that it holds outside the
 * thread's heap, which is all that the heap's own limit does not see.
 */
import type { Worker } from "node:worker_threads";
import { limits } from "../codec/limits.ts";
import { watchman, type Culprit } from "./watch.ts";

const lookEveryMs = 250;
const outsideBytesMax = 256 * 1024 * 1024;

export const timedOut = "Function execution timed out (maximum duration: 1s)";

export function outOfMemory(sizeMb: number): string {
  return `Function execution ran out of memory (maximum memory usage: ${sizeMb} MB)`;
}

/** Whether a thread ended because its heap was full. */
export function isHeapFull(error: Error): boolean {
  return (error as { code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY";
}

export type Guard = { start(): void; stop(): void };
/** `culprit` is absent when the wrong run may have been hit. */
export type Overrun = { readonly culprit: Culprit | undefined; readonly message: string };

/** `onOverrun` is called once the thread is gone. */
export function guardWorker(worker: Worker, memory: SharedArrayBuffer, onOverrun: (overrun: Overrun) => void): Guard {
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
    const [cpu, heap] = await Promise.all([worker.cpuUsage(), worker.getHeapStatistics()]);
    const cpuMs = (cpu.user + cpu.system) / 1000;
    if (seen?.unit !== present.unit) seen = { unit: present.unit, cpuMs };
    const isOverTime = cpuMs - seen.cpuMs >= limits.userTimeMs || present.forMs >= limits.wallTimeMs;
    if (!isOverTime && heap.external_memory < outsideBytesMax) return;
    if (!man.condemn(present.unit)) return;
    stop();
    await worker.terminate();
    // Between the look and the verdict that run may have ended and another begun: then nobody is to blame.
    onOverrun({
      culprit: man.present()?.unit === present.unit ? man.culprit() : undefined,
      message: isOverTime ? timedOut : outOfMemory(outsideBytesMax / 1024 / 1024),
    });
  };
  return {
    start: () => {
      timer ??= setInterval(() => void look().catch(() => {}), lookEveryMs).unref();
    },
    stop,
  };
}
