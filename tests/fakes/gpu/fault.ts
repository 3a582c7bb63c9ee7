/**
 * How an emulator of a provider can be made to lie, on demand. Every emulator under tests/fakes/gpu takes these and a clock; what a vendor
 * cannot do wrong (duplicates where it keeps tokens, a timer that it does not have) an emulator may ignore and then does not name in `can`.
 */
export const faults = [
  /** The next create takes effect; its answer is lost (connection reset). */
  "createReplyLostAfter",
  /** The next create is lost on its way: nothing happens, and no answer comes. */
  "createReplyLostBefore",
  /** The next create is answered with an error, and the machine exists all the same. */
  "createErrorButExists",
  /** The next create, once, makes two. */
  "createTwice",
  /** For 20 s after it was made, describing it says that there is none. */
  "describeMissingAtFirst",
  /** The next list leaves out what is there, once. */
  "listOmitsOnce",
  /** The next list of several pages loses what moved between pages; fails or omits as the vendor would. */
  "listPageLost",
  /** Terminating is accepted; nothing happens for the first two times. */
  "terminateIgnoredTwice",
  /** Terminating is answered with 5xx until the fault is cleared. */
  "terminateFails",
  /** The next terminate says that there is no such thing, and ends it. */
  "terminateMissing",
  /** What there is disappears now, as by the console. */
  "disappears",
  /** What there is is taken away now, as spot machines are. */
  "preempted",
  /** Create says that there is no capacity, until cleared; `scope` says how far. */
  "noCapacity",
  "quota",
  "balance",
  /** Every call is answered with 429 until cleared: with how long to wait, or without. */
  "rateLimited",
  "rateLimitedSilently",
  /** Every call says that the key is not taken, until cleared. */
  "keyRevoked",
  /** The session's token has run out: the next call fails with it, and a new token helps. */
  "tokenExpired",
  /** Terminating ends the machine and leaves its disk or address behind, once. */
  "satelliteLeft",
  /** The vendor's own timer never fires, until cleared. */
  "ttlNotEnforced",
  /** Every call is answered with 5xx until cleared. */
  "down",
  /** What is made costs twice what was offered. */
  "priceDoubled",
  /** The list of prices is answered with 5xx until cleared; all else is as ever. */
  "pricesDown",
  /** What was used in the last day is not on the bill yet, until cleared. */
  "billLate",
  /** Half of what was used never comes onto the bill, until cleared. */
  "billMissesHours",
  /** The bill is in pounds, until cleared. */
  "billOtherCurrency",
] as const;
export type Fault = (typeof faults)[number];

/** One billable thing as the emulator, and nobody else, knows it. */
export type Alive = {
  readonly id: string;
  readonly name: string;
  readonly since: number;
  readonly hourlyMicros: number;
  /** What is left of it when the machine itself is gone. */
  readonly isSatellite?: boolean;
};

/** The hook of an emulator that a drill or a test holds. Times are the emulator's clock, in ms since 1970. */
export type Lying = {
  /** Which it can do. */
  readonly can: readonly Fault[];
  set(fault: Fault, how?: { readonly scope?: "type" | "zone" | "region" | "provider" | "account" }): void;
  clear(fault: Fault): void;
  /** Everything that is billed right now, whoever made it. */
  alive(): readonly Alive[];
  /** What it billed since it was opened, in micro-units of its currency. */
  billedMicros(): number;
  /** Time has passed: what boots is up, timers fire. Called after the clock was moved. */
  pass(): void;
  /** Puts a thing there that is not ours: it must never be touched. */
  addForeign(): void;
};
