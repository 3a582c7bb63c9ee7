import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { qdrantVectors, type QdrantVectors } from "../../../appliance/qdrant/vectors.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import { hybrid, passage, pointing, terms, vectorsContract } from "../../contracts/vectors.ts";
import { apiKey, openStore } from "../vectors/openStore.ts";

const tenantId = "owner";
const never = new AbortController().signal;
const store = await openStore();
after(() => store[Symbol.asyncDispose]());

const adapter = (options: { embedderId?: string; url?: string; apiKey?: string } = {}): QdrantVectors =>
  qdrantVectors({ url: store.url, apiKey, embedderId: "letters", ...options });

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
  await adapter().count({ tenantId });

  assert.deepEqual((await store.client.getAliases()).aliases, [
    { alias_name: "nika_vault", collection_name: "nika_vault__g0001" },
  ]);
  const { config, payload_schema } = await store.client.getCollection("nika_vault");
  assert.deepEqual(config.metadata, { embedder_id: "letters", schema: 2 });
  // Whatever the server was set to: what was acknowledged is seen.
  assert.equal(config.optimizer_config.prevent_unoptimized, false);
  const indexed =
    "document_id domain entity_type folders format held kind language names ordinal scope sha256 tenant_id text written_at";
  assert.deepEqual(Object.keys(payload_schema).sort(), indexed.split(" "));
});

test("a Qdrant that is too old is refused before anything is made there, and so is what is none", async () => {
  const asked: string[] = [];
  let version: unknown = "1.18.4";
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ title: "it", version }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const there = qdrantVectors({ url: `http://127.0.0.1:${port}`, embedderId: "letters" });
  await assert.rejects(there.count({ tenantId }), /1\.18\.4; Nika needs 1\.19 or newer/u);
  version = undefined;
  await assert.rejects(there.count({ tenantId }), /no Qdrant/u);
  assert.deepEqual(asked, ["/", "/"]);
  server.close();
});

test("a vault from before passages could be held is brought up to date, and found as before", async () => {
  await empty();
  await adapter().replace({ tenantId, documentId: "old" }, [passage("old", 0)], never);
  await store.client.deletePayload("nika_vault", { keys: ["held"], filter: {}, wait: true });
  await store.client.updateCollection("nika_vault", { metadata: { schema: 1 } });

  const hits = await hybrid(adapter(), { vector: pointing(0), terms: terms(1), limit: 5 });

  assert.deepEqual(
    hits.map(({ documentId }) => documentId),
    ["old"],
  );
});

test("twenty first users at once make one vault", async () => {
  await empty();

  const users = Array.from({ length: 20 }, () => adapter());
  await Promise.all(
    users.map((user, i) => user.replace({ tenantId, documentId: `document ${i}` }, [passage(`document ${i}`, 0)], never)),
  );

  assert.equal(await adapter().count({ tenantId }), 20);
});

test("a vault that was begun and cut off is finished by the next user", async () => {
  await empty();
  await store.client.createCollection("nika_vault__g0001", {
    vectors: { text: { size: 384, distance: "Cosine" } },
    sparse_vectors: { bm25: { modifier: "idf" } },
    metadata: { embedder_id: "letters", schema: 1 },
  });

  const vectors = adapter();
  await vectors.replace({ tenantId, documentId: "report" }, [passage("report", 0)], never);

  assert.equal(await vectors.count({ tenantId, documentId: "report" }), 1);
  assert.equal((await store.client.getAliases()).aliases.length, 1);
});

test("no call sees or touches another tenant's passages", async () => {
  await empty();
  const vectors = adapter();
  const [mine, theirs] = [
    { tenantId: "mine", documentId: "report" },
    { tenantId: "theirs", documentId: "report" },
  ];
  await vectors.replace(theirs, [passage("report", 0), passage("report", 1)], never);

  await vectors.replace(mine, [passage("report", 0, { text: "mine" })], never);
  await vectors.replace(mine, [], never);
  await vectors.remove(mine);

  assert.equal(await vectors.count({ tenantId: "mine" }), 0);
  assert.deepEqual(await hybrid(vectors, { tenantId: "mine", vector: pointing(0), terms: terms(1, 1000), limit: 50 }), []);
  assert.equal(await vectors.count(theirs), 2);
});

test("a vault of another embedder is searched by words, takes no passages, and says whose it is", async () => {
  await empty();
  await adapter({ embedderId: "old" }).replace(
    { tenantId, documentId: "report" },
    [passage("report", 0), passage("report", 1)],
    never,
  );

  const vectors = adapter({ embedderId: "new" });

  assert.deepEqual(await vectors.storedEmbedder(), { id: "old", dimensions: 384 });
  await assert.rejects(vectors.replace({ tenantId, documentId: "other" }, [passage("other", 0)], never), hasCode("conflict"));
  const hits = await hybrid(vectors, { vector: pointing(0), terms: terms(1001), limit: 5 });
  assert.deepEqual(
    hits.map(({ ordinal }) => ordinal),
    [1],
  );
});

test("an empty vault follows the embedder in force", async () => {
  await empty();
  await adapter({ embedderId: "old" }).count({ tenantId });

  const vectors = adapter({ embedderId: "new" });
  await vectors.replace({ tenantId, documentId: "report" }, [passage("report", 0)], never);

  assert.deepEqual(await vectors.storedEmbedder(), { id: "new", dimensions: 384 });
});

test("a store that is not there is unavailable, and a wrong key is denied", async () => {
  await assert.rejects(adapter({ url: "http://127.0.0.1:1" }).count({ tenantId }), hasCode("unavailable"));
  await assert.rejects(adapter({ apiKey: "wrong" }).count({ tenantId }), hasCode("denied"));
});

test("a vault that was lost under a running user is made anew at the second try", async () => {
  await empty();
  const vectors = adapter();
  await vectors.replace({ tenantId, documentId: "report" }, [passage("report", 0)], never);
  await empty();

  await assert.rejects(vectors.count({ tenantId }), hasCode("unavailable"));

  assert.equal(await vectors.count({ tenantId }), 0);
});

test("a passage whose vector has no direction is still found by its words", async () => {
  await empty();
  const vectors = adapter();
  await vectors.replace(
    { tenantId, documentId: "report" },
    [passage("report", 0, { vector: new Float32Array(384), terms: terms(9) })],
    never,
  );

  const hits = await hybrid(vectors, { vector: pointing(0), terms: terms(9), limit: 5 });

  assert.equal(hits.length, 1);
});

test("passages handed over out of order are a bug, not a lost passage", async () => {
  const vectors = adapter();

  await assert.rejects(vectors.replace({ tenantId, documentId: "report" }, [passage("report", 1)], never), hasCode("bug"));
});
