import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { apiKey, openStore } from "./openStore.ts";
import { refused } from "./refused.ts";

const store = await openStore();
const { client } = store;
after(() => store[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const { name } of (await client.getCollections()).collections) await client.deleteCollection(name);
});

const four = { size: 4, distance: "Cosine" } as const;

test("the store says which Qdrant it imitates, and that it is well", async () => {
  assert.match((await client.versionInfo()).version, /^1\.19\./);
  for (const path of ["/healthz", "/readyz", "/livez", "/"]) assert.equal((await fetch(store.url + path)).status, 200);
});

test("a request without the key is refused, as is one with a wrong key; a bearer token will do", async () => {
  const ask = async (headers: Record<string, string>) => (await fetch(`${store.url}/collections`, { headers })).status;

  assert.equal(await ask({}), 401);
  assert.equal(await ask({ "api-key": "wrong" }), 401);
  assert.equal(await ask({ "api-key": "" }), 401);
  assert.equal(await ask({ authorization: "Bearer wrong" }), 401);
  assert.equal(await ask({ "api-key": apiKey }), 200);
  assert.equal(await ask({ authorization: `Bearer ${apiKey}` }), 200);
});

test("a collection is made, shown, listed and deleted", async () => {
  assert.deepEqual(await client.collectionExists("books"), { exists: false });

  await client.createCollection("books", {
    vectors: { text: four, image: { size: 8, distance: "Euclid", on_disk: true } },
    sparse_vectors: { words: { modifier: "idf" } },
    hnsw_config: { m: 16 },
    metadata: { model: "m1" },
  });

  assert.deepEqual(await client.collectionExists("books"), { exists: true });
  assert.deepEqual(await client.getCollections(), { collections: [{ name: "books" }] });
  const { status, points_count, config } = await client.getCollection("books");
  assert.equal(status, "green");
  assert.equal(points_count, 0);
  assert.deepEqual(config.params.vectors, { text: four, image: { size: 8, distance: "Euclid", on_disk: true } });
  assert.deepEqual(config.params.sparse_vectors, { words: { modifier: "idf" } });
  assert.deepEqual(config.metadata, { model: "m1" });
  assert.equal(await client.deleteCollection("books"), true);
  assert.equal(await client.deleteCollection("books"), false);
});

test("everything of a collection is there again when the store is opened again", async () => {
  const first = await openStore();
  await first.client.createCollection("books", { vectors: four, sparse_vectors: { words: {} }, metadata: { a: 1 } });
  await first.client.createPayloadIndex("books", { field_name: "lang", field_schema: "keyword", wait: true });
  await first.client.upsert("books", {
    points: [
      { id: 1, vector: { "": [0, 3, 4, 0], words: { indices: [9, 2], values: [0.5, 0.25] } }, payload: { lang: "fr", n: [1] } },
      { id: 2, vector: [1, 0, 0, 0], payload: { lang: "en" } },
    ],
  });
  await first.client.delete("books", { points: [2] });
  await first.client.updateCollectionAliases({ actions: [{ create_alias: { alias_name: "b", collection_name: "books" } }] });

  await using again = await first.reopen();

  const { config, payload_schema } = await again.client.getCollection("b");
  assert.deepEqual(config.metadata, { a: 1 });
  assert.deepEqual(payload_schema, { lang: { data_type: "keyword", points: 1 } });
  const [point] = await again.client.retrieve("b", { ids: [1, 2], with_vector: true });
  assert.deepEqual(point?.payload, { lang: "fr", n: [1] });
  const vectors = point?.vector as { "": number[]; words: unknown };
  assert.deepEqual(
    vectors[""].map((x) => Math.round(x * 1e6) / 1e6),
    [0, 0.6, 0.8, 0],
  );
  assert.deepEqual(vectors.words, { indices: [2, 9], values: [0.25, 0.5] });
  const { points } = await again.client.query("b", { query: { indices: [9], values: [1] }, using: "words" });
  assert.deepEqual(
    points.map(({ id, score }) => [id, score]),
    [[1, 0.5]],
  );
  assert.equal((await again.client.count("b", { filter: { must: [{ key: "lang", match: { value: "fr" } }] } })).count, 1);
});

test("a second collection of the same name, and names that cannot be, are refused", async () => {
  await client.createCollection("books", { vectors: four });

  await refused(client.createCollection("books", { vectors: four }), 409, /^Wrong input: Collection `books` already exists!$/);
  await refused(client.createCollection("a:b", { vectors: four }), 422, /must not contain/);
  await refused(client.createCollection("zero", { vectors: { size: 0, distance: "Dot" } }), 422, /size/);
  await refused(client.createCollection("far", { vectors: { size: 4, distance: "Chebyshev" as "Dot" } }), 400, /distance/);
  await refused(client.getCollection("nobody"), 404, /^Not found: Collection `nobody` doesn't exist!$/);
});

test("what Qdrant has and this store has not is refused by name", async () => {
  await client.createCollection("books", { vectors: four });

  await refused(client.createCollection("x", { vectors: { ...four, datatype: "turbo4" as "uint8" } }), 501, /turbo4/);
  await refused(client.createCollection("x", { vectors: four, sharding_method: "custom" }), 501, /`sharding_method`/);
  const text = { type: "text", stemmer: { type: "snowball", language: "french" } } as const;
  await refused(client.createPayloadIndex("books", { field_name: "a", field_schema: text }), 501, /`stemmer`/);
  const feedback = { target: 1, feedback: [], strategy: { naive: { a: 1, b: 1, c: 1 } } };
  await refused(client.query("books", { query: { relevance_feedback: feedback } }), 501, /`relevance_feedback` query/);
  await refused(client.listShardSnapshots("books", 0), 501, /shards/);
  await refused(client.getQuotas(), 404, /does not answer GET \/quotas/);
});

test("an alias stands for its collection everywhere, and is moved in one step", async () => {
  await client.createCollection("one", { vectors: four });
  await client.createCollection("two", { vectors: four });
  const point = (alias: string, to: string) => ({ create_alias: { alias_name: alias, collection_name: to } });
  await client.updateCollectionAliases({ actions: [point("current", "one")] });
  await client.upsert("current", { points: [{ id: 7, vector: [1, 0, 0, 0] }] });
  assert.equal((await client.count("one")).count, 1);

  await client.updateCollectionAliases({ actions: [point("current", "two")] });

  assert.equal((await client.count("current")).count, 0);
  assert.deepEqual(await client.getAliases(), { aliases: [{ alias_name: "current", collection_name: "two" }] });
  await client.updateCollectionAliases({ actions: [{ rename_alias: { old_alias_name: "current", new_alias_name: "now" } }] });
  assert.deepEqual(await client.getCollectionAliases("two"), { aliases: [{ alias_name: "now", collection_name: "two" }] });
  await client.deleteCollection("two");
  assert.deepEqual(await client.getAliases(), { aliases: [] });
});

test("alias actions are all done or none", async () => {
  await client.createCollection("one", { vectors: four });
  const good = { create_alias: { alias_name: "good", collection_name: "one" } };

  await refused(
    client.updateCollectionAliases({ actions: [good, { create_alias: { alias_name: "bad", collection_name: "nobody" } }] }),
    404,
    /`nobody`/,
  );
  await refused(
    client.updateCollectionAliases({ actions: [{ rename_alias: { old_alias_name: "x", new_alias_name: "y" } }] }),
    404,
    /x/,
  );
  await refused(
    client.updateCollectionAliases({ actions: [{ create_alias: { alias_name: "one", collection_name: "one" } }] }),
    409,
    /one/,
  );

  assert.deepEqual(await client.getAliases(), { aliases: [] });
  assert.equal(await client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: "nobody" } }] }), true);
  await client.updateCollectionAliases({ actions: [good] });
  await refused(client.createCollection("good", { vectors: four }), 400, /Alias with the same name/);
});

test("a named vector can be added to a collection that is in use, and taken away", async () => {
  await client.createCollection("books", { vectors: { text: four } });
  await client.upsert("books", { points: [{ id: 1, vector: { text: [1, 0, 0, 0] } }] });

  await client.createVectorName("books", "new", { dense: { size: 2, distance: "Dot" } });
  await client.updateVectors("books", { points: [{ id: 1, vector: { new: [3, 4] } }] });

  const { points } = await client.query("books", { query: [1, 1], using: "new", with_vector: true });
  assert.deepEqual(points[0]?.vector, { text: [1, 0, 0, 0], new: [3, 4] });
  assert.equal(points[0]?.score, 7);
  await client.deleteVectorName("books", "text");
  await refused(client.query("books", { query: [1, 0, 0, 0], using: "text" }), 400, /Not existing vector name error: text/);
  await refused(client.createVectorName("books", "new", { dense: { size: 2, distance: "Dot" } }), 409, /new/);
});

test("metadata is replaced key by key", async () => {
  await client.createCollection("books", { vectors: four, metadata: { a: 1, b: 1 } });

  await client.updateCollection("books", { metadata: { b: 2 } });

  assert.deepEqual((await client.getCollection("books")).config.metadata, { a: 1, b: 2 });
});

test("a body that is not JSON, not an object or too large is refused and the next request is answered", async () => {
  const put = (body: string) =>
    fetch(`${store.url}/collections/x`, {
      method: "PUT",
      body,
      headers: { "api-key": apiKey, "content-type": "application/json" },
    });

  assert.equal((await put("{")).status, 400);
  assert.equal((await put("[1]")).status, 400);
  const tooLarge = await put(`{"x":"${"x".repeat(33 * 1024 * 1024)}"}`).then(
    (response) => response.status,
    () => 413,
  );
  assert.equal(tooLarge, 413);
  assert.equal((await client.getCollections()).collections.length, 0);
});
