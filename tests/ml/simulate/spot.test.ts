import assert from "node:assert/strict";
import { test } from "node:test";
import { simulateSpot, spotOnly, spotOurs, studiedTask } from "../../../ml/simulate/spot.ts";
import { spotWorld, tracedZones, worldFacts } from "../../../ml/simulate/spotWorlds.ts";

const steps = 20_000;
const zones = tracedZones.map(({ zone }) => zone);
const world = spotWorld(1, steps);

test("zones are up as often, and together as much, as those of the traces", () => {
  const facts = worldFacts(world, (zone) => zone.slice(0, -1));
  for (const [at, { zone, available }] of tracedZones.entries())
    assert.ok(Math.abs((facts.available[at] ?? 0) - available) < 0.2, `${zone}: ${facts.available[at]}`);
  assert.ok(facts.sameRegion > 0.25 && facts.sameRegion < 0.6, String(facts.sameRegion));
  assert.ok(facts.otherRegion < facts.sameRegion / 2, String(facts.otherRegion));
  assert.ok(facts.anyUp > 0.95);
});

test("with three regions and 15 % slack no deadline is missed for a third of the price of on-demand", () => {
  const task = { ...studiedTask, slack: 1.15, zones };
  const own = simulateSpot(world, task, spotOurs, { starts: 60, seed: 3 });
  const only = simulateSpot(world, task, spotOnly, { starts: 60, seed: 3 });
  assert.equal(own.late, 0);
  assert.ok(own.cost <= 0.37, String(own.cost));
  assert.ok(only.cost <= own.cost);
  assert.deepEqual(simulateSpot(world, task, spotOurs, { starts: 60, seed: 3 }), own);
});
