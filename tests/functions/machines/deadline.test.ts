import assert from "node:assert/strict";
import { test } from "node:test";
import type { Offer } from "../../../convex/model/gpu.ts";
import { heedDeadline } from "../../../functions/machines/deadline.ts";
import type { Ranked } from "../../../functions/machines/offers.ts";

const hourMs = 3_600_000;
const now = 1_800_000_000_000;
const choice = (id: string, isSpot: boolean): Ranked["choices"][number] =>
  ({ offer: { id, isSpot, region: "here" } as Offer, capability: {} }) as Ranked["choices"][number];
const ranked: Ranked = { choices: [choice("spot", true), choice("safe", false)], says: "Cheapest first." };
const ids = (deadlineAt: number | undefined, from = ranked): string[] => {
  const ask = { need: { maySpot: true }, runMsMax: 10 * hourMs, ...(deadlineAt !== undefined && { deadlineAt }) };
  return heedDeadline(ask, from, now).choices.map(({ offer }) => offer.id);
};

test("spot is taken while there is time to lose one, and not when there is just enough", () => {
  assert.deepEqual(ids(undefined), ["spot", "safe"]);
  assert.deepEqual(ids(now + 14 * hourMs), ["spot", "safe"]);
  assert.deepEqual(ids(now + 10 * hourMs + 20 * 60_000), ["safe"]);
});

test("where there is nothing else, a machine that may be taken away is better than none", () => {
  assert.deepEqual(ids(now + 10 * hourMs, { choices: [choice("spot", true)], says: "" }), ["spot"]);
});
