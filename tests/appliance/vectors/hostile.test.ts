import assert from "node:assert/strict";
import { test } from "node:test";
import { apiKey, openStore } from "./openStore.ts";
import { random, type Random } from "./random.ts";

const filter = {
  must: [{ key: "a", match: { value: 1 } }, { nested: { key: "l", filter: { must: { key: "x", range: { gt: 1 } } } } }],
  should: { has_id: [1] },
  min_should: { conditions: [{ is_empty: { key: "a" } }], min_count: 1 },
};
const requests: readonly [string, string, object][] = [
  [
    "PUT",
    "/collections/new",
    { vectors: { v: { size: 3, distance: "Dot" } }, sparse_vectors: { s: { modifier: "idf" } }, metadata: { a: 1 } },
  ],
  ["PATCH", "/collections/c", { metadata: { a: 1 }, hnsw_config: { m: 0 } }],
  ["PUT", "/collections/c/index", { field_name: "a", field_schema: { type: "keyword" } }],
  ["PUT", "/collections/c/vectors/extra", { dense: { size: 2, distance: "Cosine" } }],
  ["POST", "/collections/aliases", { actions: [{ create_alias: { alias_name: "x", collection_name: "c" } }] }],
  [
    "PUT",
    "/collections/c/points",
    { points: [{ id: 1, vector: { v: [1, 2, 3], s: { indices: [1, 2], values: [1, 2] } }, payload: { a: [1] } }] },
  ],
  [
    "PUT",
    "/collections/c/points",
    {
      batch: {
        ids: [1, 2],
        vectors: {
          v: [
            [1, 2, 3],
            [1, 2, 3],
          ],
        },
        payloads: [{}, null],
      },
    },
  ],
  [
    "POST",
    "/collections/c/points/batch",
    { operations: [{ delete: { filter } }, { set_payload: { payload: { a: 1 }, points: [1], key: "b" } }] },
  ],
  ["POST", "/collections/c/points/payload/delete", { keys: ["a[].b"], points: [1] }],
  ["PUT", "/collections/c/points/vectors", { points: [{ id: 1, vector: { v: [1, 2, 3] } }] }],
  ["POST", "/collections/c/points/scroll", { filter, limit: 3, offset: 1, with_payload: { include: ["a"] }, with_vector: ["v"] }],
  ["POST", "/collections/c/points/count", { filter, exact: true }],
  [
    "POST",
    "/collections/c/points/query",
    { query: [1, 2, 3], using: "v", filter, limit: 3, offset: 1, score_threshold: 0.1, params: { exact: true } },
  ],
  [
    "POST",
    "/collections/c/points/query",
    { prefetch: [{ query: { indices: [1], values: [1] }, using: "s" }], query: { rrf: { k: 2, weights: [1] } } },
  ],
  ["POST", "/collections/c/facet", { key: "a", limit: 3, filter }],
];
const strange: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  1e308,
  2 ** 53,
  "",
  "a",
  "__proto__",
  "constructor",
  "\u0000",
  "😀",
  "[",
  "a[",
  [],
  [[]],
  {},
  [null],
  [1, "a"],
  { a: {} },
  { "": 1 },
  JSON.parse('{"__proto__": {"x": 1}}'),
  "9".repeat(400),
  Array.from({ length: 50 }, (_, i) => i),
];

/** The body with one part of it, at any depth, replaced, dropped or renamed. */
function spoiled(value: unknown, from: Random): unknown {
  if (typeof value !== "object" || value === null || from.next() < 0.15) return strange[from.below(strange.length)];
  if (Array.isArray(value)) {
    const at = from.below(value.length || 1);
    return value.map((element: unknown, i) => (i === at ? spoiled(element, from) : element));
  }
  const entries = Object.entries(value);
  const at = from.below(entries.length || 1);
  return Object.fromEntries(
    entries.flatMap(([key, inner], i): [string, unknown][] => {
      if (i !== at) return [[key, inner]];
      if (from.next() < 0.1) return [];
      return [[from.next() < 0.1 ? "constructor" : key, spoiled(inner, from)]];
    }),
  );
}

test("no body, however strange, makes the store fail: it is answered or refused with a reason", async () => {
  await using store = await openStore();
  const headers = { "api-key": apiKey, "content-type": "application/json" };
  const send = async (method: string, path: string, body: unknown): Promise<number> => {
    const response = await fetch(store.url + path, { method, headers, body: JSON.stringify(body) });
    const { status } = (await response.json()) as { status: string | { error: string } };
    if (response.status !== 200) assert.ok(typeof status === "object" && status.error.length > 3);
    return response.status;
  };
  const reset = async (): Promise<void> => {
    await store.client.deleteCollection("c");
    await send("PUT", "/collections/c", requests[0]![2]);
  };
  await reset();
  for (const [method, path, body] of requests) assert.equal(await send(method, path, body), 200, `${method} ${path}`);

  const from = random(10);
  const counts = { answered: 0, refused: 0 };
  for (let i = 0; i < 700; i++) {
    const [method, path, body] = requests[from.below(requests.length)]!;
    const bad = spoiled(body, from);
    const status = await send(method, path, bad);
    assert.ok(
      status < 500 || status === 501,
      `${status} for ${method} ${path} ${JSON.stringify(bad)?.slice(0, 500)}\n${store.logged.join("\n")}`,
    );
    if (status === 200) counts.answered++;
    else counts.refused++;
    if (i % 100 === 0) await reset();
  }

  assert.ok(counts.answered > 50 && counts.refused > 150, JSON.stringify(counts));
  assert.deepEqual(store.logged, []);
});

test("paths that are no paths are refused", async () => {
  await using store = await openStore();
  const get = async (path: string) => (await fetch(store.url + path, { headers: { "api-key": apiKey } })).status;

  assert.equal(await get("/collections/%E0%A4%A"), 400);
  assert.equal(await get("/collections/%2e%2e%2f"), 404);
  assert.equal(await get("//x//"), 404);
  assert.equal(await get("/collections/constructor"), 404);
  assert.equal(await get("/collections/__proto__/exists"), 200);
  assert.deepEqual(store.logged, []);
});
