/** The clock behind `ctx.scheduler` and crons: one timer to whatever is due next. What is due, and exactly-once, are the core's. */
import { randomBytes } from "node:crypto";
import type { Core } from "../core.ts";
import type { DueJob } from "../model/job.ts";

/** A clock that jumps is noticed within this: timers count what passes, not what the wall clock says. */
const timerMsMax = 15_000;
/** After the core failed to answer. */
const retryMs = 1_000;

export type Scheduler = {
  /** Resolves when nothing that was due before the call is left to start. For tests. */
  settled(): Promise<void>;
  close(): Promise<void>;
};

export type SchedulerOptions = {
  readonly core: Core;
  readonly nowMs: () => number;
  readonly log: (line: string) => void;
};

export function openScheduler({ core, nowMs, log }: SchedulerOptions): Scheduler {
  let timer: NodeJS.Timeout | undefined;
  // `seenMs`: what the clock said last. At the start, nobody knows what it said before.
  const state = { isClosed: false, isBusy: false, isAskedAgain: false, seenMs: Infinity };
  let turn = Promise.resolve();
  const actions = new Set<Promise<void>>();
  const stopListening = core.onSchedule(look);

  /** Runs what is due and sets the timer; asked while it does, it looks once more. */
  function look(): void {
    state.isAskedAgain = true;
    if (state.isBusy || state.isClosed) return;
    state.isBusy = true;
    turn = work().finally(() => (state.isBusy = false));
  }

  async function work(): Promise<void> {
    while (state.isAskedAgain && !state.isClosed) {
      state.isAskedAgain = false;
      try {
        const dueMs = await core.nextDueMs();
        const now = nowMs();
        // A clock that was set back may have left crons far ahead of it: `runDue` brings them back, too.
        if (now < state.seenMs || (dueMs !== undefined && dueMs <= now)) {
          for (const job of await core.runDue(now)) begin(job);
          state.isAskedAgain = true;
        } else if (dueMs !== undefined) wait(dueMs - now);
        else clearTimeout(timer);
        state.seenMs = now;
      } catch (error) {
        if (state.isClosed) return;
        log(`scheduler: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        wait(retryMs);
      }
    }
  }

  function wait(ms: number): void {
    clearTimeout(timer);
    if (state.isClosed) return;
    timer = setTimeout(look, Math.min(Math.max(ms, 1), timerMsMax));
  }

  function begin(job: DueJob): void {
    const run = runAction(core, job)
      .catch((error: unknown) => log(`scheduler: ${job.path}: ${error instanceof Error ? error.message : String(error)}`))
      .finally(() => actions.delete(run));
    actions.add(run);
  }

  look();
  return {
    async settled() {
      while (state.isBusy || actions.size > 0) await Promise.all([turn, ...actions]);
    },
    async close() {
      state.isClosed = true;
      stopListening();
      clearTimeout(timer);
      await turn;
    },
  };
}

/** A claimed action runs at most once: whatever becomes of it is recorded, and if we die first, the core finds it abandoned at start. */
async function runAction(core: Core, { id, path, args }: DueJob): Promise<void> {
  // Jobs may call internal functions and have no identity: that is an admin who acts as nobody.
  const identity = { type: "admin" } as const;
  const requestId = randomBytes(8).toString("hex");
  // Crons are claimed under names of their own.
  const scheduled = id.includes(":") ? {} : { scheduledId: id };
  try {
    const { result } = await core.action({ path, args, identity, requestId, caller: "Scheduler", ...scheduled });
    await core.settleJob(id, result.ok ? { ok: true } : { ok: false, message: result.message });
  } catch (error) {
    await core.settleJob(id, { ok: false, message: "Transient error while executing action" });
    throw error;
  }
}
