import { randomUUID } from "node:crypto";
import { internal } from "../../convex/_generated/api.js";
import type { State } from "../ports/state.ts";
import { openClaimer } from "./claimer.ts";
import { openHeartbeat, type Incarnation } from "./heartbeat.ts";
import { hold, type Held } from "./held.ts";
import type { ClaimedJob, Runner } from "./runner.ts";
import { within } from "./within.ts";
import { exchange, toSettlement, type Settlement } from "./settler.ts";

export type SessionOptions = {
  readonly state: State;
  readonly incarnation: Incarnation;
  readonly slots: number;
  readonly room: { readonly slots: () => number; readonly onChange: (listener: () => void) => () => void } | undefined;
  readonly run: Runner;
  readonly log: (line: string) => void;
  /** Called once, when everything it held belongs to others. What ran has been told to stop. */
  readonly onLost: () => void;
};

export type Session = {
  /** Resolves when nothing runs and everything is handed in, or after `limitMs`. */
  idle(limitMs: number): Promise<void>;
  /** Claims no more, lets what runs finish within `graceMs`, tells the rest to stop and gives it back. */
  close(graceMs: number): Promise<void>;
};

/** A run that was told to stop gets this long; then the worker goes on without waiting for it. */
export const abandonAfterMs = 10_000;

/** One incarnation of the worker at work: claims while there is room, runs, hands in, until it is lost or closed. */
export function openSession({ state, incarnation, slots, room: allowed, run, log, onLost }: SessionOptions): Session {
  const { workerId, epoch } = incarnation;
  const running = new Map<string, { readonly held: Held; readonly ended: Promise<void> }>();
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

  /** At most one exchange at a time: what ends while it is under way goes along with the next, so a busy worker batches by itself. */
  const turn = (): void => {
    if (exchanging || gone.signal.aborted) return;
    const room = isClaiming ? Math.min(slots, allowed?.slots() ?? slots) - running.size : 0;
    if (finished.length === 0 && !(room > 0 && claimer.hasAny())) return;
    exchanging = exchangeOnce(room).finally(() => {
      exchanging = undefined;
      turn();
    });
  };

  const exchangeOnce = async (room: number): Promise<void> => {
    const settle = finished;
    finished = [];
    const claim = { token: randomUUID(), jobIds: room > 0 ? claimer.take(room) : [] };
    const answer = await exchange({ workerId, epoch, settle, claim }, { state, log, signal: gone.signal });
    if (!answer || gone.signal.aborted) return;
    if (!answer.isCurrent) return lose("it was given up");
    for (const [i, isSettled] of answer.settled.entries()) {
      if (!isSettled) log(`job ${settle[i]?.jobId} was no longer ours; what it did is not recorded`);
    }
    if (settle.some(({ outcome }) => outcome.type === "snoozed")) claimer.renew();
    for (const job of answer.claimed) {
      const held = hold(job.jobId, claim.token);
      running.set(job.jobId, { held, ended: Promise.resolve().then(() => work(job, held)) });
    }
  };

  const leave = (): void => {
    gone.abort();
    isClaiming = false;
    unlisten?.();
    claimer.close();
    heartbeat.close();
  };

  const lose = (why: string): void => {
    if (gone.signal.aborted) return;
    log(`the worker lost its leases: ${why}`);
    leave();
    for (const { held } of running.values()) held.stop("lost");
    onLost();
  };

  const quiet = async (): Promise<void> => {
    // What ended is handed in, and the exchange that does so may bring new jobs, so look again each time.
    for (let busy = pending(); busy.length > 0; busy = pending()) await Promise.all(busy);
  };
  const pending = (): Promise<void>[] => [
    ...Array.from(running.values(), (job) => job.ended),
    ...(exchanging ? [exchanging] : []),
  ];

  const idle = (limitMs: number): Promise<void> => within(quiet(), limitMs);

  const unlisten = allowed?.onChange(() => {
    claimer.renew();
    turn();
  });
  const claimer = openClaimer({ state, slots, onReady: turn, log });
  const heartbeat = openHeartbeat({
    state,
    incarnation,
    running: () => Array.from(running.values(), (job) => job.held),
    onLost: lose,
    log,
  });

  return {
    idle,
    async close(graceMs) {
      isClaiming = false;
      await idle(graceMs);
      if (gone.signal.aborted) return;
      for (const { held } of running.values()) held.stop("stopping");
      await idle(abandonAfterMs);
      if (gone.signal.aborted) return;
      leave();
      await state
        .mutation(internal.workers.goodbye, { workerId, epoch })
        .catch((error: unknown) => log(`no goodbye: ${String(error)}`));
    },
  };
}
