import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { choose, expectedCost, quantised, type Errand, type Terms } from "../../../convex/model/choose.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import { blockFor } from "../../../convex/model/posterior.ts";

const now = 1_800_000_000_000;
const hourMs = 3_600_000;
const offer: Offer = {
  provider: "scaleway",
  id: "fr-par-2/L4",
  form: "machine",
  type: "L4",
  region: "fr-par",
  zone: "fr-par-2",
  isInEu: true,
  gpu: { name: "L4", count: 1, memoryMb: 24_000 },
  cpus: 8,
  memoryMb: 48_000,
  diskMb: 125_000,
  isSpot: false,
  hourly: { micros: 750_000, currency: "EUR" },
  quantumMs: 60_000,
  minimumMs: 0,
  stock: "high",
  pricedAt: now,
  priceSource: "test",
};
const sure = { noCapacity: 0, lostHourly: 0 };
const errand: Errand = { need: {}, bootMs: 4 * 60_000, runMs: hourMs };
const terms: Terms = { now, oddsOf: () => sure, usdPerEur: 1.1 };
const named = (id: string, more: Partial<Offer>): Offer => ({ ...offer, id, type: id, ...more });

test("what is begun of a quantum is paid, and the minimum in any case", () => {
  assert.equal(quantised({ ...offer, quantumMs: hourMs }, 61 * 60_000), 1_500_000);
  assert.equal(quantised({ ...offer, quantumMs: 1_000, minimumMs: 60_000 }, 1), 12_500);
  assert.equal(quantised(offer, 0), 0);
});

test("an hour that is begun can make the cheaper price the dearer machine", () => {
  const byHour = named("hour", { hourly: { micros: 700_000, currency: "EUR" }, quantumMs: hourMs });
  const { choices } = choose({ ...errand, runMs: 10 * 60_000 }, [byHour, offer], terms);
  assert.equal(choices[0]?.offer.id, offer.id);
});

test("what must hold comes before any price", () => {
  const offers = [
    named("far", { isInEu: false, hourly: { micros: 1, currency: "EUR" } }),
    named("small", { gpu: { name: "L4", count: 1, memoryMb: 16_000 } }),
    named("spot", { isSpot: true }),
    named("out", { stock: "none" }),
    named("old", { pricedAt: now - 25 * hourMs }),
    offer,
  ];
  const need = { isInEu: true, gpu: { count: 1, memoryMb: 24_000 } };
  const { choices, refused, says } = choose({ ...errand, need }, offers, terms);
  assert.deepEqual(
    choices.map((one) => one.offer.id),
    [offer.id],
  );
  assert.deepEqual(
    refused.map(({ because }) => because),
    ["eu", "gpu", "spot", "stock", "priceAge"],
  );
  assert.match(says, /^scaleway\/fr-par-2\/L4 at €0\.\d+ expected .*left out: 1 not in the EU/u);
});

test("a provider that just failed is left out until its time is over, and the next is taken at once", () => {
  const failure = { kind: "noCapacity", scope: "provider", says: "None." } as const;
  const block = blockFor(offer, failure, undefined, now);
  const other = named("other", { provider: "google", hourly: { micros: 900_000, currency: "EUR" } });
  assert.equal(choose(errand, [offer, other], { ...terms, blocks: [block] }).choices[0]?.offer.id, "other");
  const later = choose(errand, [offer, other], { ...terms, now: block.until, blocks: [block] });
  assert.equal(later.choices[0]?.offer.id, offer.id);
});

test("a spot machine that is often taken away costs more than its price", () => {
  const spot = named("spot", { isSpot: true, hourly: { micros: 300_000, currency: "EUR" } });
  const work: Errand = {
    ...errand,
    need: { maySpot: true },
    lostMs: 20 * 60_000,
    delayHourly: { micros: 2_000_000, currency: "EUR" },
  };
  const calm = choose(work, [spot, offer], terms);
  const stormy = choose(work, [spot, offer], {
    ...terms,
    oddsOf: ({ isSpot }) => ({ noCapacity: 0, lostHourly: isSpot ? 0.9 : 0 }),
  });
  assert.equal(calm.choices[0]?.offer.id, "spot");
  assert.equal(stormy.choices[0]?.offer.id, offer.id);
});

test("of two that cost about the same the one that ends machines by itself is taken", () => {
  const twin = named("twin", { provider: "google", hourly: { micros: 751_000, currency: "EUR" } });
  const { choices } = choose(errand, [offer, twin], { ...terms, hasProvenTtl: (provider) => provider === "google" });
  assert.equal(choices[0]?.offer.id, "twin");
});

const anyOffer = fc
  .record({
    micros: fc.integer({ min: 1, max: 5_000_000 }),
    isUsd: fc.boolean(),
    quantumMs: fc.constantFrom(1_000, 60_000, hourMs),
    provider: fc.constantFrom("scaleway", "google", "aws", "runpod"),
    name: fc.integer({ min: 0, max: 1e6 }),
  })
  .map(({ micros, isUsd, quantumMs, provider, name }) =>
    named(`t${name}`, { provider, quantumMs, hourly: { micros, currency: isUsd ? "USD" : "EUR" } }),
  );

test("the same offers in any order are ranked the same, and the best costs no more than a tie above any other", () => {
  fc.assert(
    fc.property(fc.array(anyOffer, { minLength: 1, maxLength: 12 }), (offers) => {
      const ranked = choose(errand, offers, terms);
      const turned = choose(errand, offers.toReversed(), terms);
      assert.deepEqual(
        turned.choices.map(({ expected }) => expected.total),
        ranked.choices.map(({ expected }) => expected.total),
      );
      const best = ranked.choices[0]?.expected.total ?? 0;
      for (const { expected } of ranked.choices) assert.ok(best <= expected.total * 1.021);
    }),
    { numRuns: 100 },
  );
});

test("worse odds, a longer run or a dearer price never make an offer cheaper", () => {
  fc.assert(
    fc.property(
      fc.record({
        noCapacity: fc.double({ min: 0, max: 1, noNaN: true }),
        lostHourly: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.integer({ min: 1, max: 48 }),
      (odds, hours) => {
        const work: Errand = {
          ...errand,
          runMs: hours * hourMs,
          lostMs: 60_000,
          delayHourly: { micros: 500_000, currency: "USD" },
        };
        const base = expectedCost(offer, work, odds, terms).total;
        const worse = { noCapacity: Math.min(1, odds.noCapacity + 0.1), lostHourly: Math.min(1, odds.lostHourly + 0.1) };
        assert.ok(expectedCost(offer, work, worse, terms).total >= base);
        assert.ok(expectedCost(offer, { ...work, runMs: work.runMs + hourMs }, odds, terms).total >= base);
        assert.ok(expectedCost({ ...offer, hourly: { micros: 800_000, currency: "EUR" } }, work, odds, terms).total >= base);
      },
    ),
    { numRuns: 100 },
  );
});
