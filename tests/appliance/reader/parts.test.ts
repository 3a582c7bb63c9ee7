import assert from "node:assert/strict";
import { test } from "node:test";
import { deserialize, serialize } from "node:v8";
import { joinEntries, joinReading, splitEntries, splitReading } from "../../../appliance/reader/parts.ts";
import type { Reading, ReadPicture } from "../../../functions/ports/reader.ts";

/** As a channel between processes carries it. */
const sent = <T>(value: T): T => deserialize(serialize(value)) as T;
const carried = (parts: Iterable<unknown>): { parts: unknown[]; largest: number } => {
  const all = [...parts].map((part) => serialize(part));
  return { parts: all.map((part) => deserialize(part) as unknown), largest: Math.max(0, ...all.map(({ length }) => length)) };
};

const picture = (sizeBytes: number, seed: number): ReadPicture => ({
  type: "figure",
  mediaType: "image/webp",
  width: 3,
  height: 4,
  caption: `picture ${seed}`,
  bytes: Uint8Array.from({ length: sizeBytes }, (_, at) => (at * seed) % 251),
});
const reading = (passages: number, pictures?: ReadPicture[]): Extract<Reading, { type: "read" }> => ({
  type: "read",
  format: "text",
  title: "Mill",
  language: "en",
  passages: Array.from({ length: passages }, (_, at) => ({
    text: `${at} ${"keys ".repeat(300)}`,
    place: { lines: { from: at, to: at } },
  })),
  ...(pictures && { pictures }),
});

test("a reading is put together again as it was, and no part of it is large", () => {
  for (const one of [
    reading(0),
    reading(1),
    reading(5_000),
    reading(2, []),
    reading(3, [picture(2_500_000, 7), picture(0, 1), picture(9, 3)]),
  ]) {
    const { rest, parts } = splitReading(one);
    const way = carried(parts);

    assert.deepEqual(joinReading(sent(rest), way.parts), one);
    assert.ok(way.largest < 2_000_000, `a part of ${way.largest} bytes`);
    assert.ok(serialize(rest).length < 10_000);
  }
});

test("entries keep their bytes, their problems and where to go on, and large ones stay in their parts", async () => {
  const large = picture(3_000_000, 5).bytes;
  const found = {
    entries: [
      { name: "a.txt", bytes: large },
      { name: "locked.txt", bytes: new Uint8Array(), problem: "encrypted" as const },
      // A view of more than it shows, as libraries hand them out.
      { name: "b.txt", bytes: new Uint8Array(100_000).subarray(10, 20) },
    ],
    next: 3,
  };
  const { rest, parts } = splitEntries(found);
  const way = carried(parts);
  assert.ok(way.largest < 2_000_000);

  const { entries, next } = joinEntries(sent(rest), way.parts);
  assert.equal(next, 3);
  const [first, ...others] = entries;
  assert.deepEqual(others, found.entries.slice(1));
  assert.ok(first && !(first.bytes instanceof Uint8Array));
  assert.equal(first.bytes.sizeBytes, large.length);
  for (let round = 0; round < 2; round += 1) {
    const pieces: Uint8Array[] = await Array.fromAsync(first.bytes.pieces(new AbortController().signal));
    assert.deepEqual(new Uint8Array(Buffer.concat(pieces)), large);
  }
});

test("a part that is missing is not passed over", () => {
  const { rest, parts } = splitReading(reading(1, [picture(2_500_000, 7)]));

  assert.throws(() => joinReading(rest, [...parts].slice(0, -1)), /missing/u);
});
