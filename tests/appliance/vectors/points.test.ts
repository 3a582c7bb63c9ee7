import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { openStore } from "./openStore.ts";
import { refused } from "./refused.ts";

const store = await openStore();
const { client } = store;
after(() => store[Symbol.asyncDispose]());

const c = "things";
beforeEach(async () => {
  await client.deleteCollection(c);
  await client.createCollection(c, {
    vectors: { v: { size: 3, distance: "Cosine" }, raw: { size: 2, distance: "Dot" } },
    sparse_vectors: { s: { modifier: "idf" }, plain: {} },
  });
  for (const [field_name, field_schema] of [
    ["color", "keyword"],
    ["size", "integer"],
    ["at", "datetime"],
    ["ok", "bool"],
  ] as const) {
    await client.createPayloadIndex(c, { field_name, field_schema, wait: true });
  }
});

const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const ids = async (filter: object): Promise<unknown[]> =>
  (await client.scroll(c, { filter, limit: 100 })).points.map(({ id }) => id);
const withColor = (color: string) => ({ must: [{ key: "color", match: { value: color } }] });

test("an upsert replaces the whole point: what is left out is gone", async () => {
  await client.upsert(c, { points: [{ id: 1, vector: { v: [1, 0, 0], raw: [1, 2] }, payload: { color: "red", size: 1 } }] });

  const written = await client.upsert(c, { points: [{ id: 1, vector: { raw: [3, 4] }, payload: { size: 2 } }] });

  assert.equal(written.status, "completed");
  const [point] = await client.retrieve(c, { ids: [1], with_vector: true });
  assert.deepEqual(point, { id: 1, payload: { size: 2 }, vector: { raw: [3, 4] } });
  assert.deepEqual(await ids(withColor("red")), []);
  assert.deepEqual((await client.query(c, { query: [1, 0, 0], using: "v" })).points, []);
});

test("the last of two points with one id in an upsert is the one that stays", async () => {
  await client.upsert(c, {
    points: [
      { id: 1, vector: {}, payload: { color: "red" } },
      { id: 1, vector: {}, payload: { color: "blue" } },
    ],
  });

  assert.equal((await client.count(c)).count, 1);
  assert.deepEqual(await ids(withColor("blue")), [1]);
  assert.deepEqual(await ids(withColor("red")), []);
});

test("columns are as good as rows", async () => {
  await client.upsert(c, {
    batch: {
      ids: [1, uuid(2)],
      vectors: {
        raw: [
          [1, 2],
          [3, 4],
        ],
      },
      payloads: [{ color: "red" }, null],
    },
  });

  assert.deepEqual(await client.retrieve(c, { ids: [1, uuid(2)], with_vector: ["raw"] }), [
    { id: 1, payload: { color: "red" }, vector: { raw: [1, 2] } },
    { id: uuid(2), payload: {}, vector: { raw: [3, 4] } },
  ]);
});

test("a refused upsert writes none of its points", async () => {
  const good = { id: 1, vector: { raw: [1, 2] } };
  const refuse = (bad: object, status: number, text: RegExp) =>
    refused(client.upsert(c, { points: [good, bad as typeof good] }), status, text);

  await refuse({ id: 2, vector: { v: [1, 2] } }, 400, /^Wrong input: Vector dimension error: expected dim: 3, got 2$/);
  await refuse({ id: 2, vector: { w: [1] } }, 400, /^Wrong input: Not existing vector name error: w$/);
  await refuse({ id: 2, vector: { s: { indices: [1, 1], values: [1, 1] } } }, 422, /unique/);
  await refuse({ id: 2, vector: { s: { indices: [1, 2], values: [1] } } }, 422, /same length/);
  await refuse({ id: 2, vector: { v: [1, "2", 3] } }, 400, /numbers/);
  await refuse({ id: 2, vector: { v: [[1, 2, 3]] } }, 400, /one vector was expected/);
  await refuse({ id: 2, vector: { v: { text: "hello", model: "m" } } }, 501, /inference/);
  await refuse({ id: "two", vector: {} }, 400, /not a valid point ID/);
  await refuse({ id: -1, vector: {} }, 400, /not a valid point ID/);

  assert.equal((await client.count(c)).count, 0);
});

test("cosine vectors come back normalised, others as they were", async () => {
  await client.upsert(c, {
    points: [
      { id: 1, vector: { v: [0, 3, 4], raw: [3, 4] } },
      { id: 2, vector: { v: [0, 0, 0] } },
    ],
  });

  const [one, two] = await client.retrieve(c, { ids: [1, 2], with_vector: true });

  const { v, raw } = one!.vector as { v: number[]; raw: number[] };
  assert.deepEqual(v, [0, Math.fround(0.6), Math.fround(0.8)]);
  assert.deepEqual(raw, [3, 4]);
  assert.deepEqual(two?.vector, { v: [0, 0, 0] });
});

test("ids are integers or UUIDs in any spelling, and integers come first", async () => {
  const spelled = "urn:uuid:00000000-0000-4000-8000-00000000000A".replace("urn:uuid:", "");
  await client.upsert(c, { points: [10, 9, uuid(1), spelled].map((id) => ({ id, vector: {} })) });

  assert.deepEqual(await ids({}), [9, 10, uuid(1), "00000000-0000-4000-8000-00000000000a"]);
  assert.equal((await client.retrieve(c, { ids: ["0000000000004000800000000000000A"] })).length, 1);
  const got = await client.api().getPoint({ collection_name: c, id: 9 });
  assert.equal((got.data.result as { id: number }).id, 9);
  await refused(client.api().getPoint({ collection_name: c, id: 11 }), 404, /id 11/);
});

test("points are deleted by id and by filter, and their slots are used again without mixing anything up", async () => {
  const colors = ["red", "green", "blue"];
  const make = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      id: from + i,
      vector: { v: [1, from + i, 0], s: { indices: [from + i], values: [1] } },
      payload: { color: colors[(from + i) % 3]!, size: from + i },
    }));
  await client.upsert(c, { points: make(0, 30) });

  await client.delete(c, { wait: true, filter: withColor("green") });
  await client.delete(c, { wait: true, points: [0, 3, 3, 999] });
  await client.upsert(c, { points: make(100, 12) });

  assert.deepEqual(await ids(withColor("green")), [100, 103, 106, 109]);
  assert.equal((await client.count(c)).count, 30 - 10 - 2 + 12);
  for (const term of [1, 0, 4])
    assert.deepEqual((await client.query(c, { query: { indices: [term], values: [1] }, using: "s" })).points, []);
  const [hit] = (await client.query(c, { query: { indices: [105], values: [1] }, using: "s" })).points;
  assert.equal(hit?.id, 105);
  const nearest = await client.query(c, { query: [1, 111, 0], using: "v", limit: 30 });
  assert.equal(nearest.points.length, 30);
  assert.ok(
    nearest.points.every(({ id }) => ![0, 3].includes(id as number) && !((id as number) < 30 && (id as number) % 3 === 1)),
  );
});

test("payload is set, overwritten, deleted by key and cleared, and the indexes follow", async () => {
  await client.upsert(c, {
    points: [1, 2].map((id) => ({ id, vector: { raw: [1, 1] }, payload: { color: "red", deep: { a: 1 } } })),
  });

  await client.setPayload(c, { points: [1], payload: { color: "blue", size: 5 } });
  await client.setPayload(c, { filter: withColor("blue"), key: "deep", payload: { b: 2 } });
  assert.deepEqual((await client.retrieve(c, { ids: [1] }))[0]?.payload, { color: "blue", size: 5, deep: { a: 1, b: 2 } });
  assert.deepEqual(await ids(withColor("red")), [2]);

  await client.deletePayload(c, { points: [1], keys: ["color", "deep.a", "nothing"] });
  assert.deepEqual((await client.retrieve(c, { ids: [1] }))[0]?.payload, { size: 5, deep: { b: 2 } });
  assert.deepEqual(await ids(withColor("blue")), []);

  await client.overwritePayload(c, { points: [1], payload: { color: "green" } });
  await client.clearPayload(c, { points: [2] });
  assert.deepEqual(
    (await client.retrieve(c, { ids: [1, 2], with_vector: true })).map(({ payload }) => payload),
    [{ color: "green" }, {}],
  );
  assert.deepEqual(await ids(withColor("red")), []);
  assert.deepEqual(await ids({ must: [{ key: "size", range: { gte: 0 } }] }), []);
});

test("vectors are updated and deleted without touching the rest", async () => {
  await client.upsert(c, {
    points: [{ id: 1, vector: { v: [1, 0, 0], s: { indices: [1], values: [1] } }, payload: { color: "red" } }],
  });

  await client.updateVectors(c, { points: [{ id: 1, vector: { s: { indices: [2], values: [3] } } }] });
  await client.deleteVectors(c, { points: [1], vector: ["v"] });

  const [point] = await client.retrieve(c, { ids: [1], with_vector: true });
  assert.deepEqual(point, { id: 1, payload: { color: "red" }, vector: { s: { indices: [2], values: [3] } } });
  assert.deepEqual((await client.query(c, { query: { indices: [1], values: [1] }, using: "s" })).points, []);
  await refused(client.updateVectors(c, { points: [{ id: 5, vector: { raw: [1, 1] } }] }), 404, /No point with id 5/);
});

test("a batch is done in order, and not at all when one of its operations is wrong", async () => {
  const upsert = {
    upsert: {
      points: [
        { id: 1, vector: {}, payload: { color: "red" } },
        { id: 2, vector: {}, payload: {} },
      ],
    },
  };
  const results = await client.batchUpdate(c, {
    operations: [upsert, { set_payload: { payload: { size: 9 }, filter: withColor("red") } }, { delete: { points: [2] } }],
  });

  assert.equal(results.length, 3);
  assert.deepEqual(
    (await client.scroll(c)).points.map(({ id, payload }) => [id, payload]),
    [[1, { color: "red", size: 9 }]],
  );
  await refused(
    client.batchUpdate(c, {
      operations: [{ delete: { points: [1] } }, { upsert: { points: [{ id: 3, vector: { no: [1] } }] } }],
    }),
    400,
    /no/,
  );
  assert.equal((await client.count(c)).count, 1);
});

test("an upsert can be told to leave existing points alone, or to touch only those", async () => {
  const put = (id: number, color: string, options: object) =>
    client.upsert(c, { points: [{ id, vector: {}, payload: { color } }], ...options });
  await put(1, "red", {});

  await put(1, "blue", { update_mode: "insert_only" });
  await put(2, "blue", { update_mode: "update_only" });
  await put(1, "green", { update_filter: withColor("yellow") });
  assert.deepEqual(
    (await client.scroll(c)).points.map(({ id, payload }) => [id, payload?.["color"]]),
    [[1, "red"]],
  );

  await put(1, "green", { update_filter: withColor("red") });
  assert.deepEqual(await ids(withColor("green")), [1]);
});

test("scrolling pages through everything once, in id order, with or without a filter", async () => {
  const points = Array.from({ length: 57 }, (_, i) => ({
    id: i % 2 ? i : uuid(i),
    vector: {},
    payload: { color: i % 3 ? "red" : "blue" },
  }));
  await client.upsert(c, { points });

  for (const [filter, total] of [
    [undefined, 57],
    [withColor("red"), 38],
  ] as const) {
    const seen: unknown[] = [];
    let offset: string | number | undefined;
    for (;;) {
      const page = await client.scroll(c, { limit: 10, ...(filter && { filter }), ...(offset !== undefined && { offset }) });
      if (offset !== undefined) assert.equal(page.points[0]?.id, offset);
      seen.push(...page.points.map(({ id }) => id));
      if (page.next_page_offset === null || page.next_page_offset === undefined) break;
      offset = page.next_page_offset as string | number;
    }
    assert.equal(seen.length, total);
    assert.equal(new Set(seen).size, total);
    const order = (id: unknown): string => (typeof id === "number" ? `0${String(id).padStart(20, "0")}` : `1${String(id)}`);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => (order(a) < order(b) ? -1 : 1)),
    );
  }
});

test("payload and vectors are shown as asked for", async () => {
  const payload = { color: "red", deep: { a: 1, b: 2 }, list: [{ x: 1, y: 1 }, { x: 2 }] };
  await client.upsert(c, { points: [{ id: 1, vector: { raw: [1, 1], v: [1, 0, 0] }, payload }] });
  const show = async (options: object) => (await client.retrieve(c, { ids: [1], ...options }))[0];

  assert.deepEqual(await show({}), { id: 1, payload });
  assert.deepEqual(await show({ with_payload: false }), { id: 1 });
  assert.deepEqual(await show({ with_payload: ["deep.a", "list[].x"] }), {
    id: 1,
    payload: { deep: { a: 1 }, list: [{ x: 1 }, { x: 2 }] },
  });
  assert.deepEqual(await show({ with_payload: { exclude: ["deep", "list[].x"] } }), {
    id: 1,
    payload: { color: "red", list: [{ y: 1 }, {}] },
  });
  assert.deepEqual(await show({ with_payload: false, with_vector: ["raw"] }), { id: 1, vector: { raw: [1, 1] } });
  const [hit] = (await client.query(c, { query: [1, 0, 0], using: "v" })).points;
  assert.deepEqual(Object.keys(hit ?? {}).sort(), ["id", "score", "version"]);
});

test("facets count the values of an indexed key", async () => {
  const colors = ["red", "red", "blue", "green", "red", "blue"];
  await client.upsert(c, {
    points: colors.map((color, id) => ({ id, vector: {}, payload: { color: [color, color], size: id } })),
  });

  const all = await client.facet(c, { key: "color" });
  const some = await client.facet(c, { key: "color", limit: 1, filter: { must: [{ key: "size", range: { gt: 1 } }] } });

  assert.deepEqual(all.hits, [
    { value: "red", count: 3 },
    { value: "blue", count: 2 },
    { value: "green", count: 1 },
  ]);
  assert.deepEqual(some.hits, [{ value: "blue", count: 2 }]);
});
