import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBill, isNews, periodsToRead, spanOfPeriod, useWithin, type BillTerms } from "../../../convex/model/bill.ts";

const hour = 3_600_000;
const noon = Date.UTC(2026, 10, 21, 12);
const terms: BillTerms = { grain: "day", lagMs: 6 * hour, tells: "things", hasManaged: true, says: "" };
const dollars = (micros: number) => ({ micros, currency: "USD" as const });
const known = (micros: number) => ({ id: "a", from: noon - hour, to: noon, cost: dollars(micros) });
const line = (micros: number, id = "a") => ({ period: "2026-11-21", micros, currency: "USD", id });
const base = {
  provider: "runpod",
  period: "2026-11-21",
  terms,
  installId: "k17exam0",
  foreign: new Set<string>(),
  now: noon,
} as const;

test("what a machine came to falls to days by the time it was there", () => {
  const use = { from: Date.UTC(2026, 10, 20, 22), to: Date.UTC(2026, 10, 21, 3), cost: dollars(5_000_000) };
  assert.equal(useWithin(use, spanOfPeriod("2026-11-20")!, noon), 2_000_000);
  assert.equal(useWithin(use, spanOfPeriod("2026-11-21")!, noon), 3_000_000);
  assert.equal(useWithin(use, spanOfPeriod("2026-11")!, noon), 5_000_000);
  assert.equal(useWithin(use, spanOfPeriod("2026-12")!, noon), 0);
});

test("days are read until they cannot change any more; a month's first days ask for the month before too", () => {
  assert.deepEqual(periodsToRead(terms, noon), ["2026-11-20", "2026-11-21"]);
  assert.deepEqual(periodsToRead({ grain: "month", lagMs: 48 * hour }, Date.UTC(2026, 10, 2)), ["2026-10", "2026-11"]);
  assert.deepEqual(periodsToRead({ grain: "none", lagMs: 0 }, noon), []);
});

test("a little more is disks and rounding; much more is told while the day is not over", () => {
  const verdict = (billed: number, now: number = noon): string =>
    compareBill({ ...base, now, read: { lines: [line(billed)] }, uses: [known(1_000_000)] }).verdict;
  assert.equal(verdict(1_290_000), "open");
  assert.equal(verdict(1_310_000), "more");
  assert.equal(verdict(1_000_000, noon + 24 * hour), "agrees");
  assert.equal(verdict(500_000, noon + 24 * hour), "less");
  assert.equal(verdict(500_000), "open");
});

test("two currencies are compared at the owner's rate alone", () => {
  const read = { lines: [{ ...line(1_000_000), currency: "EUR" }] };
  assert.equal(compareBill({ ...base, read, uses: [known(1_100_000)] }).verdict, "unclear");
  const row = compareBill({ ...base, read, uses: [known(1_100_000)], usdPerEur: 1.1 });
  assert.deepEqual([row.verdict, row.known, row.currency], ["open", 1_000_000, "EUR"]);
  const mixed = { lines: [line(1), { ...line(1), currency: "GBP" }] };
  assert.equal(compareBill({ ...base, read: mixed, uses: [] }).verdict, "unclear");
});

test("another install's mark is another's; a bill that keeps no marks cannot be compared", () => {
  const marked: BillTerms = { ...terms, tells: "mark" };
  const late = { ...base, terms: marked, now: noon + 48 * hour };
  const other = { period: "2026-11-21", micros: 9_000_000, currency: "USD", installId: "k99other" };
  const ours = { ...other, micros: 1_000_000, installId: "k17exam0" };
  const row = compareBill({ ...late, read: { lines: [other, ours] }, uses: [known(1_000_000)] });
  assert.deepEqual([row.verdict, row.billed, row.others], ["agrees", 1_000_000, 9_000_000]);
  const { installId: _installId, ...unmarked } = other;
  assert.equal(compareBill({ ...late, read: { lines: [unmarked] }, uses: [known(1_000_000)] }).verdict, "unclear");
});

test("jobs of the vendor's own are left out where its bill does not tell them", () => {
  const read = { lines: [] };
  const uses = [{ ...known(3_000_000), isManaged: true }];
  assert.equal(compareBill({ ...base, terms: { ...terms, hasManaged: false }, read, uses }).known, 0);
  assert.equal(compareBill({ ...base, read, uses }).known, 3_000_000);
});

test("what was told is told again when it doubled", () => {
  const row = compareBill({ ...base, read: { lines: [line(3_000_000, "b")] }, uses: [] });
  assert.ok(isNews(row, undefined) && isNews(row, 1_400_000) && !isNews(row, 1_500_000));
});
