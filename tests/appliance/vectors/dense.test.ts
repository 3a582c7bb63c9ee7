import assert from "node:assert/strict";
import { test } from "node:test";
import { DenseIndex } from "../../../appliance/vectors/index/dense.ts";
import { openKernel, openMemory, plainKernel } from "../../../appliance/vectors/index/kernel.ts";
import { isotropic, nearestOf, random } from "./random.ts";

test("the SIMD kernel computes what plain JavaScript computes", () => {
  const memory = openMemory(4);
  const from = random(1);
  new Uint8Array(memory.buffer).forEach((_, i, bytes) => (bytes[i] = from.below(256)));
  const [query, scales, rows, list, n, bytes] = [0, 4096, 8192, 6000, 200, 96];
  new Float32Array(memory.buffer, scales, n).forEach((_, i, all) => (all[i] = i === 7 ? Number.NaN : from.next()));
  new Uint32Array(memory.buffer, list, 50).forEach((_, i, all) => (all[i] = from.below(n)));
  const run = (kernel: ReturnType<typeof openKernel>) => {
    const out = 200_000;
    kernel.scan(query, scales, rows, n, bytes, out);
    const scanned = new Float32Array(memory.buffer.slice(out, out + n * 4));
    kernel.pick(query, scales, rows, list, 50, bytes, out);
    return { scanned, picked: new Float32Array(memory.buffer.slice(out, out + 50 * 4)) };
  };

  const [simd, plain] = [run(openKernel(memory)), run(plainKernel(memory))];

  assert.deepEqual(simd, plain);
  assert.ok(Number.isNaN(simd.scanned[7]));
  assert.equal(new Set(simd.scanned).size > 150, true);
});

for (const [name, kernel] of [
  ["SIMD", openKernel],
  ["plain JavaScript", plainKernel],
] as const) {
  test(`${name}: candidates hold the true best over blocks, gaps, removals and overwrites`, () => {
    const from = random(2);
    const dimensions = 40;
    const index = new DenseIndex(dimensions, kernel);
    const held = new Map<number, Float32Array>();
    for (let i = 0; i < 6_000; i++) {
      const slot = from.below(9_000);
      if (from.next() < 0.2) {
        index.delete(slot);
        held.delete(slot);
      } else {
        const vector = isotropic(from, dimensions);
        index.set(slot, vector);
        held.set(slot, vector);
      }
    }
    assert.equal(index.count, held.size);
    const slots = [...held.keys()].sort((a, b) => a - b);
    const vectors = slots.map((slot) => held.get(slot)!);
    const odd = slots.filter((slot) => slot % 2 === 1);

    for (let i = 0; i < 20; i++) {
      const query = isotropic(from, dimensions);
      const all = new Set(index.candidates(query, 60));
      const some = new Set(index.candidates(query, 60, Uint32Array.from(odd)));
      for (const at of nearestOf(vectors, query, 10)) assert.ok(all.has(slots[at]!));
      for (const at of nearestOf(
        odd.map((slot) => held.get(slot)!),
        query,
        10,
      ))
        assert.ok(some.has(odd[at]!));
      assert.ok([...all].every((slot) => held.has(slot)) && [...some].every((slot) => slot % 2 === 1));
    }
  });
}

test("asking for more than there is gives all there is, and an empty index gives nothing", () => {
  const index = new DenseIndex(4);
  assert.deepEqual([...index.candidates(Float32Array.of(1, 0, 0, 0), 5)], []);
  index.set(3, Float32Array.of(0, 0, 0, 0));
  index.set(70_000, Float32Array.of(-1, 0, 0, 0));

  assert.deepEqual([...index.candidates(Float32Array.of(1, 0, 0, 0), 5)], [3, 70_000]);
  assert.deepEqual([...index.candidates(Float32Array.of(1, 0, 0, 0), 5, Uint32Array.of(3, 4, 99_999))], [3]);
  assert.equal(index.has(70_000) && !index.has(4) && !index.has(1_000_000), true);
});

test("the widest vectors do not overflow the sums", () => {
  const index = new DenseIndex(65_536);
  const ones = new Float32Array(65_536).fill(1);
  index.set(
    0,
    ones.map((x) => -x),
  );
  index.set(1, ones);

  assert.deepEqual([...index.candidates(ones, 1)], [1]);
});
