import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStore } from "./openStore.ts";
import { refused } from "./refused.ts";

// That the answers are Qdrant's own is compared by scripts/conformance/qdrant.ts; here is what each question means.

const store = await openStore();
const { client } = store;
after(() => store[Symbol.asyncDispose]());
const c = "places";

before(async () => {
  await client.createCollection(c, {
    vectors: {
      v: { size: 2, distance: "Dot" },
      many: { size: 2, distance: "Dot", multivector_config: { comparator: "max_sim" } },
    },
  });
  for (const [field_name, field_schema] of Object.entries({
    town: "keyword",
    height: "integer",
    at: "datetime",
    g: "geo",
    about: { type: "text", tokenizer: "word", lowercase: true, phrase_matching: true },
  } as const)) {
    await client.createPayloadIndex(c, { field_name, field_schema, wait: true });
  }
  const at = (day: number): string => `2026-03-0${day}T00:00:00Z`;
  await client.upsert(c, {
    wait: true,
    points: [
      {
        id: 1,
        vector: { v: [4, 0], many: [[1, 0]] },
        payload: { town: "Lyon", height: 30, at: at(1), g: { lon: 4.8, lat: 45.7 }, about: "The old bridge over the Rhône" },
      },
      {
        id: 2,
        vector: {
          v: [3, 1],
          many: [
            [0, 3],
            [1, 1],
          ],
        },
        payload: { town: "Lyon", height: 10, at: at(3), g: { lon: 4.9, lat: 45.8 }, about: ["A bridge", "Old mill"] },
      },
      {
        id: 3,
        vector: { v: [0, 3], many: [[2, 2]] },
        payload: { town: ["Lyon", "Paris"], height: 20, at: at(2), about: "A tower of iron" },
      },
      { id: 4, vector: { v: [-2, 1] }, payload: { town: "Paris", height: [5, 40], g: { lon: 2.3, lat: 48.8 } } },
    ],
  });
});

const ids = async (body: Parameters<typeof client.query>[1]) => (await client.query(c, body)).points.map(({ id }) => id);
const kept = async (condition: object) => (await client.scroll(c, { filter: { must: [condition] } })).points.map(({ id }) => id);

test("recommending goes towards the liked and away from the disliked, and leaves both out", async () => {
  assert.deepEqual(await ids({ query: { recommend: { positive: [1] } }, using: "v" }), [2, 3, 4]);
  const both = { positive: [3], negative: [1] };
  assert.deepEqual(await ids({ query: { recommend: both }, using: "v" }), [4, 2]);
  assert.deepEqual(await ids({ query: { recommend: { ...both, strategy: "sum_scores" } }, using: "v" }), [4, 2]);
  assert.deepEqual(await ids({ query: { recommend: { ...both, strategy: "best_score" } }, using: "v" }), [4, 2]);
  await refused(client.query(c, { query: { recommend: { negative: [1] } }, using: "v" }), 400, /positive/);
});

test("discovery ranks by the side of each pair first, then by the target", async () => {
  const context = [{ positive: [1, 0], negative: [0, 1] }];
  assert.deepEqual(await ids({ query: { discover: { target: [0, 1], context } }, using: "v" }), [2, 1, 3, 4]);
  const { points } = await client.query(c, { query: { context }, using: "v" });
  assert.deepEqual(
    points.slice(0, 2).map(({ id, score }) => [id, Math.round(score * 1e6) / 1e6]),
    [
      [1, 0],
      [2, 0],
    ],
  );
});

test("points are listed in the order of a key, page after page, and a point with two values twice", async () => {
  const list = async (order_by: { key: string; direction?: "desc"; start_from?: number | string }) =>
    (await client.scroll(c, { order_by })).points.map(({ id, order_value }) => [id, order_value]);
  assert.deepEqual(await list({ key: "height" }), [
    [4, 5],
    [2, 10],
    [3, 20],
    [1, 30],
    [4, 40],
  ]);
  assert.deepEqual(await list({ key: "height", direction: "desc", start_from: 20 }), [
    [3, 20],
    [2, 10],
    [4, 5],
  ]);
  assert.deepEqual(
    (await list({ key: "at", start_from: "2026-03-02T00:00:00Z" })).map(([id]) => id),
    [3, 2],
  );
  assert.deepEqual(await ids({ query: { order_by: "at" }, limit: 2 }), [1, 3]);
  await refused(client.scroll(c, { order_by: "town" }), 400, /No range index for `order_by` key: `town`/);
  await refused(client.scroll(c, { order_by: "height", offset: 1 }), 400, /start_from/);
});

test("groups hold their best points, a point with two values is in both, and each brings its own record", async () => {
  await client.createCollection("heights", { vectors: {} });
  await client.upsert("heights", { wait: true, points: [{ id: 30, vector: {}, payload: { is: "high" } }] });
  const { groups } = await client.queryGroups(c, {
    query: [1, 1],
    using: "v",
    group_by: "town",
    group_size: 2,
    limit: 2,
    with_payload: false,
  });
  assert.deepEqual(
    groups.map(({ id, hits }) => [id, hits.map((hit) => hit.id)]),
    [
      ["Lyon", [1, 2]],
      ["Paris", [3, 4]],
    ],
  );
  const looked = await client.queryGroups(c, {
    query: [1, 0],
    using: "v",
    group_by: "height",
    group_size: 1,
    limit: 1,
    with_lookup: "heights",
  });
  assert.deepEqual(
    looked.groups.map(({ id, lookup }) => [id, lookup?.payload]),
    [[30, { is: "high" }]],
  );
});

test("places are found by circle, box and polygon", async () => {
  assert.deepEqual(await kept({ key: "g", geo_radius: { center: { lon: 4.8, lat: 45.7 }, radius: 15_000 } }), [1, 2]);
  assert.deepEqual(await kept({ key: "g", geo_radius: { center: { lon: 4.8, lat: 45.7 }, radius: 10_000 } }), [1]);
  assert.deepEqual(
    await kept({ key: "g", geo_bounding_box: { top_left: { lon: 2, lat: 50 }, bottom_right: { lon: 3, lat: 48 } } }),
    [4],
  );
  const ring = (d: number) => ({
    points: [
      [-d, -d],
      [d, -d],
      [d, d],
      [-d, d],
      [-d, -d],
    ].map(([x, y]) => ({ lon: 4.85 + x!, lat: 45.75 + y! })),
  });
  assert.deepEqual(await kept({ key: "g", geo_polygon: { exterior: ring(0.2) } }), [1, 2]);
  assert.deepEqual(await kept({ key: "g", geo_polygon: { exterior: ring(0.2), interiors: [ring(0.1)] } }), []);
});

test("words are found whole, any, or as a phrase that does not reach over the elements of an array", async () => {
  assert.deepEqual(await kept({ key: "about", match: { text: "BRIDGE old" } }), [1, 2]);
  assert.deepEqual(await kept({ key: "about", match: { text: "brid" } }), []);
  assert.deepEqual(await kept({ key: "about", match: { text_any: "tower mill" } }), [2, 3]);
  assert.deepEqual(await kept({ key: "about", match: { phrase: "old bridge" } }), [1]);
  assert.deepEqual(await kept({ key: "about", match: { phrase: "bridge old" } }), []);
});

test("slices part the points without loss", async () => {
  const parts = await Promise.all([0, 1, 2].map((index) => kept({ slice: { total: 3, index } })));
  assert.deepEqual(new Set(parts.flat()), new Set([1, 2, 3, 4]));
});

test("formulas reckon with scores, payload values and conditions", async () => {
  const prefetch = { query: [1, 0], using: "v" };
  const ask = (formula: object, defaults = {}) => ids({ prefetch, query: { formula: formula as { sum: [] }, defaults } });
  assert.deepEqual(await ask({ sum: ["$score", { mult: [10, { key: "town", match: { value: "Paris" } }] }] }), [3, 4, 1, 2]);
  assert.deepEqual(
    await ask({ exp_decay: { x: "height", target: 20, scale: 5 } }, { height: 0 }).catch(
      ({ status }: { status: number }) => status,
    ),
    400,
  );
  assert.deepEqual(await ids({ prefetch: { ...prefetch, limit: 3 }, query: { formula: { neg: "height" } } }), [2, 3, 1]);
  await refused(client.query(c, { prefetch, query: { formula: { ln: 0 } } }), 400, /non-finite/);
  await refused(client.query(c, { query: { formula: "height" } }), 400, /without prefetches/);
});

test("diversity takes what is unlike the chosen", async () => {
  assert.deepEqual(await ids({ query: { nearest: [1, 0.4] }, using: "v", limit: 2 }), [1, 2]);
  assert.deepEqual(
    await ids({ query: { nearest: [1, 0.4], mmr: { diversity: 0.5, candidates_limit: 4 } }, using: "v", limit: 2 }),
    [1, 4],
  );
});

test("many vectors of one point are compared by their best", async () => {
  const { points } = await client.query(c, {
    query: [
      [1, 0],
      [0, 1],
    ],
    using: "many",
    with_vector: ["many"],
  });
  assert.deepEqual(
    points.map(({ id, score }) => [id, score]),
    [
      [2, 4],
      [3, 4],
      [1, 1],
    ],
  );
  assert.deepEqual(points[0]?.vector, {
    many: [
      [0, 3],
      [1, 1],
    ],
  });
});

test("small datatypes hold what they can hold, and say so", async () => {
  await client.createCollection("small", {
    vectors: { b: { size: 2, distance: "Cosine", datatype: "uint8" }, h: { size: 2, distance: "Dot", datatype: "float16" } },
  });
  await client.upsert("small", { wait: true, points: [{ id: 1, vector: { b: [3.9, 300], h: [0.1, 1] } }] });
  const [point] = await client.retrieve("small", { ids: [1], with_vector: true });
  assert.deepEqual(point?.vector, { b: [3, 255], h: [0.0999755859375, 1] });
  const { points } = await client.query("small", { query: [3, 255], using: "b" });
  assert.equal(points[0]?.score.toFixed(5), "1.00000");
});

test("a matrix of distances is drawn from points that have the vector", async () => {
  const pairs = await client.searchMatrixPairs(c, { sample: 10, limit: 1, using: "many" });
  assert.deepEqual(
    pairs.pairs.map(({ a, b }) => [a, b]),
    [
      [1, 3],
      [2, 3],
      [3, 2],
    ],
  );
  const offsets = await client.searchMatrixOffsets(c, { sample: 10, limit: 1, using: "many" });
  assert.deepEqual(offsets.ids, [1, 2, 3]);
});

test("a change to a point that is not there is refused, and of its request nothing is done", async () => {
  await refused(client.setPayload(c, { payload: { x: 1 }, points: [1, 77] }), 404, /No point with id 77 found/);
  assert.equal((await client.count(c, { filter: { must: [{ key: "x", match: { value: 1 } }] } })).count, 0);
  await client.batchUpdate(c, {
    operations: [{ upsert: { points: [{ id: 78, vector: {} }] } }, { set_payload: { payload: { x: 1 }, points: [78] } }],
  });
  assert.equal((await client.count(c, { filter: { must: [{ key: "x", match: { value: 1 } }] } })).count, 1);
  await client.delete(c, { points: [78] });
});

test("what a dashboard and a support tool ask is answered", async () => {
  const get = async (path: string) => fetch(store.url + path, { headers: { "api-key": "a key for tests" } });
  const telemetry = (await (await get("/telemetry")).json()) as { result: { collections: { number_of_collections: number } } };
  assert.ok(telemetry.result.collections.number_of_collections >= 1);
  assert.match(await (await get("/metrics")).text(), /^collection_points\{id="places"\} 4$/m);
  assert.equal((await client.collectionClusterInfo(c)).shard_count, 1);
  assert.equal(((await (await get("/cluster")).json()) as { result: { status: string } }).result.status, "disabled");
});
