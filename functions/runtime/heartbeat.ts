import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { State } from "../ports/state.ts";
import type { Held } from "./held.ts";

/** This run of the worker, as the control plane knows it. */
export type Incarnation = {
  readonly workerId: Id<"workers">;
  readonly epoch: number;
  readonly beatEveryMs: number;
  readonly ttlMs: number;
  /** `performance.now()` before we asked for it: from when on the first lease is counted. */
  readonly askedAt: number;
};

export type HeartbeatOptions = {
  readonly state: State;
  readonly incarnation: Incarnation;
  readonly running: () => readonly Held[];
  /** This incarnation holds nothing any more: it was given up, or could not say in time that it lives. */
  readonly onLost: (why: string) => void;
  readonly log: (line: string) => void;
};

export type Heartbeat = { readonly close: () => void };

/**
 * Says every few seconds that the worker lives, for all its jobs at once, and passes on what it hears back. When no beat was answered
 * for the whole life of a lease, others may already have the jobs, so the worker gives up by itself.
 */
export function openHeartbeat({ state, incarnation, running, onLost, log }: HeartbeatOptions): Heartbeat {
  const { workerId, epoch, beatEveryMs } = incarnation;
  let isBeating = false;
  let isOpen = true;

  const lost = (why: string): void => {
    if (!isOpen) return;
    close();
    onLost(why);
  };
  // Counted from when we asked, not from when the answer came: the control plane may have counted from then.
  const armDeadline = (askedAt: number): NodeJS.Timeout =>
    setTimeout(() => lost("no beat was answered in time"), Math.max(0, askedAt + incarnation.ttlMs - performance.now()));
  let deadline = armDeadline(incarnation.askedAt);

  const stopJobs = (jobIds: readonly string[], reason: "lost" | "cancelled"): void => {
    for (const held of running()) if (jobIds.includes(held.jobId)) held.stop(reason);
  };

  const beat = async (): Promise<void> => {
    if (isBeating) return;
    isBeating = true;
    const askedAt = performance.now();
    const asked = running();
    try {
      const jobs = asked.map(({ jobId, token }) => ({ jobId: jobId as Id<"jobs">, token }));
      const answer = await state.mutation(internal.workers.beat, { workerId, epoch, running: jobs });
      if (!isOpen) return;
      if (!answer.isCurrent) return lost("it was given up");
      clearTimeout(deadline);
      deadline = armDeadline(askedAt);
      // Told apart by token: a job of the same id may have been taken again since we asked.
      for (const held of asked) if (answer.lost.includes(held.jobId as Id<"jobs">)) held.stop("lost");
      stopJobs(answer.cancel, "cancelled");
    } catch (error) {
      log(`a beat failed: ${String(error)}`);
    } finally {
      isBeating = false;
    }
  };
  const timer = setInterval(() => void beat(), beatEveryMs);

  const unwatch = state.watch(
    internal.workers.orders,
    { workerId, epoch },
    (orders) => {
      if (!isOpen) return;
      if (!orders.isCurrent) lost("it was given up");
      else stopJobs(orders.cancel, "cancelled");
    },
    (error) => log(`the worker's orders cannot be watched: ${String(error)}`),
  );

  function close(): void {
    if (!isOpen) return;
    isOpen = false;
    clearInterval(timer);
    clearTimeout(deadline);
    unwatch();
  }
  return { close };
}
