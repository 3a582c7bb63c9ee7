import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { syncRound } from "./randomClients.ts";

test("whatever clients do and whatever breaks, all that they see is a prefix of the history, and each mutation is in it once", async (t) => {
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const { problems, states } = await syncRound({ seed, ms: 2500, rawClients: 3, convexClients: 2, kills: 1 });
  assert.deepEqual(problems.slice(0, 10), [], `seed ${seed}`);
  assert.ok(states > 0);
});
