import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStore } from "./openStore.ts";
import { refused } from "./refused.ts";

const store = await openStore();
const { client } = store;
after(() => store[Symbol.asyncDispose]());

const payloads: Record<number, Record<string, unknown>> = {
  1: { color: "red", size: 1, tags: ["a", "b"], at: "2024-01-31T12:00:00Z", ok: true },
  2: { color: "blue", size: 2.5, tags: ["b"], at: "2024-02-01T00:30:00+01:00", ok: false },
  3: { color: ["red", "green"], size: [10, 20], tags: [], at: "2024-02-01" },
  4: { color: null, size: "1", tags: null },
  5: {
    diet: [
      { food: "meat", likes: true },
      { food: "grass", likes: false },
    ],
    text: "The Quick brown fox",
  },
  6: {
    diet: [
      { food: "meat", likes: false },
      { food: "grass", likes: true },
    ],
    "a.b": 1,
    a: { b: 2 },
  },
  7: {},
};

before(async () => {
  // The same points twice: what an index answers must be what the payload says.
  for (const name of ["plain", "indexed"]) {
    await client.createCollection(name, { vectors: { v: { size: 2, distance: "Dot" } } });
    if (name === "indexed") {
      for (const [field_name, field_schema] of [
        ["color", "keyword"],
        ["size", "float"],
        ["at", "datetime"],
        ["ok", "bool"],
        ["tags", { type: "keyword" }],
      ] as const) {
        await client.createPayloadIndex(name, { field_name, field_schema, wait: true });
      }
    }
    const points = Object.entries(payloads).map(([id, payload]) => ({
      id: Number(id),
      vector: Number(id) < 4 ? { v: [1, 1] } : {},
      payload,
    }));
    await client.upsert(name, { points });
  }
});

async function kept(filter: object): Promise<unknown[]> {
  const [plain, indexed] = await Promise.all(
    ["plain", "indexed"].map(async (name) => (await client.scroll(name, { filter, limit: 100 })).points.map(({ id }) => id)),
  );
  assert.deepEqual(plain, indexed);
  assert.equal((await client.count("indexed", { filter })).count, indexed!.length);
  return indexed!;
}
const must = (...conditions: object[]) => kept({ must: conditions });
const field = (key: string, test: object) => ({ key, ...test });

test("match is exact and typed, and holds when any element of an array matches", async () => {
  assert.deepEqual(await must(field("color", { match: { value: "red" } })), [1, 3]);
  assert.deepEqual(await must(field("size", { match: { value: 1 } })), [1]);
  assert.deepEqual(await must(field("size", { match: { value: "1" } })), [4]);
  assert.deepEqual(await must(field("ok", { match: { value: false } })), [2]);
  assert.deepEqual(await must(field("tags", { match: { any: ["a", "c"] } })), [1]);
  assert.deepEqual(await must(field("color", { match: { any: [] } })), []);
  assert.deepEqual(await must(field("nowhere", { match: { value: "x" } })), []);
});

test("except needs a value outside the list, so a missing key fails it", async () => {
  assert.deepEqual(await must(field("color", { match: { except: ["red"] } })), [2, 3]);
  assert.deepEqual(await must(field("color", { match: { except: [] } })), [1, 2, 3]);
});

test("text is contained, prefix is at the start", async () => {
  assert.deepEqual(await must(field("text", { match: { text: "Quick" } })), [5]);
  assert.deepEqual(await must(field("text", { match: { text: "quick" } })), []);
  assert.deepEqual(await must(field("text", { match: { prefix: "The" } })), [5]);
});

test("ranges take numbers only, and any element will do", async () => {
  assert.deepEqual(await must(field("size", { range: { gte: 1, lt: 10 } })), [1, 2]);
  assert.deepEqual(await must(field("size", { range: { gt: 10 } })), [3]);
  assert.deepEqual(await must(field("size", { range: { gt: 1, lte: 2.5 } })), [2]);
});

test("times are compared as instants, whatever their zone", async () => {
  assert.deepEqual(await must(field("at", { range: { lt: "2024-02-01T00:00:00Z" } })), [1, 2]);
  assert.deepEqual(await must(field("at", { range: { gte: "2024-01-31T23:30:00Z" } })), [2, 3]);
  assert.deepEqual(await must(field("at", { range: { gt: "2024-01-31T13:00:00+01:00" } })), [2, 3]);
});

test("empty, null and how many", async () => {
  assert.deepEqual(await must({ is_empty: { key: "tags" } }), [3, 4, 5, 6, 7]);
  assert.deepEqual(await must({ is_null: { key: "tags" } }), [4]);
  assert.deepEqual(await must(field("tags", { is_empty: false })), [1, 2]);
  assert.deepEqual(await must(field("tags", { values_count: { gte: 2 } })), [1]);
  assert.deepEqual(await must(field("color", { values_count: { gte: 1 } })), [1, 2, 3]);
  assert.deepEqual(await must(field("tags", { values_count: { lt: 1 } })), [3, 4, 5, 6, 7]);
});

test("ids and vectors are conditions too", async () => {
  assert.deepEqual(await must({ has_id: [7, 2, 99, 2] }), [2, 7]);
  assert.deepEqual(await must({ has_vector: "v" }), [1, 2, 3]);
  assert.deepEqual(await kept({ must_not: [{ has_id: [1, 2, 3] }, { has_vector: "v" }] }), [4, 5, 6, 7]);
});

test("clauses are ANDed, conditions in should ORed, and a missing key passes must_not", async () => {
  const red = field("color", { match: { value: "red" } });
  const small = field("size", { range: { lt: 5 } });

  assert.deepEqual(await kept({ must: [red], must_not: [small] }), [3]);
  assert.deepEqual(await kept({ must_not: [red] }), [2, 4, 5, 6, 7]);
  assert.deepEqual(await kept({ should: [red, small] }), [1, 2, 3]);
  assert.deepEqual(await kept({ must: small, should: [red, field("ok", { match: { value: false } })] }), [1, 2]);
  assert.deepEqual(
    await kept({ min_should: { conditions: [red, small, field("tags", { match: { value: "b" } })], min_count: 2 } }),
    [1, 2],
  );
  assert.deepEqual(await kept({ must: [], should: [], must_not: [] }), [1, 2, 3, 4, 5, 6, 7]);
});

test("filters nest", async () => {
  const red = field("color", { match: { value: "red" } });
  const blue = field("color", { match: { value: "blue" } });

  assert.deepEqual(await must({ should: [red, blue] }, { must_not: [{ key: "size", range: { gt: 5 } }] }), [1, 2]);
  assert.deepEqual(await kept({ must_not: [{ must: [red, field("size", { match: { value: 1 } })] }] }), [2, 3, 4, 5, 6, 7]);
});

test("nested conditions must hold on the same element", async () => {
  const meat = field("food", { match: { value: "meat" } });
  const liked = field("likes", { match: { value: true } });

  assert.deepEqual(
    await must(field("diet[].food", { match: { value: "meat" } }), field("diet[].likes", { match: { value: true } })),
    [5, 6],
  );
  assert.deepEqual(await must({ nested: { key: "diet", filter: { must: [meat, liked] } } }), [5]);
  assert.deepEqual(await must({ nested: { key: "diet[]", filter: { must: [meat], must_not: [liked] } } }), [6]);
});

test("paths reach into objects and arrays, and quotes keep a dot", async () => {
  assert.deepEqual(await must(field("diet[0].likes", { match: { value: true } })), [5]);
  assert.deepEqual(await must(field("a.b", { match: { value: 2 } })), [6]);
  assert.deepEqual(await must(field('"a.b"', { match: { value: 1 } })), [6]);
});

test("an index made or dropped later answers the same", async () => {
  const filter = { must: [field("color", { match: { any: ["red", "blue"] } })] };
  await client.createPayloadIndex("plain", { field_name: "color", field_schema: "keyword", wait: true });
  assert.deepEqual(await kept(filter), [1, 2, 3]);

  await client.deletePayloadIndex("plain", "color");
  assert.deepEqual(await kept(filter), [1, 2, 3]);
});

test("conditions that say nothing, two things or something unknown are refused", async () => {
  const refuse = (condition: object, status: number, text: RegExp) =>
    refused(client.count("plain", { filter: { must: [condition] } }), status, text);

  await refuse({ key: "a" }, 422, /At least one field condition must be specified/);
  await refuse({ key: "a", match: { value: 1 }, range: { gt: 1 } }, 422, /two conditions/);
  await refuse({ key: "a", match: { value: { b: 1 } } }, 400, /match/);
  await refuse({ key: "a", match: { substring: "x" } }, 501, /match.substring/);
  await refuse({ key: "a", range: { gt: "yesterday" } }, 400, /range.gt/);
  await refuse({ key: "", match: { value: 1 } }, 400, /key/);
  await refuse({ key: "a", match: { value: 1 }, fuzzy: true }, 501, /`fuzzy`/);
  await refuse({ slice: { index: 2, total: 2 } }, 422, /less than the total/);
});
