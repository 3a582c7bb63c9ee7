import assert from "node:assert/strict";
import { test } from "node:test";
import { difference, intersect, keep, SlotList, union } from "../../../appliance/vectors/index/slots.ts";
import { random } from "./random.ts";

test("a slot list is a sorted set, whatever order things come and go in", () => {
  const from = random(6);
  const list = new SlotList();
  const set = new Set<number>();
  for (let i = 0; i < 3_000; i++) {
    const slot = from.below(500);
    if (from.next() < 0.5) {
      list.add(slot);
      set.add(slot);
    } else {
      list.delete(slot);
      set.delete(slot);
    }
  }

  assert.deepEqual(
    [...list.view()],
    [...set].sort((a, b) => a - b),
  );
  assert.equal(list.size, set.size);
  for (let slot = 0; slot < 500; slot++) assert.equal(list.has(slot), set.has(slot));
});

test("set algebra agrees with sets, for sides of any size", () => {
  const from = random(7);
  const draw = (n: number): Uint32Array => Uint32Array.from(new Set(Array.from({ length: n }, () => from.below(2_000)))).sort();
  for (const [n, m] of [
    [0, 5],
    [5, 0],
    [3, 1_500],
    [1_500, 3],
    [700, 700],
    [1, 1],
  ] as const) {
    const [a, b] = [draw(n), draw(m)];
    const [left, right] = [new Set(a), new Set(b)];
    const sorted = (set: Set<number>): number[] => [...set].sort((x, y) => x - y);

    assert.deepEqual([...intersect(a, b)], sorted(left.intersection(right)));
    assert.deepEqual([...union([a, b, a])], sorted(left.union(right)));
    assert.deepEqual([...difference(a, b)], sorted(left.difference(right)));
    assert.deepEqual(
      [...keep(a, (slot) => slot % 2 === 0)],
      [...a].filter((slot) => slot % 2 === 0),
    );
  }
});
