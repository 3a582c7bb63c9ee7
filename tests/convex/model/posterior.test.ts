import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  blockFor,
  blockMaxMs,
  findBlock,
  halfLifeMs,
  learn,
  oddsOf,
  type Block,
  type Evidence,
} from "../../../convex/model/posterior.ts";

const now = 1_800_000_000_000;
const place = { provider: "scaleway", region: "fr-par", zone: "fr-par-2", type: "L4", isSpot: false } as const;
const offer = { ...place, stock: "unknown" } as const;
const failure = { kind: "noCapacity", scope: "zone", says: "None left." } as const;

function seen(refused: number, had: number): Evidence | undefined {
  let evidence: Evidence | undefined;
  for (let one = 0; one < refused; one++) evidence = learn("a", evidence, { type: "refused" }, now);
  for (let one = 0; one < had; one++) evidence = learn("a", evidence, { type: "had" }, now);
  return evidence;
}

test("what befell us moves the odds, and fades back to what the vendor's label says", () => {
  const start = oddsOf(offer, undefined, now).noCapacity;
  assert.ok(oddsOf(offer, seen(5, 0), now).noCapacity > start);
  assert.ok(oddsOf(offer, seen(0, 5), now).noCapacity < start);
  assert.ok(Math.abs(oddsOf(offer, seen(5, 0), now + 20 * halfLifeMs).noCapacity - start) < 1e-3);
  assert.ok(
    oddsOf({ ...offer, stock: "low" }, undefined, now).noCapacity >
      oddsOf({ ...offer, stock: "high" }, undefined, now).noCapacity,
  );
});

test("odds are chances whatever befell us, and one more refusal never lowers them", () => {
  fc.assert(
    fc.property(fc.nat(30), fc.nat(30), fc.constantFrom("none", "low", "medium", "high", "unknown"), (refused, had, stock) => {
      const evidence = seen(refused, had);
      const odds = oddsOf({ stock, isSpot: false }, evidence, now);
      for (const chance of [odds.noCapacity, odds.lostHourly]) assert.ok(chance > 0 && chance < 1);
      const more = oddsOf({ stock, isSpot: false }, learn("a", evidence, { type: "refused" }, now), now);
      assert.ok(more.noCapacity >= odds.noCapacity);
    }),
    { numRuns: 60 },
  );
});

test("boots are learned as a mean in which the last count most", () => {
  let evidence = learn("a", undefined, { type: "had", bootMs: 100_000 }, now);
  evidence = learn("a", evidence, { type: "had", bootMs: 200_000 }, now);
  assert.equal(oddsOf(offer, evidence, now).bootMs, 130_000);
});

test("each failure in a row closes for twice as long, up to half an hour; one of a later day is a first again", () => {
  let block: Block | undefined;
  let at = now;
  const waits = [];
  for (let round = 0; round < 8; round++) {
    block = blockFor(place, failure, block, at);
    waits.push((block.until - at) / 60_000);
    at = block.until;
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
  assert.equal(blockFor(place, failure, block, at + blockMaxMs).failures, 1);
});

test("failures of what was asked for before it closed are one failure", () => {
  const first = blockFor(place, failure, undefined, now);
  assert.equal(blockFor(place, failure, first, now + 1_000).failures, 1);
});

test("a failure covers its scope and nothing beside it", () => {
  const inZone = blockFor(place, failure, undefined, now);
  const ofType = blockFor(place, { ...failure, scope: "type" }, undefined, now);
  const ofAll = blockFor(place, { ...failure, kind: "auth", scope: "account" }, undefined, now);
  const elsewhere = { ...place, zone: "fr-par-1" };
  const other = { ...place, type: "H100" };
  assert.ok(findBlock(other, [inZone], now) && !findBlock(elsewhere, [inZone], now));
  assert.ok(!findBlock(other, [ofType], now) && findBlock(place, [ofType], now));
  assert.ok(findBlock(elsewhere, [ofAll], now) && !findBlock({ ...place, provider: "google" }, [ofAll], now));
  assert.equal(findBlock(place, [inZone], inZone.until), undefined);
});
