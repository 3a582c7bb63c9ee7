import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import type { Ports } from "../define.ts";
import type { State } from "../ports/state.ts";
import { openProgress } from "./progress.ts";
import { openRegistry, type AnyJobFunction } from "./registry.ts";
import { openRunner } from "./runner.ts";
import { abandonAfterMs, openSession, type Session } from "./session.ts";
import { within } from "./within.ts";

export type RuntimeOptions = {
  readonly state: State;
  readonly ports: Ports;
  readonly functions: readonly AnyJobFunction[];
  /** Names this worker for good: one that starts under a known name takes the place of the one before. */
  readonly workerName: string;
  /** Jobs run at the same time, at most. */
  readonly slots: number;
  /** How many of these may be used right now, where that changes. What runs is finished in any case. */
  readonly room?: Room;
  readonly log: (line: string) => void;
};

export type Room = { readonly slots: () => number; readonly onChange: (listener: () => void) => () => void };

export type Runtime = {
  /** Resolves when it takes work. */
  start(): Promise<void>;
  /** Takes no more work, lets what runs finish within `graceMs`, hands the rest back at no cost to it. Twice is the same as once. */
  stop(options: { readonly graceMs: number }): Promise<void>;
};

const rejoinEveryMs = 2_000;
/** Lost again this soon, it waits before it joins again: two workers of one name must not chase each other in circles. */
const soonMs = 30_000;
const joinWaitMs = 1_000;

/** Does the work the control plane has: see README.md beside this file. */
export function startRuntime({ state, ports, functions, workerName, slots, room, log }: RuntimeOptions): Runtime {
  const progress = openProgress(state, log);
  const run = openRunner({ find: openRegistry(functions), ports, log, progress });
  const stopping = new AbortController();
  let session: Session | undefined;
  let lastLostAt = -Infinity;
  let joining: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  const join = async (): Promise<void> => {
    const askedAt = performance.now();
    const incarnation = { ...(await state.mutation(internal.workers.hello, { name: workerName, slots })), askedAt };
    if (stopping.signal.aborted) {
      // It was stopped while it waited for the answer.
      await state.mutation(internal.workers.goodbye, { workerId: incarnation.workerId, epoch: incarnation.epoch });
      return;
    }
    session = openSession({ state, incarnation, slots, room, run, log, onLost: () => (joining = rejoin()) });
  };
  const pause = (): Promise<void> => delay(rejoinEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined);

  const rejoin = async (): Promise<void> => {
    // The same job must not run twice in one process, so what was told to stop gets a chance to.
    await session?.idle(abandonAfterMs);
    const lostAt = performance.now();
    if (lostAt - lastLostAt < soonMs) await pause();
    lastLostAt = lostAt;
    while (!stopping.signal.aborted) {
      try {
        return await join();
      } catch (error) {
        log(`the worker could not join again: ${String(error)}`);
        await pause();
      }
    }
  };

  const close = async (graceMs: number): Promise<void> => {
    stopping.abort();
    // A control plane that does not answer must not hold up the stop.
    await within(Promise.resolve(joining), Math.max(graceMs, joinWaitMs)).catch(() => undefined);
    await session?.close(graceMs);
    progress.close();
  };

  return {
    start: () => (stopped ? Promise.resolve() : (joining ??= join())),
    stop: ({ graceMs }) => (stopped ??= close(graceMs)),
  };
}
