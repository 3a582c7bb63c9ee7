import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import type { Ports } from "../define.ts";
import type { State } from "../ports/state.ts";
import { openClaimer, type Claimer } from "./claimer.ts";
import { openHeartbeat, type Heartbeat, type Incarnation } from "./heartbeat.ts";
import { hold, type Held } from "./held.ts";
import { openProgress } from "./progress.ts";
import { openRegistry, type AnyJobFunction } from "./registry.ts";
import { openRunner, type ClaimedJob } from "./runner.ts";
import { exchange, toSettlement, type Settlement } from "./settler.ts";

export type RuntimeOptions = {
  readonly state: State;
  readonly ports: Ports;
  readonly functions: readonly AnyJobFunction[];
  /** Names this worker for good: one that starts under a known name takes the place of the one before. */
  readonly workerName: string;
  /** Jobs run at the same time. */
  readonly slots: number;
  readonly log: (line: string) => void;
};

export type Runtime = {
  /** Resolves when it takes work. */
  start(): Promise<void>;
  /** Takes no more work, lets what runs finish within `graceMs`, hands the rest back at no cost to it. Twice is the same as once. */
  stop(options: { graceMs: number }): Promise<void>;
};

const rejoinEveryMs = 2_000;
/** A run that was told to stop gets this long; then the worker goes on without waiting for it. */
const abandonAfterMs = 10_000;

/** Does the work the control plane has: see README.md beside this file. */
export function startRuntime({ state, ports, functions, workerName, slots, log }: RuntimeOptions): Runtime {
  const find = openRegistry(functions);
  const progress = openProgress(state, log);
  const run = openRunner({ find, ports, log, report: progress.report });
  const stopping = new AbortController();
  let session: Session | undefined;
  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  const join = async (): Promise<void> => {
    const incarnation = await state.mutation(internal.workers.hello, { name: workerName, slots });
    if (stopping.signal.aborted) return void (await state.mutation(internal.workers.goodbye, named(incarnation)));
    session = openSession({ state, incarnation, slots, run, log, onLost: () => void rejoin() });
  };
  const rejoin = async (): Promise<void> => {
    // The same job must not run twice in one process, so what was told to stop gets a chance to.
    await session?.idle(abandonAfterMs);
    while (!stopping.signal.aborted) {
      try {
        return await join();
      } catch (error) {
        log(`the worker could not join again: ${String(error)}`);
        await delay(rejoinEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  };

  return {
    start: () => (started ??= join()),
    stop: ({ graceMs }) =>
      (stopped ??= (async () => {
        stopping.abort();
        await started?.catch(() => undefined);
        await session?.close(graceMs);
        progress.close();
      })()),
  };
}

type Session = {
  /** Resolves when nothing runs any more, or after `limitMs`. */
  idle(limitMs: number): Promise<void>;
  close(graceMs: number): Promise<void>;
};

const named = ({ workerId, epoch }: Incarnation) => ({ workerId, epoch });

/** One incarnation of the worker at work: claims while there is room, runs, hands in, until it is lost or closed. */
function openSession(options: {
  readonly state: State;
  readonly incarnation: Incarnation;
  readonly slots: number;
  readonly run: (job: ClaimedJob, held: Held) => Promise<import("../../convex/model/job.ts").Outcome>;
  readonly log: (line: string) => void;
  readonly onLost: () => void;
}): Session {
  const { state, incarnation, slots, run, log, onLost } = options;
  const running = new Map<string, { held: Held; ended: Promise<void> }>();
  const gone = new AbortController();
  let finished: Settlement[] = [];
  let isClaiming = true;
  let exchanging: Promise<void> | undefined;

  const work = async (job: ClaimedJob, held: Held): Promise<void> => {
    const outcome = await run(job, held);
    running.delete(job.jobId);
    if (held.reason() === "lost") return;
    finished.push(toSettlement(job.jobId, held.token, outcome));
    turn();
  };
  const begin = (job: ClaimedJob, token: string): void => {
    const held = hold(job.jobId, token);
    running.set(job.jobId, { held, ended: Promise.resolve().then(() => work(job, held)) });
  };

  /** At most one exchange at a time: what ends while it is under way goes along with the next, so a busy worker batches by itself. */
  const turn = (): void => {
    if (exchanging || gone.signal.aborted) return;
    const room = isClaiming ? slots - running.size : 0;
    if (finished.length === 0 && !(room > 0 && claimer.hasAny())) return;
    exchanging = exchangeOnce(room).finally(() => {
      exchanging = undefined;
      turn();
    });
  };
  const exchangeOnce = async (room: number): Promise<void> => {
    const claim = { token: randomUUID(), jobIds: room > 0 ? claimer.take(room) : [] };
    const settle = finished.splice(0);
    const answer = await exchange({ ...named(incarnation), settle, claim }, { state, log, signal: gone.signal });
    if (!answer || gone.signal.aborted) return;
    if (!answer.isCurrent) return lose("it was given up");
    for (const [i, isSettled] of answer.settled.entries()) {
      if (!isSettled) log(`job ${settle[i]?.jobId} was no longer ours; what it did is not recorded`);
    }
    for (const job of answer.claimed) begin(job, claim.token);
  };
  const lose = (why: string): void => {
    if (gone.signal.aborted) return;
    log(`the worker lost its leases: ${why}`);
    leave();
    for (const { held } of running.values()) held.stop("lost");
    onLost();
  };
  const leave = (): void => {
    gone.abort();
    isClaiming = false;
    finished = [];
    claimer.close();
    heartbeat.close();
  };
  const idle = async (limitMs: number): Promise<void> => {
    const quiet = async (): Promise<void> => {
      while (running.size > 0 || exchanging) await Promise.all([...[...running.values()].map((job) => job.ended), exchanging]);
    };
    const limit = new AbortController();
    await Promise.race([quiet(), delay(limitMs, undefined, { signal: limit.signal }).catch(() => undefined)]);
    limit.abort();
  };

  const heartbeat: Heartbeat = openHeartbeat({
    state,
    incarnation,
    running: () => [...running.values()].map((job) => job.held),
    onLost: lose,
    log,
  });
  const claimer: Claimer = openClaimer({ state, slots, onReady: turn, log });
  turn();

  return {
    idle,
    async close(graceMs) {
      if (gone.signal.aborted) return;
      isClaiming = false;
      await idle(graceMs);
      for (const { held } of running.values()) held.stop("stopping");
      await idle(abandonAfterMs);
      leave();
      await state
        .mutation(internal.workers.goodbye, named(incarnation))
        .catch((error: unknown) => log(`no goodbye: ${String(error)}`));
    },
  };
}
