import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Outcome } from "../../convex/model/job.ts";
import type { JobKind } from "../../convex/model/kinds.ts";
import { lanes, policyOf, throttled, type Lane } from "../../convex/model/lane.ts";
import { slotsMax } from "../../convex/model/worker.ts";
import type { State } from "../ports/state.ts";
import { openClaimer, type Claimer } from "./claimer.ts";
import { Desk, type Taken } from "./desk.ts";
import { openHeartbeat, type Incarnation } from "./heartbeat.ts";
import { hold } from "./held.ts";
import { addThrough, type Entry, type Outbox } from "./outbox.ts";
import type { Runner } from "./runner.ts";
import { within } from "./within.ts";
import { exchange, toSettlement, type Settlement } from "./settler.ts";

export type SessionOptions = {
  readonly state: State;
  readonly incarnation: Incarnation;
  readonly slots: Readonly<Record<Lane, number>>;
  readonly room: { readonly slots: () => number; readonly onChange: (listener: () => void) => () => void } | undefined;
  readonly run: Runner;
  /** Whether it has the function of a kind. */
  readonly knows: (kind: string) => boolean;
  /** What it looks for; everything when absent. */
  readonly kinds?: readonly string[] | undefined;
  readonly outbox: Outbox;
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

const goodbyeMs = 5_000;
const none = { now: 0, work: 0, bulk: 0 };
const outOfTime: Outcome = { type: "failed", code: "timeout", message: "It took longer than it may.", retry: true };

/** One incarnation of the worker at work: claims while there is room, runs, hands in, until it is lost or closed. */
export function openSession(options: SessionOptions): Session {
  const { state, incarnation, slots, room: allowed, run, knows, outbox, log, onLost } = options;
  const { workerId, epoch } = incarnation;
  const desks = byLane((lane) => new Desk(slots[lane]));
  const running = new Map<string, Taken>();
  const gone = new AbortController();
  const quieted: (() => void)[] = [];
  let finished: Settlement[] = [];
  let isClaiming = true;
  let isExchanging = false;

  const work = async (lane: Lane, { job, held }: Taken): Promise<void> => {
    const desk = desks[lane];
    const startedAt = performance.now();
    const limit = setTimeout(() => held.stop("timeout"), policyOf(job.kind as JobKind).timeLimitMs);
    const ignored = Promise.withResolvers<Outcome>();
    const abandon = (): void => {
      if (held.reason() === "timeout") void delay(abandonAfterMs).then(() => ignored.resolve(outOfTime));
    };
    held.signal.addEventListener("abort", abandon, { once: true });
    const outcome = await Promise.race([run(job, held), ignored.promise]);
    clearTimeout(limit);
    desk.ended(performance.now() - startedAt);
    running.delete(job.jobId);
    const reason = held.reason();
    if (reason !== "lost") finished.push(toSettlement(job.jobId, held.token, reason === "timeout" ? outOfTime : outcome));
    begin(lane);
    turn();
  };

  const begin = (lane: Lane): void => {
    const desk = desks[lane];
    while (desk.canBegin()) {
      const taken = desk.ahead.shift() as Taken;
      if (taken.held.signal.aborted) {
        running.delete(taken.job.jobId);
        if (taken.held.reason() !== "lost")
          finished.push(toSettlement(taken.job.jobId, taken.held.token, { type: "snoozed", delayMs: 0 }));
        continue;
      }
      desk.running += 1;
      queueMicrotask(() => void work(lane, taken));
    }
  };

  /** At most one exchange at a time: what ends while it is under way goes along with the next, so a busy worker batches by itself. */
  const turn = (): void => {
    if (isExchanging) return;
    const hasRoom = isClaiming && lanes.some((lane) => claimers[lane].hasAny() && desks[lane].room() > 0);
    if (gone.signal.aborted || (finished.length === 0 && !hasRoom && outbox.isEmpty())) {
      if (running.size === 0 || gone.signal.aborted) for (const tell of quieted.splice(0)) tell();
      return;
    }
    isExchanging = true;
    // Short runs that just began are over by then, and what they did goes along.
    void exchangeOnce().finally(() =>
      setImmediate(() => {
        isExchanging = false;
        turn();
      }),
    );
  };

  const exchangeOnce = async (): Promise<void> => {
    const settle = finished.splice(0, slotsMax);
    const rooms = byLane((lane) => (isClaiming ? desks[lane].room() : 0));
    const jobIds = lanes.flatMap((lane) => claimers[lane].take(rooms[lane]));
    const claim = { token: randomUUID(), jobIds };
    const entries = outbox.take();
    const add = entries.length > 0 && { work: entries.map((entry) => entry.work), room: roomFor(entries, jobIds.length) };
    let isApart = false;
    const addApart = (): Promise<void> => {
      isApart = true;
      return addThrough(state, entries);
    };
    const answer = await exchange(
      { workerId, epoch, settle, claim, ...(add && { add }) },
      { state, log, signal: gone.signal, addApart },
    );
    // Whatever became of the leases meanwhile: what was added is there.
    if (answer?.isCurrent) for (const [i, added] of answer.added.entries()) entries[i]?.done(added);
    else if (!isApart) outbox.giveBack(entries);
    if (answer && !answer.isCurrent && settle.length > 0)
      log(`what ${settle.length} jobs did was reported too late; it is not recorded, and they are done elsewhere`);
    if (!answer || gone.signal.aborted) return;
    if (!answer.isCurrent) return lose("it was given up");
    for (const [i, isSettled] of answer.settled.entries()) {
      if (!isSettled) log(`job ${settle[i]?.jobId} was no longer ours; what it did is not recorded`);
    }
    if (settle.some(({ outcome }) => outcome.type === "snoozed")) for (const lane of lanes) claimers[lane].renew();
    for (const job of answer.claimed) take(job.lane, { job, held: hold(job.jobId, claim.token) });
    const late: Record<Lane, Id<"jobs">[]> = byLane(() => []);
    for (const [i, { jobId, isDue, isLeased }] of answer.added.entries()) {
      const { work: asked } = entries[i] as Entry;
      const lane = asked.lane ?? policyOf(asked.kind).lane;
      if (isLeased)
        take(lane, { job: { jobId, kind: asked.kind, args: asked.args, attempt: 1 }, held: hold(jobId, claim.token) });
      else if (isDue) late[lane].push(jobId);
    }
    for (const lane of lanes) {
      if (late[lane].length > 0) claimers[lane].offer(late[lane]);
      begin(lane);
    }
  };

  const take = (lane: Lane, taken: Taken): void => {
    running.set(taken.job.jobId, taken);
    desks[lane].ahead.push(taken);
  };

  /** What is added may be begun at once where nothing older waits, and only here if it is known here. */
  const roomFor = (entries: readonly Entry[], claimed: number): Record<Lane, number> => {
    if (!isClaiming || entries.some(({ work: { kind } }) => !knows(kind))) return none;
    return byLane((lane) => (claimers[lane].isEmpty() ? Math.max(0, desks[lane].room() - claimed) : 0));
  };

  const leave = (): void => {
    gone.abort();
    isClaiming = false;
    unlisten?.();
    outbox.carriedBy(undefined);
    for (const lane of lanes) claimers[lane].close();
    heartbeat.close();
    turn();
  };

  const lose = (why: string): void => {
    if (gone.signal.aborted) return;
    log(`the worker lost its leases: ${why}`);
    for (const { held } of running.values()) held.stop("lost");
    for (const lane of lanes) for (const { job } of desks[lane].ahead.splice(0)) running.delete(job.jobId);
    leave();
    onLost();
  };

  const quiet = async (): Promise<void> => {
    // After a loss only what still runs is waited for; nothing of it is handed in.
    const isBusy = (): boolean => running.size > 0 || isExchanging || (finished.length > 0 && !gone.signal.aborted);
    while (isBusy()) await new Promise<void>((resolve) => quieted.push(resolve));
  };
  const idle = (limitMs: number): Promise<void> => within(quiet(), limitMs);

  const throttle = (): void => {
    const now = allowed ? throttled(slots, allowed.slots()) : slots;
    for (const lane of lanes) desks[lane].slots = now[lane];
  };
  throttle();
  const unlisten = allowed?.onChange(() => {
    throttle();
    for (const lane of lanes) {
      claimers[lane].renew();
      begin(lane);
    }
    turn();
  });
  const claimers: Record<Lane, Claimer> = byLane((lane) =>
    openClaimer({ state, lane, kinds: options.kinds, onReady: turn, log }),
  );
  const heartbeat = openHeartbeat({
    state,
    incarnation,
    running: () => Array.from(running.values(), ({ held }) => held),
    onLost: lose,
    log,
  });
  outbox.carriedBy(turn);

  return {
    idle,
    async close(graceMs) {
      isClaiming = false;
      // What was taken ahead and has not begun goes back at once.
      for (const lane of lanes)
        for (const { held, job } of desks[lane].ahead.splice(0)) {
          running.delete(job.jobId);
          finished.push(toSettlement(job.jobId, held.token, { type: "snoozed", delayMs: 0 }));
        }
      turn();
      await idle(graceMs);
      if (gone.signal.aborted) return;
      for (const { held } of running.values()) held.stop("stopping");
      await idle(abandonAfterMs);
      if (gone.signal.aborted) return;
      leave();
      const goodbye = state
        .mutation(internal.workers.goodbye, { workerId, epoch })
        .catch((error: unknown) => log(`no goodbye: ${String(error)}`));
      // Whoever cannot be reached finds out by itself.
      await within(goodbye, goodbyeMs);
    },
  };
}

const byLane = <T>(of: (lane: Lane) => T): Record<Lane, T> => ({ now: of("now"), work: of("work"), bulk: of("bulk") });
