import assert from "node:assert/strict";
import { test } from "node:test";
import { reserveOf } from "../../../convex/model/budget.ts";

const hourMs = 3_600_000;
const usd = (micros: number) => ({ micros, currency: "USD" as const });

test("what is set aside for a spot machine is by the highest its price may climb to", () => {
  const offer = { hourly: usd(300_000), quantumMs: 1_000, minimumMs: 60_000 };
  const fixed = reserveOf(offer, hourMs);
  const climbing = reserveOf({ ...offer, hourlyMax: usd(1_000_000) }, hourMs);
  assert.equal(Math.round((climbing.micros / fixed.micros) * 10), Math.round((1_000_000 / 300_000) * 10));
  assert.ok(climbing.micros >= 1_000_000);
  // A ceiling below the price of now is no ceiling.
  assert.deepEqual(reserveOf({ ...offer, hourlyMax: usd(100_000) }, hourMs), fixed);
});
