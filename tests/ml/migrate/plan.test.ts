import assert from "node:assert/strict";
import { test } from "node:test";
import { nextStep, type MigrationFacts } from "../../../ml/migrate/plan.ts";

const facts: MigrationFacts = { stage: "planned", passagesOld: 10, passagesNew: 0, freeBytes: 1_000, needBytes: 100 };
const step = (more: Partial<MigrationFacts>): string => nextStep({ ...facts, ...more }).do;

test("a move prepares, copies, compares, samples, switches and moves the name, in that order", () => {
  assert.equal(step({}), "prepare");
  assert.equal(step({ stage: "copying" }), "copy");
  const checking = { stage: "checking", passagesNew: 10 } as const;
  assert.equal(step(checking), "compare");
  assert.equal(step({ ...checking, mended: 0 }), "sample");
  assert.equal(step({ ...checking, mended: 0, sampleLeast: 1 }), "switch");
  assert.equal(step({ stage: "switched" }), "point");
});

test("nothing is switched while something is missing, different or unchecked", () => {
  const checked = { stage: "checking", mended: 0, passagesNew: 10, sampleLeast: 1 } as const;
  assert.equal(step({ ...checked, mended: 1 }), "compare");
  assert.equal(step({ ...checked, passagesNew: 9 }), "compare");
  const { sampleLeast: _, ...unsampled } = checked;
  assert.equal(step(unsampled), "sample");
  assert.equal(step({ ...checked, sampleLeast: 0.9 }), "refuse");
  assert.equal(step({ freeBytes: 99 }), "refuse");
});
