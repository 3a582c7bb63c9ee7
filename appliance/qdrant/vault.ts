/** The vault's collection: its shape, and how it comes into being. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { statusOf } from "./errors.ts";

/** What readers and writers name. An alias from day one, because a collection can never be renamed. */
export const vaultAlias = "nika_vault";
const firstGeneration = `${vaultAlias}__g0001`;

export const denseName = "text";
export const sparseName = "bm25";

/** Which embedder made the vectors that are stored. */
export type StoredEmbedder = { readonly id: string; readonly dimensions: number };

const payloadIndexes = {
  tenant_id: { type: "keyword", is_tenant: true },
  document_id: "keyword",
  language: "keyword",
  scope: "keyword",
  entity_type: "keyword",
  domain: "keyword",
  ordinal: "integer",
} as const;

/**
 * Makes what is missing and tells whose vectors the vault holds. Every step may be repeated and raced: the alias comes last, so
 * whoever sees it sees a finished collection.
 */
export async function openVault(client: QdrantClient, embedder: StoredEmbedder): Promise<StoredEmbedder> {
  const stored = (await findVault(client)) ?? (await createVault(client, embedder));
  if (stored.id === embedder.id && stored.dimensions === embedder.dimensions) return stored;
  return adoptWhenEmpty(client, stored, embedder);
}

async function findVault(client: QdrantClient): Promise<StoredEmbedder | undefined> {
  try {
    const { config } = await client.getCollection(vaultAlias);
    const vector = (config.params.vectors as Record<string, { size: number }> | undefined)?.[denseName];
    const id = config.metadata?.["embedder_id"];
    return { id: typeof id === "string" ? id : "", dimensions: vector?.size ?? 0 };
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function createVault(client: QdrantClient, embedder: StoredEmbedder): Promise<StoredEmbedder> {
  try {
    await client.createCollection(firstGeneration, {
      vectors: { [denseName]: { size: embedder.dimensions, distance: "Cosine" } },
      sparse_vectors: { [sparseName]: { modifier: "idf" } },
      metadata: { embedder_id: embedder.id, schema: 1 },
    });
  } catch (error) {
    // Someone else made it a moment ago, or we did and were cut off.
    if (statusOf(error) !== 409) throw error;
  }
  for (const [field_name, field_schema] of Object.entries(payloadIndexes)) {
    await client.createPayloadIndex(firstGeneration, { field_name, field_schema, wait: true });
  }
  await client.updateCollectionAliases({
    actions: [{ create_alias: { alias_name: vaultAlias, collection_name: firstGeneration } }],
  });
  return (await findVault(client)) ?? embedder;
}

/** An empty vault belongs to nobody yet, so it follows the embedder; one with passages needs a migration. */
async function adoptWhenEmpty(client: QdrantClient, stored: StoredEmbedder, embedder: StoredEmbedder): Promise<StoredEmbedder> {
  if (stored.dimensions !== embedder.dimensions) return stored;
  const { count } = await client.count(vaultAlias, { exact: true });
  if (count > 0) return stored;
  await client.updateCollection(vaultAlias, { metadata: { embedder_id: embedder.id } });
  return embedder;
}
