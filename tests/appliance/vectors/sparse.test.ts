import assert from "node:assert/strict";
import { test } from "node:test";
import { SparseIndex } from "../../../appliance/vectors/index/sparse.ts";
import type { Terms } from "../../../appliance/vectors/index/values.ts";
import { openStore } from "./openStore.ts";
import { random, type Random } from "./random.ts";

function document(from: Random, vocabulary: number): Terms {
  const length = 1 + from.below(30);
  // Squaring makes low terms common and high ones rare, as words are.
  const terms = new Set(Array.from({ length }, () => Math.floor(from.next() ** 2 * vocabulary)));
  const indices = Uint32Array.from(terms).sort();
  return { indices, values: Float32Array.from(indices, () => Math.fround(0.1 + from.next())) };
}

test("scores stay those of the documents held, over additions, replacements, removals and slots used again", () => {
  const from = random(3);
  const index = new SparseIndex();
  const held = new Map<number, Terms>();
  for (let i = 0; i < 5_000; i++) {
    const slot = from.below(800);
    const before = held.get(slot);
    const terms = document(from, 400);
    if (before && from.next() < 0.5) {
      index.replace(slot, before, terms);
      held.set(slot, terms);
      continue;
    }
    if (before) index.remove(slot, before);
    held.delete(slot);
    if (before && from.next() < 0.5) continue;
    index.add(slot, terms);
    held.set(slot, terms);
  }

  assert.equal(index.count, held.size);
  for (let i = 0; i < 50; i++) {
    const query = document(from, 500);
    const { slots, scores } = index.best(query, { limit: 800, slotsMax: 800 });
    const found = new Map(Array.from(slots, (slot, at) => [slot, scores[at]!]));
    for (const [slot, { indices, values }] of held) {
      let expected: number | undefined;
      query.indices.forEach((term, at) => {
        const place = indices.indexOf(term);
        if (place !== -1) expected = (expected ?? 0) + query.values[at]! * values[place]!;
      });
      assertNear(found.get(slot), expected);
    }
    assert.ok([...found.keys()].every((slot) => held.has(slot)));
  }
});

/** Sums in another order differ in their last digits. */
function assertNear(found: number | undefined, expected: number | undefined): void {
  if (found === undefined || expected === undefined) assert.equal(found, expected);
  else assert.ok(Math.abs(found - expected) < 1e-9, `${found} is not ${expected}`);
}

for (const [what, least] of [
  ["words that nearly all have are not walked over", 0],
  ["words that speak against a text are all counted", -0.3],
] as const)
  test(`the best few are those of all, with their ties, where ${what}`, () => {
    const from = random(5);
    const [count, limit] = [3_000, 20];
    const index = new SparseIndex();
    const texts = Array.from({ length: count }, () => {
      // The first terms stand in nearly all texts; weights of a few steps make ties.
      const terms = [...[0, 1, 2].filter(() => from.next() < 0.9), ...Array.from({ length: 6 }, () => 3 + from.below(300))];
      const indices = Uint32Array.from(new Set(terms)).sort();
      return { indices, values: Float32Array.from(indices, () => least + from.below(4) / 4) };
    });
    for (const [slot, terms] of texts.entries()) index.add(slot, terms);
    for (const among of [undefined, Uint32Array.from({ length: count / 3 }, (_, i) => i * 3)])
      for (let i = 0; i < 30; i++) {
        const rare = Array.from({ length: 1 + from.below(3) }, () => 3 + from.below(300));
        const indices = Uint32Array.from(new Set([0, 1, 2, ...rare])).sort();
        // As an IDF weighs them.
        const values = Float32Array.from(indices, (term) => (term < 3 ? 0.05 : 3 + from.next()));
        const all = texts.flatMap((text, slot) => {
          if (among && !among.includes(slot)) return [];
          const shared = text.indices.filter((term) => indices.includes(term));
          if (shared.length === 0) return [];
          const weight = (term: number): number => text.values[text.indices.indexOf(term)]! * values[indices.indexOf(term)]!;
          return [{ slot, score: [...shared].reduce((sum, term) => sum + weight(term), 0) }];
        });
        const last = all.map(({ score }) => score).sort((a, b) => b - a)[limit - 1]!;
        const { slots, scores } = index.best({ indices, values }, { limit, slotsMax: count, among });
        const found = new Map(Array.from(slots, (slot, at) => [slot, scores[at]!]));
        for (const { slot, score } of all) if (score >= last - 1e-9) assertNear(found.get(slot), score);
        for (const [slot, score] of found) assertNear(score, all.find((one) => one.slot === slot)?.score);
      }
  });

test("through the client, the order is that of BM25 computed by hand", async () => {
  await using store = await openStore();
  const { client } = store;
  const from = random(4);
  const [k1, b, average] = [1.2, 0.75, 256];
  // Word counts; the saturated frequency is stored, the IDF left to the store, as Qdrant splits it.
  const texts = Array.from({ length: 400 }, () => {
    const counts = new Map<number, number>();
    for (let i = 20 + from.below(400); i > 0; i--) {
      const word = Math.floor(from.next() ** 3 * 2_000);
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    return { counts, length: [...counts.values()].reduce((sum, count) => sum + count, 0) };
  });
  const saturated = (tf: number, length: number): number => (tf * (k1 + 1)) / (tf + k1 * (1 - b + (b * length) / average));
  await client.createCollection("texts", { sparse_vectors: { bm25: { modifier: "idf" } } });
  await client.upsert("texts", {
    points: texts.map(({ counts, length }, id) => ({
      id,
      vector: { bm25: { indices: [...counts.keys()], values: [...counts.values()].map((tf) => saturated(tf, length)) } },
    })),
  });
  const idf = (word: number): number => {
    const df = texts.filter(({ counts }) => counts.has(word)).length;
    return Math.log(1 + (texts.length - df + 0.5) / (df + 0.5));
  };

  for (let i = 0; i < 25; i++) {
    const query = [...new Set(Array.from({ length: 4 }, () => Math.floor(from.next() ** 2 * 2_000)))];
    const expected = texts
      .map(({ counts, length }, id) => ({
        id,
        score: query.reduce(
          (sum, word) => sum + (counts.has(word) ? idf(word) * Math.fround(saturated(counts.get(word)!, length)) : 0),
          0,
        ),
      }))
      .filter(({ score }) => score > 0)
      .sort((x, y) => y.score - x.score || x.id - y.id)
      .slice(0, 20);

    const { points } = await client.query("texts", {
      query: { indices: query, values: query.map(() => 1) },
      using: "bm25",
      limit: 20,
    });

    assert.deepEqual(
      points.map(({ id }) => id),
      expected.map(({ id }) => id),
    );
    points.forEach(({ score }, at) => assert.ok(Math.abs(score - expected[at]!.score) < 1e-5));
  }
});
