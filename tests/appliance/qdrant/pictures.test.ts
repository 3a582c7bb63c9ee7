import assert from "node:assert/strict";
import { after, test } from "node:test";
import { qdrantPictures } from "../../../appliance/qdrant/pictures.ts";
import type { PictureVectors } from "../../../functions/ports/pictures.ts";
import { byLooks, byWords, picture, picturesContract } from "../../contracts/pictures.ts";
import { apiKey, openStore } from "../vectors/openStore.ts";

const tenantId = "owner";
const never = new AbortController().signal;
const store = await openStore();
after(() => store[Symbol.asyncDispose]());

const adapter = (visualId = "eye", captionId = "letters"): PictureVectors =>
  qdrantPictures({ url: store.url, apiKey, visualId, captionId, captionDimensions: 384 });

async function empty(): Promise<void> {
  const { aliases } = await store.client.getAliases();
  for (const { collection_name } of aliases) await store.client.deleteCollection(collection_name);
}

picturesContract("Qdrant's client on the embedded store", async () => {
  await empty();
  return adapter();
});

test("the collection is an alias with three ways to a picture, and says whose vectors it holds", async () => {
  await empty();
  await adapter().count({ tenantId });

  assert.deepEqual((await store.client.getAliases()).aliases, [
    { alias_name: "nika_multimodal", collection_name: "nika_multimodal__g0001" },
  ]);
  const { config } = await store.client.getCollection("nika_multimodal");
  assert.deepEqual(config.metadata, { visual_id: "eye", caption_id: "letters", schema: 1 });
  const vectors = config.params.vectors as Record<string, { size: number; distance: string }>;
  assert.deepEqual(
    Object.entries(vectors)
      .map(([name, { size, distance }]) => `${name} ${size} ${distance}`)
      .sort(),
    ["caption 384 Cosine", "mm 1408 Cosine"],
  );
  assert.deepEqual(Object.keys(config.params.sparse_vectors ?? {}), ["bm25"]);
});

test("under another visual embedder pictures are found by their words, and no vectors are mixed", async () => {
  await empty();
  await adapter("old eye").replace({ tenantId, documentId: "a" }, [picture("a", 0)], never);

  const vectors = adapter("new eye");
  assert.deepEqual(await vectors.spaces(), { visualId: "old eye", captionId: "letters" });
  await vectors.replace({ tenantId, documentId: "b" }, [picture("b", 0)], never);

  assert.deepEqual(await vectors.search({ tenantId, branches: byLooks(0), limit: 5 }, never), []);
  assert.equal((await vectors.search({ tenantId, branches: byWords(1), limit: 5 }, never)).length, 2);
  const { points } = await store.client.scroll("nika_multimodal", { with_vector: true, with_payload: true });
  const named = points.map(
    ({ payload, vector }) =>
      `${String(payload?.["document_id"])}: ${Object.keys(vector as object)
        .sort()
        .join(" ")}`,
  );
  assert.deepEqual(named.sort(), ["a: bm25 caption mm", "b: bm25 caption"]);
});

test("an empty collection follows the embedders in force, and one cut off at its making is finished", async () => {
  await empty();
  await store.client.createCollection("nika_multimodal__g0001", {
    vectors: { mm: { size: 1_408, distance: "Cosine" }, caption: { size: 384, distance: "Cosine" } },
    sparse_vectors: { bm25: { modifier: "idf" } },
    metadata: { visual_id: "old eye", caption_id: "letters", schema: 1 },
  });
  const users = [adapter("new eye"), adapter("new eye"), adapter("new eye")];
  await Promise.all(users.map((user, at) => user.replace({ tenantId, documentId: `d${at}` }, [picture(`d${at}`, 0)], never)));

  assert.deepEqual(await adapter("new eye").spaces(), { visualId: "new eye", captionId: "letters" });
  assert.equal((await adapter("new eye").search({ tenantId, branches: byLooks(0), limit: 5 }, never)).length, 3);
});

test("a store that is not there is unavailable", async () => {
  const nowhere = qdrantPictures({ url: "http://127.0.0.1:1", apiKey, visualId: "e", captionId: "l", captionDimensions: 384 });
  await assert.rejects(nowhere.count({ tenantId }), { code: "unavailable" });
});
