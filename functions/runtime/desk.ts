import type { Held } from "./held.ts";
import type { ClaimedJob } from "./runner.ts";

/** A job in hand that has not begun. */
export type Taken = { readonly job: ClaimedJob; readonly held: Held };

/**
 * Runs shorter than this are over sooner than the next claim is answered, so rounds of them are kept in hand: as many as are over in this
 * time. Nobody waits longer than that for what somebody else could have begun.
 */
const shortMs = 20;
/** What is in hand when the worker dies waits for others; and one claim stays one short transaction. */
const aheadMax = 128;
const leastRunMs = 0.25;
const judgedFrom = 16;

/** One lane's slots on this worker: what runs in them, and what was taken ahead. */
export class Desk {
  slots: number;
  running = 0;
  readonly ahead: Taken[] = [];
  #meanMs = 0;
  #ended = 0;

  constructor(slots: number) {
    this.slots = slots;
  }

  /** How many more jobs it may take. */
  room(): number {
    const rounds = this.#ended < judgedFrom ? 0 : Math.floor(shortMs / Math.max(leastRunMs, this.#meanMs));
    const spare = Math.min(aheadMax, rounds * this.slots);
    return Math.max(0, this.slots + spare - this.running - this.ahead.length);
  }

  canBegin(): boolean {
    return this.ahead.length > 0 && this.running < this.slots;
  }

  ended(ms: number): void {
    this.running -= 1;
    this.#ended += 1;
    // Quick to see that runs have become long, slow to believe that they are short again.
    this.#meanMs += (ms - this.#meanMs) * (ms > this.#meanMs ? 0.5 : 0.05);
  }
}
