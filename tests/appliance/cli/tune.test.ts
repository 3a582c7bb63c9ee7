import assert from "node:assert/strict";
import { test } from "node:test";
import { moneyFlag, toWish } from "../../../appliance/cli/tune.ts";

test("an amount is read to the cent, and nothing that is none", () => {
  assert.deepEqual(moneyFlag("5EUR"), { micros: 5_000_000, currency: "EUR" });
  assert.deepEqual(moneyFlag(" 2.50 usd"), { micros: 2_500_000, currency: "USD" });
  for (const text of ["", "5", "0EUR", "-1EUR", "1e3EUR", "5.005EUR", "5GBP", "EUR5"])
    assert.throws(() => moneyFlag(text), /EUR or USD above 0/);
});

test("what belongs to another way of training is refused instead of left out", () => {
  assert.equal(toWish({}), undefined);
  assert.deepEqual(toWish({ with: "lora" }), {});
  assert.deepEqual(toWish({ with: "lora", base: "random" }), { base: "random" });
  assert.throws(() => toWish({ base: "random" }), { code: "invalid" });
  assert.throws(() => toWish({ with: "qlora" }), { code: "invalid" });
});
