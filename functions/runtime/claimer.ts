import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Lane } from "../../convex/model/lane.ts";
import type { State } from "../ports/state.ts";

const lookEveryMs = 30_000; // Behind the subscription: a lost wake-up costs seconds, not a night.
/** The watch sees only the very front, because it is read again with each job that leaves it. */
const watchedMax = 16;
/** When there is more than that, one look fetches enough for many rounds. */
const lookedMax = 512;

export type Claimer = {
  /** Up to `limit` jobs worth asking for. Each is offered once per look: asking again for one that somebody else has is no use. */
  readonly take: (limit: number) => Id<"jobs">[];
  readonly hasAny: () => boolean;
  /** Nothing is known to wait: who comes now comes before nobody. */
  readonly isEmpty: () => boolean;
  /** Jobs that were just added and found no room. */
  readonly offer: (jobIds: readonly Id<"jobs">[]) => void;
  /**
   * Offers again what was last seen. After a job went back to the queue at once the front may look as before, and then nobody is
   * told of it.
   */
  readonly renew: () => void;
  readonly close: () => void;
};

/** Watches the front of a lane. Knows ids only; whether a job is still to be had is found out by claiming it. */
export function openClaimer(options: {
  readonly state: State;
  readonly lane: Lane;
  /** What this worker can do; everything when absent. */
  readonly kinds?: readonly string[] | undefined;
  readonly onReady: () => void;
  readonly log: (line: string) => void;
}): Claimer {
  const { state, lane, kinds, onReady, log } = options;
  const only = kinds ? { kinds: [...kinds] } : {};
  let seen: readonly Id<"jobs">[] = [];
  let offered: Id<"jobs">[] = [];
  let known = new Set<string>();
  let isMore = false;
  let isLooking = false;
  let isClosed = false;
  /** Changes with each look, or the client would answer from what it was last told. */
  let turn = 0;

  const see = (head: readonly Id<"jobs">[]): void => {
    seen = head;
    const isBusy = offered.length > 0;
    // What was offered and taken since stays away until the next look: most of it is in our own hands.
    const fresh = isBusy ? head.filter((id) => !known.has(id)) : head;
    if (!isBusy) known = new Set();
    push(fresh);
    isMore = head.length >= watchedMax;
  };
  const push = (ids: readonly Id<"jobs">[]): void => {
    for (const id of ids) {
      known.add(id);
      offered.push(id);
    }
    if (offered.length > 0) onReady();
  };
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    isMore = false;
    try {
      const head = await state.query(internal.work.head, { lane, limit: lookedMax - (turn++ % 64), ...only });
      if (isClosed) return;
      if (head.length >= lookedMax - 64) isMore = true;
      known = new Set();
      offered = [];
      push(head);
    } catch (error) {
      log(`looking for work failed: ${String(error)}`);
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), lookEveryMs);
  const unwatch = state.watch(internal.work.head, { lane, limit: watchedMax, ...only }, see, (error) =>
    log(`the queue cannot be watched: ${String(error)}`),
  );

  return {
    take(limit) {
      const taken = offered.splice(0, limit);
      if (isMore && offered.length < watchedMax) void look();
      return taken;
    },
    hasAny: () => offered.length > 0,
    isEmpty: () => offered.length === 0 && !isMore,
    offer: push,
    renew() {
      known = new Set();
      offered = [...seen];
    },
    close() {
      isClosed = true;
      clearInterval(timer);
      unwatch();
      seen = [];
      offered = [];
    },
  };
}
