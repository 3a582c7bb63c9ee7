import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStore } from "./openStore.ts";
import { refused } from "./refused.ts";

const store = await openStore();
const { client } = store;
after(() => store[Symbol.asyncDispose]());

const c = "things";
const words = (...indices: number[]) => ({ indices, values: indices.map(() => 1) });
const group = (value: string) => ({ must: [{ key: "group", match: { value } }] });

before(async () => {
  await client.createCollection(c, {
    vectors: {
      v: { size: 2, distance: "Cosine" },
      e: { size: 2, distance: "Euclid" },
      m: { size: 2, distance: "Manhattan" },
      d: { size: 2, distance: "Dot" },
    },
    sparse_vectors: { s: {}, idf: { modifier: "idf" } },
  });
  await client.createPayloadIndex(c, { field_name: "group", field_schema: "keyword", wait: true });
  const vector = (x: number, y: number) => ({ v: [x, y], e: [x, y], m: [x, y], d: [x, y] });
  await client.upsert(c, {
    points: [
      { id: 1, vector: { ...vector(1, 0), s: words(1, 2), idf: words(1, 2) }, payload: { group: "a" } },
      { id: 2, vector: { ...vector(4, 3), s: words(2), idf: words(2) }, payload: { group: "a" } },
      { id: 3, vector: { ...vector(0, 2), s: words(2, 3), idf: words(2, 3) }, payload: { group: "b" } },
      { id: 4, vector: { ...vector(-1, 0) }, payload: { group: "b" } },
    ],
  });
});

async function ask(body: Parameters<typeof client.query>[1]): Promise<[unknown, number][]> {
  const { points } = await client.query(c, body);
  return points.map(({ id, score }) => [id, Math.round(score * 1e5) / 1e5]);
}

test("nearest by each distance, best first, with Qdrant's scores", async () => {
  assert.deepEqual(await ask({ query: [1, 0], using: "v" }), [
    [1, 1],
    [2, 0.8],
    [3, 0],
    [4, -1],
  ]);
  assert.deepEqual(await ask({ query: [1, 0], using: "d" }), [
    [2, 4],
    [1, 1],
    [3, 0],
    [4, -1],
  ]);
  assert.deepEqual(await ask({ query: [1, 0], using: "e" }), [
    [1, 0],
    [4, 2],
    [3, 2.23607],
    [2, 4.24264],
  ]);
  assert.deepEqual(await ask({ query: [1, 0], using: "m" }), [
    [1, 0],
    [4, 2],
    [3, 3],
    [2, 6],
  ]);
});

test("a query need not be normalised, and may be exact", async () => {
  assert.deepEqual(await ask({ query: [10, 0], using: "v", params: { exact: true } }), [
    [1, 1],
    [2, 0.8],
    [3, 0],
    [4, -1],
  ]);
});

test("limit, offset and threshold cut the list; distances are cut from above", async () => {
  assert.deepEqual(await ask({ query: [1, 0], using: "v", limit: 2, offset: 1 }), [
    [2, 0.8],
    [3, 0],
  ]);
  assert.deepEqual(await ask({ query: [1, 0], using: "v", score_threshold: 0.5 }), [
    [1, 1],
    [2, 0.8],
  ]);
  assert.deepEqual(await ask({ query: [1, 0], using: "e", score_threshold: 2.1 }), [
    [1, 0],
    [4, 2],
  ]);
});

test("a point is searched for by its id, and is not its own neighbour", async () => {
  assert.deepEqual(await ask({ query: 1, using: "v" }), [
    [2, 0.8],
    [3, 0],
    [4, -1],
  ]);
  await refused(ask({ query: 99, using: "v" }), 404, /^Not found: No point with id 99 found$/);
});

test("sparse scores are dot products over shared terms; without one a point is no result", async () => {
  assert.deepEqual(await ask({ query: { indices: [2, 1], values: [2, 0.5] }, using: "s" }), [
    [1, 2.5],
    [2, 2],
    [3, 2],
  ]);
  assert.deepEqual(await ask({ query: words(3), using: "s", filter: group("a") }), []);
});

test("the IDF modifier weighs terms by how rare they are among points that have the vector", async () => {
  const idf = (n: number, df: number): number => Math.round(Math.log(1 + (n - df + 0.5) / (df + 0.5)) * 1e5) / 1e5;

  assert.deepEqual(await ask({ query: words(1), using: "idf" }), [[1, idf(3, 1)]]);
  assert.deepEqual(await ask({ query: words(2), using: "idf", limit: 1 }), [[1, idf(3, 3)]]);
  const params = { idf: { corpus: group("a") } } as object;
  assert.deepEqual(await ask({ query: words(3), using: "idf", params }), [[3, idf(2, 0)]]);
});

test("fusion by rank follows Qdrant's formula, with weights that act on the place", async () => {
  const prefetch = [
    { query: [1, 0], using: "v", limit: 3 },
    { query: words(2, 3), using: "idf", limit: 2 },
  ];
  const round = (x: number): number => Math.round(x * 1e5) / 1e5;

  // By vector 1, 2, 3; by words 3, then 1 before 2, equal but for the id.
  assert.deepEqual(await ask({ prefetch, query: { fusion: "rrf" } }), [
    [1, round(1 / 2 + 1 / 3)],
    [3, round(1 / 4 + 1 / 2)],
    [2, round(1 / 3)],
  ]);
  assert.deepEqual(await ask({ prefetch, query: { rrf: { k: 2, weights: [1, 2] } } }), [
    [1, round(1 / 2 + 1 / 2)],
    [3, round(1 / 4 + 1 / 1.5)],
    [2, round(1 / 3)],
  ]);
  assert.deepEqual(await ask({ prefetch, query: { rrf: { weights: [0, 1] } }, limit: 2 }), [
    [3, 0.5],
    [1, round(1 / 3)],
  ]);
  assert.deepEqual(await ask({ prefetch, query: { fusion: "rrf" }, score_threshold: 0.5, offset: 1 }), [[3, 0.75]]);
});

test("fusion by distribution centres each list on one half", async () => {
  const fused = await ask({
    prefetch: [
      { query: [1, 0], using: "d", limit: 3 },
      { query: words(1), using: "s" },
    ],
    query: { fusion: "dbsf" },
  });

  const [mean, deviation] = [5 / 3, Math.sqrt(((4 - 5 / 3) ** 2 + (1 - 5 / 3) ** 2 + (5 / 3) ** 2) / 2)];
  const score = (x: number): number => (x - (mean - 3 * deviation)) / (6 * deviation);
  const expected: [number, number][] = [
    [1, score(1) + 0.5],
    [2, score(4)],
    [3, score(0)],
  ];
  assert.deepEqual(
    fused,
    expected.map(([id, x]) => [id, Math.round(x * 1e5) / 1e5]),
  );
});

test("a prefetch is re-scored by the query around it, to any depth", async () => {
  const two = { query: [0, 1], using: "v", limit: 2 };

  assert.deepEqual(await ask({ prefetch: two, query: [1, 0], using: "v" }), [
    [2, 0.8],
    [3, 0],
  ]);
  assert.deepEqual(await ask({ prefetch: { prefetch: two, query: words(2), using: "s", limit: 1 }, query: [1, 0], using: "d" }), [
    [2, 4],
  ]);
});

test("the outer filter reaches every prefetch before its limit cuts", async () => {
  const filtered = await ask({ prefetch: { query: [1, 0], using: "v", limit: 1 }, query: { fusion: "rrf" }, filter: group("b") });

  assert.deepEqual(filtered, [[3, 0.5]]);
});

test("without a query, points come in id order", async () => {
  assert.deepEqual(await ask({ filter: group("b") }), [
    [3, 1],
    [4, 1],
  ]);
});

test("equal scores are ordered by id", async () => {
  await client.createCollection("ties", { vectors: { size: 2, distance: "Dot" } });
  const ids = Array.from({ length: 300 }, (_, i) => (i * 7919) % 300);
  await client.upsert("ties", { points: ids.map((id) => ({ id, vector: [1, 1] })) });

  const { points } = await client.query("ties", { query: [1, 0], limit: 5 });

  assert.deepEqual(
    points.map(({ id }) => id),
    [0, 1, 2, 3, 4],
  );
});

test("a batch answers each of its queries", async () => {
  const answers = await client.queryBatch(c, {
    searches: [
      { query: [1, 0], using: "v", limit: 1 },
      { query: words(3), using: "s" },
    ],
  });

  assert.deepEqual(
    answers.map(({ points }) => points.map(({ id }) => id)),
    [[1], [3]],
  );
});

test("queries that contradict themselves are refused in Qdrant's words", async () => {
  const prefetch = { query: [1, 0], using: "v" };

  await refused(ask({ prefetch }), 400, /^Bad request: A query is needed to merge the prefetches/);
  await refused(ask({ prefetch, query: { fusion: "rrf" }, using: "v" }), 400, /cannot be combined with the 'using' field/);
  await refused(ask({ prefetch, query: { rrf: { weights: [1, 2] } } }), 422, /2 weights for 1 prefetches/);
  await refused(ask({ query: [1, 0], using: "v", limit: 0 }), 422, /limit/);
  await refused(ask({ query: [1, 0, 0], using: "v" }), 400, /expected dim: 2, got 3/);
  await refused(ask({ query: [1, 0] }), 400, /Not existing vector name error/);
  await refused(ask({ query: words(1), using: "v" }), 400, /dense vector was expected/);
  await refused(ask({ query: [1, 0], using: "s" }), 400, /sparse vector was expected/);
  await refused(ask({ query: 1, using: "v", lookup_from: { collection: "x" } }), 404, /Collection `x` doesn't exist/);
});
