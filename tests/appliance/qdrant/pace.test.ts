import assert from "node:assert/strict";
import { test } from "node:test";
import { openPace } from "../../../appliance/qdrant/pace.ts";

test("pages get smaller where writing takes long and larger where it does not, within bounds", () => {
  const [slow, fast, stuck] = [openPace(), openPace(), openPace()];
  const first = slow.size;
  for (let page = 0; page < 50; page += 1) {
    slow.wrote(slow.size, slow.size * 0.4);
    fast.wrote(fast.size, fast.size * 0.2);
    stuck.wrote(stuck.size, 1_000);
  }
  assert.equal(slow.size, 10, "4 ms of 0.4 ms each");
  assert.equal(fast.size, 20, "4 ms of 0.2 ms each");
  assert.ok(slow.size < first && first < fast.size);
  assert.equal(stuck.size, 8);
});

test("it rests longer while searches take longer than before the move, and less when they do not", () => {
  const pace = openPace();
  const first = pace.restShare;
  for (let search = 0; search < 100; search += 1) pace.answered(10, "quiet");
  for (let search = 0; search < 200; search += 1) pace.answered(15, search % 2 ? "page" : "rest");
  assert.equal(pace.restShare, 6);
  for (let search = 0; search < 400; search += 1) pace.answered(10, search % 2 ? "page" : "rest");
  assert.ok(pace.restShare < first);
});

test("where nobody had searched before, searches in rests are what it goes by", () => {
  const pace = openPace();
  const first = pace.restShare;
  for (let search = 0; search < 200; search += 1) pace.answered(search % 2 ? 30 : 10, search % 2 ? "page" : "rest");
  assert.equal(pace.restShare, 6);
  for (let search = 0; search < 400; search += 1) pace.answered(10, search % 2 ? "page" : "rest");
  assert.ok(pace.restShare < first);
});

test("an empty page and searches of one kind alone change nothing", () => {
  const pace = openPace();
  const before = [pace.size, pace.restShare];
  pace.wrote(0, 500);
  for (let search = 0; search < 50; search += 1) pace.answered(300, "page");
  assert.deepEqual([pace.size, pace.restShare], before);
  for (let search = 0; search < 50; search += 1) pace.answered(300, "quiet");
  assert.deepEqual([pace.size, pace.restShare], before);
});
