/** The vault's collection: its shape, and how it comes into being. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { addIndexes, findCollection, makeCollection, makeFirst } from "./generation.ts";

/** What readers and writers name. An alias from day one, because a collection can never be renamed. */
export const vaultAlias = "nika_vault";

export const denseName = "text";
export const sparseName = "bm25";

/** Which embedder made the vectors that are stored. */
export type StoredEmbedder = { readonly id: string; readonly dimensions: number };
type Stored = StoredEmbedder & { readonly schema: number };

const payloadIndexes = {
  tenant_id: { type: "keyword", is_tenant: true },
  held: "keyword",
  document_id: "keyword",
  language: "keyword",
  scope: "keyword",
  entity_type: "keyword",
  domain: "keyword",
  format: "keyword",
  kind: "keyword",
  names: "keyword",
  folders: "keyword",
  sha256: "keyword",
  ordinal: "integer",
  written_at: "integer",
  // Words in order, so that what stands in quotation marks is found as it stands.
  text: { type: "text", tokenizer: "word", lowercase: true, ascii_folding: true, phrase_matching: true },
} as const;
const schema = 2;

/**
 * Makes what is missing and tells whose vectors the vault holds. Every step may be repeated and raced: the alias comes last, so
 * whoever sees it sees a finished collection.
 */
export async function openVault(client: QdrantClient, embedder: StoredEmbedder): Promise<StoredEmbedder> {
  const stored = (await findVault(client)) ?? (await createVault(client, embedder));
  if (stored.schema < schema) await bringUpToDate(client);
  if (stored.id === embedder.id && stored.dimensions === embedder.dimensions) return stored;
  return adoptWhenEmpty(client, stored, embedder);
}

const findVault = (client: QdrantClient): Promise<Stored | undefined> =>
  findCollection(client, vaultAlias, ({ params, metadata }) => {
    const vector = (params.vectors as Record<string, { size: number }> | undefined)?.[denseName];
    const id = metadata?.["embedder_id"];
    const version = metadata?.["schema"];
    return {
      id: typeof id === "string" ? id : "",
      dimensions: vector?.size ?? 0,
      schema: typeof version === "number" ? version : 1,
    };
  });

async function createVault(client: QdrantClient, embedder: StoredEmbedder): Promise<Stored> {
  await makeFirst(client, { alias: vaultAlias, shape: shapeFor(embedder), indexes: payloadIndexes });
  return (await findVault(client)) ?? { ...embedder, schema };
}

/** An empty collection beside the vault's, for another embedder. One that is there is left as it is. */
export const makeSpace = (client: QdrantClient, collection: string, embedder: StoredEmbedder): Promise<void> =>
  makeCollection(client, collection, { shape: shapeFor(embedder), indexes: payloadIndexes });

const shapeFor = ({ id, dimensions }: StoredEmbedder) => ({
  vectors: { [denseName]: { size: dimensions, distance: "Cosine" as const } },
  sparse_vectors: { [sparseName]: { modifier: "idf" as const } },
  metadata: { embedder_id: id, schema },
});

/** A vault from before has fewer indexes, and passages from before there was such a thing as being held. */
async function bringUpToDate(client: QdrantClient): Promise<void> {
  await addIndexes(client, vaultAlias, payloadIndexes);
  const filter = { must: [{ is_empty: { key: "held" } }] };
  await client.setPayload(vaultAlias, { wait: true, payload: { held: "" }, filter });
  await client.updateCollection(vaultAlias, { metadata: { schema } });
}

/** An empty vault belongs to nobody yet, so it follows the embedder; one with passages needs a migration. */
async function adoptWhenEmpty(client: QdrantClient, stored: Stored, embedder: StoredEmbedder): Promise<StoredEmbedder> {
  if (stored.dimensions !== embedder.dimensions) return stored;
  const { count } = await client.count(vaultAlias, { exact: true });
  if (count > 0) return stored;
  await client.updateCollection(vaultAlias, { metadata: { embedder_id: embedder.id } });
  return embedder;
}
