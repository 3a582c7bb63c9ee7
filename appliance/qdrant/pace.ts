/** How fast the vault is moved while people search it: how much at a time, and how long it rests in between. Knows no clock. */

export type Pace = {
  /** Passages to write at once. */
  readonly size: number;
  /** How long to rest, as a share of what the page took. */
  readonly restShare: number;
  /** `count` passages were written in `ms`. */
  wrote(count: number, ms: number): void;
  /** A search took `ms`. */
  answered(ms: number, when: Moment): void;
};

/** Of a search: nothing was moved then; between two pages; or a page was under way at any moment of it. */
export type Moment = "quiet" | "rest" | "page";

/** A search that comes while the store writes a page waits about half of it. */
const writeMs = 4;
/** Below the least, what every page takes besides is most of it. */
const size = { least: 8, first: 16, most: 32 };
const rest = { least: 0.5, first: 1, most: 6 };
/** While it moves, searches may take this many times what they took before, on the average. How the slowest fare: docs/learning.md. */
const slowdown = 1.25;
/** What one page or one search counts against all before it. */
const [pageWeight, searchWeight] = [0.2, 0.05];

export function openPace(): Pace {
  let msEach = writeMs / size.first;
  let restShare = rest.first;
  let [quiet, resting, moving]: (number | undefined)[] = [];
  const moved = (old: number | undefined, ms: number): number => (old === undefined ? ms : old + searchWeight * (ms - old));
  return {
    get size() {
      return Math.max(size.least, Math.min(size.most, Math.round(writeMs / msEach)));
    },
    get restShare() {
      return restShare;
    },
    wrote(count, ms) {
      if (count > 0) msEach += pageWeight * (ms / count - msEach);
    },
    answered(ms, when) {
      if (when === "quiet") quiet = moved(quiet, ms);
      else moving = moved(moving, ms);
      if (when === "rest") resting = moved(resting, ms);
      // Where nobody had searched before, rests have to do.
      const calm = quiet ?? resting;
      if (when === "quiet" || calm === undefined || moving === undefined) return;
      const next = moving > slowdown * calm ? restShare * 1.05 : restShare / 1.05;
      restShare = Math.max(rest.least, Math.min(rest.most, next));
    },
  };
}
