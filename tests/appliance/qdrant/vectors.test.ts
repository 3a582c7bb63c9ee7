import assert from "node:assert/strict";
import { after, test } from "node:test";
import { qdrantVectors, type QdrantVectors } from "../../../appliance/qdrant/vectors.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import { passage, pointing, terms, vectorsContract } from "../../contracts/vectors.ts";
import { apiKey, openStore } from "../vectors/openStore.ts";

const never = new AbortController().signal;
const store = await openStore();
after(() => store[Symbol.asyncDispose]());

const adapter = (options: { tenantId?: string; embedderId?: string; url?: string; apiKey?: string } = {}): QdrantVectors =>
  qdrantVectors({ url: store.url, apiKey, tenantId: "owner", embedderId: "letters", ...options });

async function empty(): Promise<void> {
  const { aliases } = await store.client.getAliases();
  for (const { collection_name } of aliases) await store.client.deleteCollection(collection_name);
}

const hasCode = (code: string) => (error: unknown) => isNikaError(error) && error.code === code;

vectorsContract("Qdrant's client on the embedded store", async () => {
  await empty();
  return adapter();
});

test("the vault is an alias, so that it can be moved over later", async () => {
  await empty();
  await adapter().count();

  assert.deepEqual((await store.client.getAliases()).aliases, [
    { alias_name: "nika_vault", collection_name: "nika_vault__g0001" },
  ]);
  const { config, payload_schema } = await store.client.getCollection("nika_vault");
  assert.deepEqual(config.metadata, { embedder_id: "letters", schema: 1 });
  assert.deepEqual(Object.keys(payload_schema).sort(), [
    "document_id",
    "domain",
    "entity_type",
    "language",
    "ordinal",
    "scope",
    "tenant_id",
  ]);
});

test("twenty first users at once make one vault", async () => {
  await empty();

  const users = Array.from({ length: 20 }, () => adapter());
  await Promise.all(users.map((user, i) => user.replace(`document ${i}`, [passage(`document ${i}`, 0)], never)));

  assert.equal(await adapter().count(), 20);
});

test("a vault that was begun and cut off is finished by the next user", async () => {
  await empty();
  await store.client.createCollection("nika_vault__g0001", {
    vectors: { text: { size: 384, distance: "Cosine" } },
    sparse_vectors: { bm25: { modifier: "idf" } },
    metadata: { embedder_id: "letters", schema: 1 },
  });

  const vectors = adapter();
  await vectors.replace("report", [passage("report", 0)], never);

  assert.equal(await vectors.count("report"), 1);
  assert.equal((await store.client.getAliases()).aliases.length, 1);
});

test("no call sees or touches another tenant's passages", async () => {
  await empty();
  const [mine, theirs] = [adapter({ tenantId: "mine" }), adapter({ tenantId: "theirs" })];
  await theirs.replace("report", [passage("report", 0), passage("report", 1)], never);

  await mine.replace("report", [passage("report", 0, { text: "mine" })], never);
  await mine.replace("report", [], never);
  await mine.remove("report");

  assert.equal(await mine.count(), 0);
  assert.deepEqual(await mine.search({ vector: pointing(0), terms: terms(1, 1000), limit: 50 }, never), []);
  assert.equal(await theirs.count("report"), 2);
});

test("a vault of another embedder is searched by words, takes no passages, and says whose it is", async () => {
  await empty();
  await adapter({ embedderId: "old" }).replace("report", [passage("report", 0), passage("report", 1)], never);

  const vectors = adapter({ embedderId: "new" });

  assert.deepEqual(await vectors.storedEmbedder(), { id: "old", dimensions: 384 });
  await assert.rejects(vectors.replace("other", [passage("other", 0)], never), hasCode("conflict"));
  const hits = await vectors.search({ vector: pointing(0), terms: terms(1001), limit: 5 }, never);
  assert.deepEqual(
    hits.map(({ ordinal }) => ordinal),
    [1],
  );
});

test("an empty vault follows the embedder in force", async () => {
  await empty();
  await adapter({ embedderId: "old" }).count();

  const vectors = adapter({ embedderId: "new" });
  await vectors.replace("report", [passage("report", 0)], never);

  assert.deepEqual(await vectors.storedEmbedder(), { id: "new", dimensions: 384 });
});

test("a store that is not there is unavailable, and a wrong key is denied", async () => {
  await assert.rejects(adapter({ url: "http://127.0.0.1:1" }).count(), hasCode("unavailable"));
  await assert.rejects(adapter({ apiKey: "wrong" }).count(), hasCode("denied"));
});

test("a vault that was lost under a running user is made anew at the second try", async () => {
  await empty();
  const vectors = adapter();
  await vectors.replace("report", [passage("report", 0)], never);
  await empty();

  await assert.rejects(vectors.count(), hasCode("unavailable"));

  assert.equal(await vectors.count(), 0);
});

test("a passage whose vector has no direction is still found by its words", async () => {
  await empty();
  const vectors = adapter();
  await vectors.replace("report", [passage("report", 0, { vector: new Float32Array(384), terms: terms(9) })], never);

  const hits = await vectors.search({ vector: pointing(0), terms: terms(9), limit: 5 }, never);

  assert.equal(hits.length, 1);
});

test("passages handed over out of order are a bug, not a lost passage", async () => {
  const vectors = adapter();

  await assert.rejects(vectors.replace("report", [passage("report", 1)], never), hasCode("bug"));
});
