import assert from "node:assert/strict";
import { test } from "node:test";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { toMicroEuro } from "../../../convex/model/budget.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import { costSoFar, jobCostSoFar, type Attempt, type GpuJobDetail } from "../../../convex/model/gpuDetail.ts";

const hour = 3_600_000;
const inDollars = { hourly: { micros: 2_200_000, currency: "USD" }, quantumMs: 1_000, minimumMs: 60_000 } as Offer;
const running: Attempt = {
  attempt: 2,
  machineId: "m" as Id<"machines">,
  name: "m",
  offer: inDollars,
  state: "ready",
  createdAt: 0,
  startedAt: 60_000,
  spent: 0,
  hourly: toMicroEuro(inDollars.hourly, 1.1),
};

test("what a machine that is billed in dollars has come to is told in euros, at the ledger's rate", () => {
  assert.equal(costSoFar(running, hour), 2_000_000);
  // No less than its vendor takes.
  assert.equal(costSoFar(running, 1_000), Math.ceil(2_000_000 / 60));
});

test("one that is gone came to what the ledger says, and one that was never made to nothing", () => {
  assert.equal(costSoFar({ ...running, state: "gone", spent: 7, hourly: 0 }, hour), 7);
  assert.equal(costSoFar({ ...running, state: "creating" }, hour), 0);
});

test("a piece of work has come to what its machines have, those that are gone once", () => {
  const view = { spent: 500 } as GpuJobDetail["view"];
  const gone: Attempt = { ...running, attempt: 1, state: "gone", spent: 500, hourly: 0 };
  assert.equal(jobCostSoFar({ view, attempts: [gone, running] }, hour), 2_000_500);
});
