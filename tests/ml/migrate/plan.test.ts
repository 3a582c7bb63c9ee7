import assert from "node:assert/strict";
import { test } from "node:test";
import { nextStep, type MigrationFacts } from "../../../ml/migrate/plan.ts";

const facts: MigrationFacts = {
  stage: "planned",
  documentsLeft: 3,
  passagesOld: 10,
  passagesNew: 0,
  wantsRollback: false,
  observedMs: 0,
  freeBytes: 1_000,
  needBytes: 100,
};
const step = (more: Partial<MigrationFacts>): string => nextStep({ ...facts, ...more }).do;

test("a move prepares, copies, checks, switches, waits and clears up, in that order", () => {
  assert.equal(step({}), "prepare");
  assert.equal(step({ stage: "copying" }), "copy");
  assert.equal(step({ stage: "copying", documentsLeft: 0 }), "sample");
  const checked = { stage: "checking", documentsLeft: 0, passagesNew: 10 } as const;
  assert.equal(step({ ...checked, sampleLeast: 1 }), "switch");
  assert.equal(step({ stage: "observing" }), "nothing");
  assert.equal(step({ stage: "observing", observedMs: 8 * 24 * 3_600_000 }), "dropOld");
  assert.equal(step({ stage: "finished", wantsRollback: true }), "nothing");
});

test("nothing is switched while something is missing, different or unchecked", () => {
  const checked = { stage: "checking", documentsLeft: 0, passagesNew: 10, sampleLeast: 1 } as const;
  assert.equal(step({ ...checked, documentsLeft: 1 }), "copy");
  assert.equal(step({ ...checked, passagesNew: 9 }), "copy");
  const { sampleLeast: _, ...unsampled } = checked;
  assert.equal(step(unsampled), "sample");
  assert.equal(step({ ...checked, sampleLeast: 0.9 }), "refuse");
  assert.equal(step({ freeBytes: 99 }), "refuse");
});

test("going back before the switch drops the new, after it switches first", () => {
  for (const stage of ["planned", "copying", "checking"] as const) assert.equal(step({ stage, wantsRollback: true }), "dropNew");
  assert.equal(step({ stage: "observing", wantsRollback: true }), "switchBack");
  assert.equal(step({ stage: "rolledBack" }), "dropNew");
});
