import assert from "node:assert/strict";
import { test } from "node:test";
import { openRangeIndex } from "../../../../appliance/engine/subscriptions/rangeIndex.ts";

const point = (byte: number) => ({ index: "i", lower: Uint8Array.of(byte), upper: Uint8Array.of(byte, 0) });

test("a key has as many readers as read it, each of them once, until they let go", () => {
  const readers = openRangeIndex<string>();
  const readersOf = (byte: number): string[] => {
    const found: string[] = [];
    readers.visit({ index: "i", key: Uint8Array.of(byte) }, (owner) => found.push(owner));
    return found.toSorted();
  };
  readers.add([point(1), point(1)], "a");
  assert.deepEqual(readersOf(1), ["a"]);
  readers.add([point(1), point(2)], "b");
  readers.add([point(1)], "c");
  assert.deepEqual(readersOf(1), ["a", "b", "c"]);
  readers.remove([point(1)], "a");
  readers.remove([point(1)], "c");
  assert.deepEqual([readersOf(1), readersOf(2)], [["b"], ["b"]]);
  readers.remove([point(1)], "stranger");
  assert.deepEqual(readersOf(1), ["b"]);
  readers.remove([point(1), point(2)], "b");
  assert.deepEqual([readersOf(1), readersOf(2)], [[], []]);
});
