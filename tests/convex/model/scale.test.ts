import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  decide,
  emptyMemory,
  expectedMs,
  scalingDefaults,
  spanMs,
  type PoolMachine,
  type ScaleInput,
  type WorkClass,
} from "../../../convex/model/scale.ts";

const now = 1_800_000_000_000;
const minuteMs = 60_000;
const settings = { ...scalingDefaults, isOn: true, max: 20 };
const quiet: ScaleInput = {
  now,
  settings,
  signals: { cpu: 0.2, memory: 0.3 },
  work: [],
  home: { slots: 4, busy: 0 },
  pool: [],
  next: { bootMs: 4 * minuteMs, quantumMs: 1_000, slots: 4 },
  memory: emptyMemory(now),
};
const reading = (more: Partial<WorkClass>): WorkClass => ({
  name: "documents.ingest",
  waiting: 0,
  running: 0,
  arrived: 0,
  meanMs: minuteMs,
  ...more,
});
const machine = (id: string, more: Partial<PoolMachine> = {}): PoolMachine => ({
  id,
  state: "ready",
  askedAt: now - 30 * minuteMs,
  slots: 4,
  busy: 0,
  idleSince: now - 30 * minuteMs,
  quantumMs: 1_000,
  hourlyMicros: 100_000,
  ...more,
});

test("nothing is rented before the owner says so, and what is there goes", () => {
  const off = { ...settings, isOn: false };
  const work = [reading({ waiting: 10_000, oldestAt: now - 60 * minuteMs })];
  const decision = decide({
    ...quiet,
    settings: off,
    work,
    pool: [machine("a", { quantumMs: 60 * minuteMs }), machine("b", { busy: 1 })],
  });
  assert.equal(decision.add, 0);
  // Also what is paid for longer: it would work on for whoever wants none.
  assert.deepEqual(decision.remove, ["a"]);
});

test("a busy machine on which nothing waits rents nothing; what opens the question is named", () => {
  assert.equal(decide({ ...quiet, signals: { cpu: 0.99, memory: 0.9 } }).add, 0);
  const signals = { cpu: 0.85, memory: 0.8, cpuStall: 0.01, memoryStall: 0.3 };
  assert.deepEqual(decide({ ...quiet, signals }).openedBy, ["memory"], "85 % without a stall is healthy");
  const work = [reading({ waiting: 21, oldestAt: now })];
  assert.deepEqual(decide({ ...quiet, work }).openedBy, ["queue"]);
});

test("a heap that this machine does in time rents nothing; one that it does not rents what is missing, once", () => {
  const small = decide({ ...quiet, home: { slots: 4, busy: 4 }, work: [reading({ waiting: 22, oldestAt: now, running: 4 })] });
  assert.equal(small.add, 0);
  const work = [reading({ waiting: 200, oldestAt: now, running: 4 })];
  const large = decide({ ...quiet, home: { slots: 4, busy: 4 }, work });
  assert.ok(large.add >= 10 && large.add <= 20, String(large.add));
  assert.match(large.says, /^Asks for \d+ machines: many jobs wait;/u);
  const pool = Array.from({ length: large.add }, (_, at) => machine(`m${at}`, { state: "booting", askedAt: now }));
  const again = decide({ ...quiet, now: now + 15_000, home: { slots: 4, busy: 4 }, work, pool });
  assert.equal(again.add, 0, "what boots counts");
});

test("many short jobs are packed: fewer machines than jobs", () => {
  const work = [reading({ waiting: 1_000, oldestAt: now, meanMs: 2_000 })];
  const { add } = decide({ ...quiet, work, home: { slots: 1, busy: 1 }, settings: { ...settings, max: 100 } });
  assert.ok(add >= 1 && add <= 5, String(add));
});

test("classes with a shorter promise are met by it", () => {
  const relaxed = [reading({ waiting: 60, oldestAt: now, targetWaitMs: 60 * minuteMs })];
  const urgent = [reading({ waiting: 60, oldestAt: now, targetWaitMs: 4 * minuteMs })];
  assert.ok(decide({ ...quiet, work: urgent }).add > decide({ ...quiet, work: relaxed }).add);
});

test("who pays for an hour anyway waits longer for it to be filled", () => {
  const work = [reading({ waiting: 200, oldestAt: now })];
  const bySecond = decide({ ...quiet, work }).add;
  const byHour = decide({ ...quiet, work, next: { ...quiet.next, quantumMs: 60 * minuteMs } }).add;
  assert.ok(byHour < bySecond, `${byHour} < ${bySecond}`);
});

test("an hour that is paid is used to its end", () => {
  const paid = machine("a", { quantumMs: 60 * minuteMs, askedAt: now - 30 * minuteMs });
  assert.deepEqual(decide({ ...quiet, pool: [paid] }).remove, []);
  const nearly = { ...paid, askedAt: now - 58 * minuteMs };
  assert.deepEqual(decide({ ...quiet, pool: [nearly] }).remove, ["a"]);
});

test("a machine that work still comes in for stays for the price of a boot, and no longer", () => {
  // Work for two places more than this machine has.
  const memory = { ...emptyMemory(now), spans: Array.from({ length: 20 }, () => 6 * spanMs) };
  const rested = (idleMs: number) => decide({ ...quiet, memory, pool: [machine("a", { idleSince: now - idleMs })] }).remove;
  assert.deepEqual(rested(2 * minuteMs), []);
  assert.deepEqual(rested(5 * minuteMs), ["a"]);
  const bursts = { ...emptyMemory(now), spans: [...Array.from({ length: 18 }, () => 0), 900 * minuteMs, 900 * minuteMs] };
  const after = decide({ ...quiet, memory: bursts, pool: [machine("a", { idleSince: now - minuteMs })] });
  assert.deepEqual(after.remove, ["a"], "bursts do not foretell bursts");
});

test("a cold sort of work is taken to be slow, a known one as it was", () => {
  assert.equal(expectedMs([], 5), 5);
  assert.equal(expectedMs([1, 9, 2], 5), 9);
  assert.ok(
    Math.abs(
      expectedMs(
        Array.from({ length: 50 }, () => 7),
        5,
      ) - 7,
    ) < 1e-9,
  );
});

const anyMachine = fc.record({
  state: fc.constantFrom("booting", "ready", "draining"),
  busy: fc.nat(4),
  agoMin: fc.integer({ min: 0, max: 120 }),
  quantumMs: fc.constantFrom(1_000, 60 * minuteMs),
});
const anyInput = fc
  .record({
    machines: fc.array(anyMachine, { maxLength: 12 }),
    waiting: fc.nat(500),
    waitedMin: fc.nat(30),
    meanMs: fc.integer({ min: 100, max: 60 * minuteMs }),
    min: fc.nat(3),
    max: fc.integer({ min: 3, max: 15 }),
    cpu: fc.double({ min: 0, max: 1, noNaN: true }),
    isOn: fc.boolean(),
    arrivals: fc.array(fc.nat(1_000_000), { maxLength: 20 }),
  })
  .map(({ machines, waiting, waitedMin, meanMs, min, max, cpu, isOn, arrivals }): ScaleInput => ({
    ...quiet,
    settings: { ...settings, isOn, min, max },
    signals: { cpu, memory: cpu },
    work: [reading({ waiting, ...(waiting > 0 && { oldestAt: now - waitedMin * minuteMs }), meanMs, arrived: waiting })],
    memory: { ...emptyMemory(now), spans: [...arrivals, 0] },
    pool: machines.map(({ state, busy, agoMin, quantumMs }, at) => {
      const { idleSince: _idleSince, ...base } = machine(`m${at}`);
      const isIdle = state === "ready" && busy === 0;
      const askedAt = now - agoMin * minuteMs;
      const held = state === "booting" ? 0 : busy;
      return { ...base, state, busy: held, askedAt, quantumMs, ...(isIdle && { idleSince: askedAt }) };
    }),
  }));

test("whatever is seen: never more than allowed, never one at work let go, never up and down at once, and the same again", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const decision = decide(input);
      const { pool, settings: allowed } = input;
      assert.ok(decision.add === 0 || pool.length + decision.add <= allowed.max);
      assert.ok(decision.add === 0 || allowed.isOn);
      assert.ok(decision.add === 0 || decision.remove.length === 0);
      for (const id of decision.remove) {
        const one = pool.find((candidate) => candidate.id === id);
        assert.ok(one && one.busy === 0 && one.state !== "draining");
      }
      const isWaiting = input.work.some(({ waiting }) => waiting > 0);
      if (isWaiting && allowed.isOn) assert.deepEqual(decision.remove, []);
      const alive = pool.filter(({ state }) => state !== "draining").length;
      if (allowed.isOn && alive > allowed.min) assert.ok(alive - decision.remove.length >= allowed.min);
      assert.ok(decision.says.endsWith("."));
      assert.deepEqual(decide(structuredClone(input)), decision);
      assert.deepEqual(JSON.parse(JSON.stringify(decision.memory)), decision.memory, "what is kept can be kept");
    }),
    { numRuns: 300 },
  );
});

test("more that waits never means fewer machines", () => {
  fc.assert(
    fc.property(fc.integer({ min: 21, max: 2_000 }), fc.integer({ min: 1, max: 500 }), (waiting, more) => {
      const wide = { ...settings, max: 50 };
      const add = (count: number): number =>
        decide({ ...quiet, settings: wide, work: [reading({ waiting: count, oldestAt: now })] }).add;
      assert.ok(add(waiting + more) >= add(waiting));
    }),
    { numRuns: 100 },
  );
});
