import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import type { Ports } from "../define.ts";
import type { State } from "../ports/state.ts";
import type { JobKind } from "../../convex/model/kinds.ts";
import { laneSlots, lanes } from "../../convex/model/lane.ts";
import type { Held } from "./held.ts";
import { openOutbox, type Added, type NewWork } from "./outbox.ts";
import { openProgress } from "./progress.ts";
import { openRegistry, type AnyJobFunction } from "./registry.ts";
import { openRunner } from "./runner.ts";
import { abandonAfterMs, openSession, type Session } from "./session.ts";
import { within } from "./within.ts";

export type RuntimeOptions = {
  readonly state: State;
  /** What functions use; of a worker that is trusted only with what it holds, for each job its own. */
  readonly ports: Ports | ((held: Held) => Ports);
  readonly functions: readonly AnyJobFunction[];
  /** Names this worker for good: one that starts under a known name takes the place of the one before. */
  readonly workerName: string;
  /** Jobs of the lane `bulk` run at the same time, at most; the other lanes have slots of their own (model/lane.ts). */
  readonly slots: number;
  /** How many of these may be used right now, where that changes. What runs is finished in any case. */
  readonly room?: Room;
  /** What it says of itself. With `kinds` it takes these only. */
  readonly about?: { readonly host: string; readonly version: string; readonly kinds?: readonly JobKind[] };
  readonly log: (line: string) => void;
};

export type Room = { readonly slots: () => number; readonly onChange: (listener: () => void) => () => void };

export type Runtime = {
  /** Resolves when it takes work. */
  start(): Promise<void>;
  /**
   * Adds work from this process. Resolves when it is durable; fails when it is refused. What is added while this worker has room and
   * nothing older waits begins with the same commit.
   */
  add(work: NewWork): Promise<Added>;
  /** Takes no more work, lets what runs finish within `graceMs`, hands the rest back at no cost to it. Twice is the same as once. */
  stop(options: { readonly graceMs: number }): Promise<void>;
};

const rejoinEveryMs = 2_000;
/** Lost again this soon, it waits before it joins again: two workers of one name must not chase each other in circles. */
const soonMs = 30_000;
const joinWaitMs = 1_000;

/** Does the work the control plane has: see README.md beside this file. */
export function startRuntime({ state, ports, functions, workerName, slots, room, about, log }: RuntimeOptions): Runtime {
  const progress = openProgress(state, log);
  const find = openRegistry(functions);
  const run = openRunner({ find, portsOf: typeof ports === "function" ? ports : () => ports, log, progress });
  const outbox = openOutbox(state);
  const slotsOf = laneSlots(slots);
  const slotsAll = lanes.reduce((sum, lane) => sum + slotsOf[lane], 0);
  const stopping = new AbortController();
  let session: Session | undefined;
  let lastLostAt = -Infinity;
  let joining: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  const join = async (): Promise<void> => {
    const askedAt = performance.now();
    const told = about && {
      host: about.host,
      version: about.version,
      lanes: slotsOf,
      ...(about.kinds && { kinds: [...about.kinds] }),
    };
    const hello = { name: workerName, slots: slotsAll, ...(told && { about: told }) };
    const incarnation = { ...(await state.mutation(internal.workers.hello, hello)), askedAt };
    if (stopping.signal.aborted) {
      // It was stopped while it waited for the answer.
      await state.mutation(internal.workers.goodbye, { workerId: incarnation.workerId, epoch: incarnation.epoch });
      return;
    }
    const knows = (kind: string): boolean => find(kind) !== undefined;
    const onLost = (): void => void (joining = rejoin());
    session = openSession({ state, incarnation, slots: slotsOf, room, run, knows, kinds: about?.kinds, outbox, log, onLost });
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
    await within(outbox.close(), Math.max(graceMs, joinWaitMs));
    progress.close();
  };

  return {
    add: (work) => outbox.add(work),
    start: () => (stopped ? Promise.resolve() : (joining ??= join())),
    stop: ({ graceMs }) => (stopped ??= close(graceMs)),
  };
}
