import assert from "node:assert/strict";
import { test } from "node:test";
import { openIntervals } from "../../../../appliance/engine/subscriptions/intervals.ts";
import { openRangeIndex } from "../../../../appliance/engine/subscriptions/rangeIndex.ts";
import { openWriteLog } from "../../../../appliance/engine/subscriptions/writeLog.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** The same answers from a list, looked through from end to end. */
function naive(): { spans: { lower: number; upper: number; owner: number }[]; holders(key: number): number[] } {
  const spans: { lower: number; upper: number; owner: number }[] = [];
  return {
    spans,
    holders: (key) =>
      [...new Set(spans.filter((s) => s.lower <= key && key < s.upper).map((s) => s.owner))].toSorted((a, b) => a - b),
  };
}

/** Numbers that look random and are the same on every run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("intervals come and go and a key finds exactly its holders", () => {
  const next = sequence(7);
  const tree = openIntervals<number>();
  const model = naive();
  for (let step = 0; step < 3000; step++) {
    if (model.spans.length > 0 && next(3) === 0) {
      const [gone] = model.spans.splice(next(model.spans.length), 1);
      assert.ok(gone);
      const isHeldTwice = model.spans.some((s) => s.lower === gone.lower && s.upper === gone.upper && s.owner === gone.owner);
      if (!isHeldTwice) tree.remove(bytes(gone.lower), bytes(gone.upper), gone.owner);
    } else {
      const lower = next(200);
      const upper = lower + next(55);
      const owner = next(40);
      tree.add(bytes(lower), bytes(upper), owner);
      model.spans.push({ lower, upper, owner });
    }
    const key = next(256);
    const found = new Set<number>();
    tree.visit(bytes(key), (owner) => found.add(owner));
    assert.deepEqual(
      [...found].toSorted((a, b) => a - b),
      model.holders(key),
    );
  }
  for (const { lower, upper, owner } of model.spans) tree.remove(bytes(lower), bytes(upper), owner);
  assert.ok(tree.isEmpty());
});

test("a read of one key is told of that key in that index and of no other", () => {
  const index = openRangeIndex<string>();
  const read = [{ index: "a", lower: bytes(1, 2), upper: bytes(1, 2, 0) }];
  index.add(read, "reader");
  const told = (name: string, key: Uint8Array): string[] => {
    const found: string[] = [];
    index.visit({ index: name, key }, (owner) => found.push(owner));
    return found;
  };

  assert.deepEqual(told("a", bytes(1, 2)), ["reader"]);
  assert.deepEqual(told("a", bytes(1, 2, 0)), []);
  assert.deepEqual(told("b", bytes(1, 2)), []);
  index.remove(read, "reader");
  assert.deepEqual(told("a", bytes(1, 2)), []);
});

test("the log names the first commit after a time that wrote what was read", () => {
  const log = openWriteLog();
  const write = (ts: bigint, key: number): void => log.add({ ts, writes: [{ index: "a", key: bytes(key) }] });
  write(10n, 1);
  write(20n, 2);
  write(30n, 1);
  const reads = [{ index: "a", lower: bytes(1), upper: bytes(2) }];

  assert.equal(log.firstConflict(reads, 5n), 10n);
  assert.equal(log.firstConflict(reads, 10n), 30n);
  assert.equal(log.firstConflict(reads, 30n), undefined);
});

test("the log says that it no longer knows rather than that nothing happened", () => {
  const log = openWriteLog();
  const minuteNs = 60_000_000_000n;
  for (let i = 0n; i < 256n; i++) log.add({ ts: i * minuteNs, writes: [{ index: "a", key: bytes(1) }] });

  assert.equal(log.firstConflict([{ index: "b", lower: bytes(0), upper: bytes(9) }], 5n), 5n);
});
