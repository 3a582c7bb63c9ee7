/** The searches under way, and whoever moves the vault beside them: searches come first, and a page that they had to wait for is followed by a rest. */
import { setTimeout as delay } from "node:timers/promises";
import { openPace, type Moment, type Pace } from "./pace.ts";

export type Traffic = {
  readonly pace: Pace;
  /** Called when a search begins; what it gives is called when that is over. */
  searching(): () => void;
  /** A page of a move, and the rest after it. */
  page<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T>;
  /** Of the page under way: searches that came meanwhile go first. */
  giveWay(): Promise<void>;
  /** Of the page under way: it waited for others as long as this, which is no work of its own. */
  waited(ms: number): void;
};

/** As long as this it gives way to any search. */
const yieldMsMax = 20;
const yieldMs = 2;
/** So many searches at once wait for each other: a page now would make seconds of a moment's delay. */
const crowd = 4;
/** Whoever moves is not kept from it for ever. */
const crowdedMsMax = 2_000;

export function openTraffic({ patienceMs = crowdedMsMax }: { readonly patienceMs?: number } = {}): Traffic {
  const pace = openPace();
  const searches = new Set<{ when: Moment }>();
  /** Pages under way, and those with their rests. */
  let [pages, moves] = [0, 0];
  let waitedMs = 0;

  const quieter = async (): Promise<void> => {
    const startedAt = performance.now();
    const hasFor = (ms: number): boolean => performance.now() < startedAt + ms;
    while (searches.size >= crowd && hasFor(patienceMs)) await delay(yieldMs);
    while (searches.size > 0 && hasFor(yieldMsMax)) await delay(yieldMs);
  };
  return {
    pace,
    waited: (ms) => {
      waitedMs += ms;
    },
    giveWay: async () => {
      const startedAt = performance.now();
      await quieter();
      waitedMs += performance.now() - startedAt;
    },
    searching: () => {
      const startedAt = performance.now();
      const search: { when: Moment } = { when: pages > 0 ? "page" : moves > 0 ? "rest" : "quiet" };
      searches.add(search);
      return () => {
        searches.delete(search);
        pace.answered(performance.now() - startedAt, search.when);
      };
    },
    page: async (signal, work) => {
      moves += 1;
      try {
        await quieter();
        const startedAt = performance.now();
        waitedMs = 0;
        pages += 1;
        for (const search of searches) search.when = "page";
        const done = await work().finally(() => (pages -= 1));
        const workedMs = performance.now() - startedAt - waitedMs;
        await delay(Math.ceil(workedMs * pace.restShare), undefined, { signal });
        return done;
      } finally {
        moves -= 1;
      }
    },
  };
}
