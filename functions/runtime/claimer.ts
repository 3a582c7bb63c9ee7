import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { State } from "../ports/state.ts";

const lookEveryMs = 30_000; // Behind the subscription: a lost wake-up costs seconds, not a night.
/** Rounds it looks ahead, so that a busy worker need not wait for the next push. */
const roundsAhead = 4;

export type Claimer = {
  /** Up to `limit` jobs worth asking for. Each is offered once per look: asking again for one that somebody else has is no use. */
  readonly take: (limit: number) => Id<"jobs">[];
  readonly hasAny: () => boolean;
  /**
   * Offers again what was last seen. After a job went back to the queue at once the front may look as before, and then nobody is
   * told of it.
   */
  readonly renew: () => void;
  readonly close: () => void;
};

/** Watches the front of the queue. Knows ids only; whether a job is still to be had is found out by claiming it. */
export function openClaimer(options: {
  readonly state: State;
  readonly slots: number;
  readonly onReady: () => void;
  readonly log: (line: string) => void;
}): Claimer {
  const { state, slots, onReady, log } = options;
  const args = { limit: Math.max(16, slots * roundsAhead) };
  let seen: readonly Id<"jobs">[] = [];
  let offered: Id<"jobs">[] = [];

  const see = (head: readonly Id<"jobs">[]): void => {
    seen = head;
    offered = [...head];
    if (offered.length > 0) onReady();
  };
  const look = async (): Promise<void> => {
    try {
      // Other arguments than the watch has, or the client would answer from what it was last told.
      see(await state.query(internal.jobs.head, { limit: args.limit + 1 }));
    } catch (error) {
      log(`looking for work failed: ${String(error)}`);
    }
  };
  const timer = setInterval(() => void look(), lookEveryMs);
  const unwatch = state.watch(internal.jobs.head, args, see, (error) => log(`the queue cannot be watched: ${String(error)}`));

  return {
    take: (limit) => offered.splice(0, limit),
    hasAny: () => offered.length > 0,
    renew() {
      offered = [...seen];
    },
    close() {
      clearInterval(timer);
      unwatch();
      seen = [];
      offered = [];
    },
  };
}
