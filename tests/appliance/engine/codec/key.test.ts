import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { afterKey, afterPrefix, compareKeys, encodeEntry, encodeKey } from "../../../../appliance/engine/codec/key.ts";
import { toFloat, toInteger, type Json } from "../../../../appliance/engine/codec/value.ts";

/** In Convex's order. */
const ladder: readonly (Json | undefined)[] = [
  undefined,
  null,
  toInteger(-(2n ** 63n)),
  toInteger(-1n),
  toInteger(0n),
  toInteger(255n),
  toInteger(256n),
  toInteger(2n ** 63n - 1n),
  toFloat(-Infinity),
  -1e300,
  -1,
  -5e-324,
  toFloat(-0),
  0,
  5e-324,
  0.1,
  1,
  1e300,
  toFloat(Infinity),
  toFloat(NaN),
  false,
  true,
  "",
  "\0",
  "\0\0",
  "\0\u0001",
  "\u0001",
  "\u0002",
  "a",
  "a\0",
  "a\u0001",
  "ab",
  "b",
  "é",
  "\uffee",
  "😀",
  { $bytes: "" },
  { $bytes: "AA==" },
  { $bytes: "AAA=" },
  { $bytes: "AQ==" },
  { $bytes: "/w==" },
  [],
  [null],
  [null, null],
  ["a"],
  ["a", 1],
  ["b"],
  {},
  { a: 1 },
  { a: 1, b: 1 },
  { a: 2 },
  { b: 0 },
];

test("keys sort as Convex sorts values", () => {
  const keys = ladder.map((value) => encodeKey([value]));
  for (let at = 1; at < keys.length; at++)
    assert.ok(
      compareKeys(keys[at - 1] as Uint8Array, keys[at] as Uint8Array) < 0,
      `${JSON.stringify(ladder[at - 1])} < ${JSON.stringify(ladder[at])}`,
    );
});

test("the second field decides only when the first is the same", () => {
  for (const [at, a] of ladder.entries())
    for (const b of [ladder[0], ladder.at(-1)]) {
      const next = ladder[at + 1];
      if (at + 1 < ladder.length) assert.ok(compareKeys(encodeKey([a, b]), encodeKey([next, undefined])) < 0);
    }
});

test("a prefix's range holds exactly the keys that begin with its values", () => {
  for (const value of ladder) {
    const prefix = encodeKey([value]);
    for (const other of ladder) {
      const key = encodeEntry([other], 1, new Uint8Array(16).fill(255));
      const isInside = compareKeys(prefix, key) <= 0 && compareKeys(key, afterPrefix(prefix)) < 0;
      assert.equal(isInside, other === value, `${JSON.stringify(other)} in ${JSON.stringify(value)}`);
    }
  }
});

test("random strings sort by their UTF-8 bytes", () => {
  const letters = ["\0", "\u0001", "\u0002", "a", "z", "é", "\u07ff", "\ud7ff", "\uffff", "😀", "𐀀"];
  const texts = Array.from({ length: 500 }, () =>
    Array.from({ length: randomInt(0, 6) }, () => letters[randomInt(letters.length)]).join(""),
  );
  const byKey = texts.toSorted((a, b) => compareKeys(encodeKey([a]), encodeKey([b])));
  const byBytes = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(byKey, byBytes);
});

test("nothing lies between a key and the one after it", () => {
  const key = encodeKey(["a"]);
  assert.ok(compareKeys(key, afterKey(key)) < 0);
  assert.ok(compareKeys(afterKey(key), afterPrefix(key)) < 0);
  assert.ok(compareKeys(afterPrefix(new Uint8Array(0)), new Uint8Array(16).fill(255)) > 0);
});
