import assert from "node:assert/strict";
import { test } from "node:test";
import { DenseIndex } from "../../../appliance/vectors/index/dense.ts";
import { openKernel, openMemory, plainKernel } from "../../../appliance/vectors/index/kernel.ts";
import { isotropic, nearestOf, random, unit } from "./random.ts";

test("the SIMD kernel computes what plain JavaScript computes", () => {
  const memory = openMemory(4);
  const from = random(1);
  const bytes = new Uint8Array(memory.buffer).map(() => from.below(256));
  new Uint8Array(memory.buffer).set(bytes);
  // The planes' places, then the scales with a row that was removed, then the list to pick from.
  const [query, scales, high, low, list, n, half] = [0, 4096, 8192, 40_000, 6000, 200, 48];
  for (let i = 0; i < half * 2; i++) new Int8Array(memory.buffer)[query + half * 4 + i]! &= 127;
  new Float32Array(memory.buffer, scales, n).forEach((_, i, all) => (all[i] = i === 7 ? Number.NaN : from.next()));
  new Uint32Array(memory.buffer, list, 50).forEach((_, i, all) => (all[i] = from.below(n)));
  const run = (kernel: ReturnType<typeof openKernel>) => {
    const [out, found] = [200_000, 210_000];
    const floats = (count: number) => new Float32Array(memory.buffer.slice(out, out + count * 4));
    kernel.scan(query, scales, high, low, n, half, -1234, out);
    const scanned = floats(n);
    const count = kernel.above(out, n, 40_000, found);
    const above = new Uint32Array(memory.buffer.slice(found, found + count * 4));
    kernel.pick(query, scales, high, low, list, 50, half, -1234, out);
    const picked = floats(50);
    kernel.coarse(query, scales, high, n, half, 64.5, -99.5, out);
    return { scanned, above, picked, coarse: floats(n) };
  };

  const [simd, plain] = [run(openKernel(memory)), run(plainKernel(memory))];

  assert.deepEqual(simd, plain);
  assert.ok(Number.isNaN(simd.scanned[7]) && Number.isNaN(simd.coarse[7]) && !simd.above.includes(7));
  assert.ok(new Set(simd.scanned).size > 150 && new Set(simd.coarse).size > 150);
  assert.ok(simd.above.length > 5 && simd.above.length < 195);
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

test("a look at half the bits loses none of the best where vectors are counts: a few large numbers, a common part, and zeros", () => {
  const from = random(6);
  const [dimensions, count] = [64, 12_000];
  const index = new DenseIndex(dimensions);
  const draw = (): Float32Array => {
    const counts = new Float32Array(dimensions).fill(1, 0, 8);
    for (let i = 0; i < 12; i++) counts[Math.floor(from.next() ** 2 * dimensions)]! += 1;
    return unit(counts);
  };
  const vectors = Array.from({ length: count }, draw);
  for (const [slot, vector] of vectors.entries()) index.set(slot, vector);

  for (let i = 0; i < 20; i++) {
    const query = draw();
    const found = new Set(index.candidates(query, 60));
    const scoreOf = (slot: number): number => vectors[slot]!.reduce((sum, value, d) => sum + value * query[d]!, 0);
    // Counts tie, so what is found must be as good as the true best, not the same.
    const worst = scoreOf(nearestOf(vectors, query, 10).at(-1)!);
    assert.ok([...found].filter((slot) => scoreOf(slot) >= worst - 1e-6).length >= 10);
  }
});

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

for (const [name, spread, isAlike] of [
  ["spread out", 1, false],
  ["so close together that coarse scores cannot tell them apart", 0.2, true],
] as const) {
  test(`a look at half the bits finds what all bits find in vectors that are ${name}`, () => {
    const from = random(3);
    const [dimensions, count] = [64, 12_000];
    const middle = isotropic(from, dimensions);
    const draw = () => unit(isotropic(from, dimensions).map((value, i) => value * spread + (isAlike ? middle[i]! : 0)));
    const vectors = Array.from({ length: count }, draw);
    const index = new DenseIndex(dimensions);
    vectors.forEach((vector, slot) => index.set(slot, vector));
    const most = Uint32Array.from(vectors.keys().filter((slot) => slot % 3 !== 0));

    for (let i = 0; i < 10; i++) {
      const query = draw();
      const all = new Set(index.candidates(query, 42));
      const some = new Set(index.candidates(query, 42, most));
      assert.ok(nearestOf(vectors, query, 10).every((slot) => all.has(slot)));
      assert.ok([...some].every((slot) => slot % 3 !== 0) && some.size >= 42);
      index.set(count + i, query);
      assert.ok(index.candidates(query, 42).includes(count + i), "what was just written is found");
      index.delete(count + i);
      assert.ok(!index.candidates(query, 42).includes(count + i), "what was just removed is not");
    }
  });
}
