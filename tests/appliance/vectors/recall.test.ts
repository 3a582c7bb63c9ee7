import assert from "node:assert/strict";
import { test } from "node:test";
import { openStore } from "./openStore.ts";
import { clustered, isotropic, nearestOf, random } from "./random.ts";

const [count, dimensions, questions, k] = [3_000, 384, 50, 10];
const from = random(5);

for (const [name, draw] of [
  ["clustered", clustered(from, dimensions, 24)],
  ["isotropic", () => isotropic(from, dimensions)],
] as const) {
  test(`of the true ten nearest, at least 999 in 1000 are found in ${name} data, with and without a filter`, async () => {
    await using store = await openStore();
    const { client } = store;
    await client.createCollection("c", { vectors: { size: dimensions, distance: "Cosine" } });
    await client.createPayloadIndex("c", { field_name: "group", field_schema: "integer", wait: true });
    const vectors = Array.from({ length: count }, draw);
    for (let at = 0; at < count; at += 500) {
      const batch = vectors.slice(at, at + 500);
      await client.upsert("c", {
        points: batch.map((vector, i) => ({ id: at + i, vector: [...vector], payload: { group: (at + i) % 5 } })),
      });
    }

    const found = { all: 0, filtered: 0 };
    const inGroup = vectors.flatMap((vector, id) => (id % 5 === 2 ? [{ vector, id }] : []));
    for (let i = 0; i < questions; i++) {
      const query = draw();
      const ask = async (filter: object) =>
        new Set((await client.query("c", { query: [...query], limit: k, ...filter })).points.map(({ id }) => id));
      const all = await ask({});
      const filtered = await ask({ filter: { must: [{ key: "group", match: { value: 2 } }] } });
      found.all += nearestOf(vectors, query, k).filter((id) => all.has(id)).length;
      found.filtered += nearestOf(
        inGroup.map(({ vector }) => vector),
        query,
        k,
      ).filter((at) => filtered.has(inGroup[at]!.id)).length;
    }

    assert.ok(found.all / (questions * k) >= 0.999, `found ${found.all} of ${questions * k}`);
    assert.ok(found.filtered / (questions * k) >= 0.999, `found ${found.filtered} of ${questions * k}, filtered`);
  });
}
