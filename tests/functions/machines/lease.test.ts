/** The lease engine, end to end, against a provider that lies. The clock is moved; nothing is waited for. The whole matrix: scripts/drills/gpuFaults.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openFleet } from "../../fakes/gpu/fleet.ts";
import { play, scenarios } from "../../fakes/gpu/scenarios.ts";
import { worlds } from "../../fakes/gpu/worlds.ts";

const quick = new Set([0, 1, 3, 5, 9, 26, 29, 31, 37]);
for (const scenario of scenarios.filter(({ number }) => quick.has(number)))
  test(`nothing is left billing when ${scenario.name}`, async () => {
    await using fleet = await openFleet(worlds["plain"]!);
    const { problems } = await play(scenario, fleet, fleet.worlds[0]!);
    assert.deepEqual(problems, []);
  });
