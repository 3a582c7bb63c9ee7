import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openTraffic } from "../../../appliance/qdrant/traffic.ts";

const signal = new AbortController().signal;
/** Long enough for a page that nothing holds up to begin. */
const aWhileMs = 60;

test("a page waits while many searches are under way, and begins when they were answered", async () => {
  const traffic = openTraffic();
  const answered = Array.from({ length: 4 }, () => traffic.searching());
  let isBegun = false;
  const page = traffic.page(signal, async () => {
    isBegun = true;
  });
  await delay(aWhileMs);
  assert.equal(isBegun, false);
  for (const over of answered) over();
  await page;
  assert.equal(isBegun, true);
});

test("one search that takes its time, or a crowd without end, does not keep it for ever", async () => {
  const one = openTraffic();
  one.searching();
  await one.page(signal, async () => undefined);
  const crowded = openTraffic({ patienceMs: 50 });
  for (let search = 0; search < 10; search += 1) crowded.searching();
  await crowded.page(signal, async () => undefined);
});

test("a page that fails is over: the next one begins, and searches count as before", async () => {
  const traffic = openTraffic();
  for (let search = 0; search < 5; search += 1) traffic.searching()();
  await assert.rejects(
    traffic.page(signal, () => Promise.reject(new Error("the store is gone"))),
    /the store is gone/,
  );
  const before = traffic.pace.restShare;
  // Were it still under way, these would be searches beside a move, and change its pace.
  for (let search = 0; search < 20; search += 1) traffic.searching()();
  assert.equal(traffic.pace.restShare, before);
  assert.equal(await traffic.page(signal, async () => "done"), "done");
});

test("a rest ends at once when the move is given up", async () => {
  const traffic = openTraffic();
  const given = new AbortController();
  const page = traffic.page(given.signal, () => delay(aWhileMs));
  await delay(aWhileMs + 20);
  given.abort();
  await assert.rejects(page, { name: "AbortError" });
});
