/**
 * Watches a worker from the main thread and ends it when a run goes over its budget: its JavaScript time, measured as the CPU time of
 * that thread so that a busy machine is not held against the app, or in the end the clock.
 */
import type { Worker } from "node:worker_threads";
import { limits } from "../codec/limits.ts";
import { watchman, type Culprit } from "./watch.ts";

const lookEveryMs = 250;

export type Guard = { start(): void; stop(): void };

/** `onOverrun` is called once the thread is gone. The culprit is absent when the wrong run may have been hit. */
export function guardWorker(worker: Worker, memory: SharedArrayBuffer, onOverrun: (culprit: Culprit | undefined) => void): Guard {
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
    const cpu = await worker.cpuUsage();
    const cpuMs = (cpu.user + cpu.system) / 1000;
    if (seen?.unit !== present.unit) seen = { unit: present.unit, cpuMs };
    if (cpuMs - seen.cpuMs < limits.userTimeMs && present.forMs < limits.wallTimeMs) return;
    if (!man.condemn(present.unit)) return;
    stop();
    await worker.terminate();
    // Between the look and the verdict that run may have ended and another begun: then nobody is to blame.
    onOverrun(man.present()?.unit === present.unit ? man.culprit() : undefined);
  };
  return {
    start: () => {
      timer ??= setInterval(() => void look().catch(() => {}), lookEveryMs).unref();
    },
    stop,
  };
}
