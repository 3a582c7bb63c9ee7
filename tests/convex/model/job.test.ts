import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attemptsMax,
  backoffMs,
  cancelled,
  claimed,
  deathBackoffMs,
  deathsMax,
  noted,
  orphaned,
  redriven,
  settled,
  type JobLife,
  type Outcome,
} from "../../../convex/model/job.ts";

const now = 1_000_000;
const leased = (life: Partial<JobLife> = {}): JobLife => ({ state: "leased", attempts: 1, deaths: 0, ...life });
const failed = (retry: boolean, code = "unavailable"): Outcome => ({ type: "failed", code, message: "m", retry });

test("a claim counts a try and nothing else", () => {
  assert.deepEqual(claimed({ state: "ready", attempts: 2, deaths: 3 }, now), {
    state: "leased",
    readyAt: now,
    attempts: 3,
    deaths: 3,
  });
});

for (const [what, life, outcome, expected] of [
  ["done is done", leased(), { type: "done" }, { state: "done", attempts: 1 }],
  [
    "done stands even when it was to be cancelled",
    leased({ cancelAsked: true }),
    { type: "done" },
    { state: "done", attempts: 1 },
  ],
  [
    "a snooze gives the try back",
    leased({ attempts: 3 }),
    { type: "snoozed", delayMs: 50 },
    { state: "ready", attempts: 2, readyAt: now + 50 },
  ],
  [
    "a snooze into the past is due now",
    leased(),
    { type: "snoozed", delayMs: -5 },
    { state: "ready", attempts: 0, readyAt: now },
  ],
  [
    "a snooze of what is to be cancelled ends it",
    leased({ cancelAsked: true }),
    { type: "snoozed", delayMs: 0 },
    { state: "cancelled" },
  ],
  ["a failure of what is to be cancelled ends it", leased({ cancelAsked: true }), failed(true), { state: "cancelled" }],
  ["a failure worth another try waits", leased(), failed(true), { state: "ready", attempts: 1, readyAt: now + 1_000 }],
  ["a failure not worth another try is final", leased(), failed(false), { state: "dead", attempts: 1 }],
  ["the last try is final", leased({ attempts: attemptsMax }), failed(true), { state: "dead", attempts: attemptsMax }],
] as const) {
  test(what, () => assert.partialDeepStrictEqual(settled(life, outcome, now), expected));
}

test("a failure with a code nobody knows is a bug", () => {
  assert.equal(settled(leased(), failed(false, "weird"), now).error?.code, "bug");
  assert.equal(settled(leased(), failed(false, "missing"), now).error?.code, "missing");
});

test("a worker's death costs no try; the first one costs no time either", () => {
  assert.partialDeepStrictEqual(orphaned(leased({ attempts: 4 }), now), { state: "ready", readyAt: now, attempts: 3, deaths: 1 });
  assert.equal(orphaned(leased({ deaths: 1 }), now).readyAt, now + 1_000);
});

test("a job that outlived too many workers is dead, with a sentence that says so", () => {
  const step = orphaned(leased({ deaths: deathsMax - 1 }), now);
  assert.equal(step.state, "dead");
  assert.match(step.error?.message ?? "", new RegExp(`stopped ${deathsMax} times`, "u"));
  assert.equal(orphaned(leased({ cancelAsked: true, deaths: deathsMax - 1 }), now).state, "cancelled");
});

test("a wait is anything up to the longest one, so that jobs which failed together do not come back together", () => {
  const waitOf = (chance: number): number =>
    settled(leased({ attempts: 3 }), failed(true), now, { chance, attemptsMax }).readyAt - now;
  assert.deepEqual([0, 0.25, 1].map(waitOf), [0, 4_000, 16_000]);
  assert.equal(orphaned(leased({ deaths: 2 }), now, { chance: 0.5, attemptsMax }).readyAt, now + 2_000);
});

test("whoever refused it may say when to come back, within a day, and then chance has no say", () => {
  const told = (retryAfterMs: number): number =>
    settled(leased(), { type: "failed", code: "unavailable", message: "m", retry: true, retryAfterMs }, now).readyAt - now;
  assert.deepEqual([90_000, -5, 1e12].map(told), [90_000, 0, 24 * 3_600_000]);
});

test("a kind's own number of tries decides when a failure is final", () => {
  assert.equal(settled(leased({ attempts: 2 }), failed(true), now, { chance: 1, attemptsMax: 2 }).state, "dead");
});

test("what befell a job is told with each step, and only the latest of it is kept", () => {
  const { event } = settled(leased({ attempts: 2 }), failed(true), now);
  assert.deepEqual(event, { at: now, what: "failed", attempt: 2, code: "unavailable", message: "m" });
  assert.equal(orphaned(leased(), now).event?.what, "orphaned");
  assert.equal(cancelled(leased(), now).event?.what, "cancelled");
  assert.equal(redriven({ state: "dead", attempts: 7, deaths: 1 }, now).event?.what, "redriven");
  assert.equal(settled(leased(), { type: "done" }, now).event, undefined);
  assert(event);
  let history = noted(undefined, event);
  for (let at = 0; at < 50; at += 1) history = noted(history, { ...event, at });
  assert.deepEqual([history.length, history.at(-1)?.at], [20, 49]);
});

test("waits grow and stop growing at a quarter of an hour", () => {
  assert.deepEqual([1, 2, 3, 4].map(backoffMs), [1_000, 4_000, 16_000, 64_000]);
  assert.equal(backoffMs(50), 15 * 60_000);
  assert.deepEqual([1, 2, 3].map(deathBackoffMs), [0, 1_000, 4_000]);
});

// Three workers, a few jobs, thousands of random steps: whatever the order, no job is lost, doubled or stuck.
test("under any order of claims, reports, deaths and cancels every job ends exactly once", () => {
  let seed = 42;
  const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  for (let round = 0; round < 300; round += 1) {
    let life: JobLife = { state: "ready", attempts: 0, deaths: 0 };
    let clock = now;
    let readyAt = now;
    for (let step = 0; life.state === "ready" || life.state === "leased"; step += 1) {
      assert(step < 200, "the job never ends");
      clock = Math.max(clock, readyAt);
      if (life.state === "ready") life = claimed(life, clock);
      else {
        const outcomes: Outcome[] = [{ type: "done" }, failed(true), failed(false), { type: "snoozed", delayMs: random(100) }];
        const isAsked = random(10) === 0;
        const asked = isAsked ? { ...life, cancelAsked: true } : life;
        const next = random(3) === 0 ? orphaned(asked, clock) : settled(asked, outcomes[random(4)]!, clock);
        if (next.state === "ready") assert(!isAsked, "a cancelled job came back");
        readyAt = next.readyAt;
        life = { state: next.state, attempts: next.attempts, deaths: next.deaths };
      }
      assert(life.attempts >= 0 && life.attempts <= attemptsMax);
      assert(life.deaths <= deathsMax);
    }
  }
});
