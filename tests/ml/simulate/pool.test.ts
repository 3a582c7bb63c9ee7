import assert from "node:assert/strict";
import { test } from "node:test";
import { backlogTime, ours, thresholds } from "../../../ml/simulate/poolPolicies.ts";
import { simulatePool } from "../../../ml/simulate/pool.ts";
import { poolWorld, studied } from "../../../ml/simulate/poolWorlds.ts";
import { openRandom } from "../../../ml/simulate/random.ts";

const small = { ...studied, jobs: 800, hours: 12, bursts: 4 };

test("the same seed plays the same days, to the last bit; another seed others", () => {
  const once = simulatePool(poolWorld({ ...small, seed: 7 }), ours());
  assert.deepEqual(simulatePool(poolWorld({ ...small, seed: 7 }), ours()), once);
  assert.notDeepEqual(simulatePool(poolWorld({ ...small, seed: 8 }), ours()), once);
  assert.equal(openRandom(1).fork("a").next(), openRandom(1).fork("a").next());
});

test("whatever fails, all is done, nothing is left running, and the bill is work, boots and idling", () => {
  for (const lostHourly of [0, 0.5]) {
    const result = simulatePool({ ...poolWorld({ ...small, seed: 3 }), lostHourly }, ours());
    assert.equal(result.left, 0);
    assert.ok(result.refused > 0 && result.costMicros >= result.pureMicros);
    assert.ok(result.bootMicros > 0 && result.idleMicros > 0);
    assert.equal(result.preempted > 0, lostHourly > 0);
  }
});

test("the rule of production costs less than thresholds and than a backlog's time, and keeps its promise", () => {
  const world = poolWorld({ ...small, seed: 5 });
  const own = simulatePool(world, ours());
  for (const policy of [thresholds, backlogTime(10)])
    assert.ok(own.costMicros < simulatePool(world, policy).costMicros, policy.name);
  assert.ok(own.p95Ms <= 6 * 60_000, String(own.p95Ms));
});
