/** The collection of pictures: its shape, and how it comes into being. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { visualDimensions } from "../../functions/ports/visual.ts";
import type { PictureSpaces } from "../../functions/ports/pictures.ts";
import { statusOf } from "./errors.ts";

/** What readers and writers name; see vault.ts. */
export const galleryAlias = "nika_multimodal";
const firstGeneration = `${galleryAlias}__g0001`;

export const visualName = "mm";
export const captionName = "caption";
export const wordsName = "bm25";

/** Of the embedders in force. */
export type GalleryEmbedders = PictureSpaces & { readonly captionDimensions: number };

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
  type: "keyword",
  ordinal: "integer",
  written_at: "integer",
} as const;
const schema = 1;

/**
 * Makes what is missing and tells whose vectors it holds. Every step may be repeated and raced: the alias comes last, so whoever sees
 * it sees a finished collection.
 */
export async function openGallery(client: QdrantClient, inForce: GalleryEmbedders): Promise<PictureSpaces> {
  const stored = (await findGallery(client)) ?? (await createGallery(client, inForce));
  const isSame = stored.visualId === inForce.visualId && stored.captionId === inForce.captionId;
  if (isSame || stored.captionDimensions !== inForce.captionDimensions) return stored;
  // An empty collection belongs to nobody yet, so it follows the embedders; one with pictures needs a migration.
  const { count } = await client.count(galleryAlias, { exact: true });
  if (count > 0) return stored;
  await client.updateCollection(galleryAlias, { metadata: metadataOf(inForce) });
  return inForce;
}

async function findGallery(client: QdrantClient): Promise<GalleryEmbedders | undefined> {
  try {
    const { config } = await client.getCollection(galleryAlias);
    const vectors = config.params.vectors as Record<string, { size: number }> | undefined;
    const id = (key: string): string => {
      const value = config.metadata?.[key];
      return typeof value === "string" ? value : "";
    };
    return {
      visualId: id("visual_id"),
      captionId: id("caption_id"),
      captionDimensions: vectors?.[captionName]?.size ?? 0,
    };
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function createGallery(client: QdrantClient, inForce: GalleryEmbedders): Promise<GalleryEmbedders> {
  try {
    await client.createCollection(firstGeneration, {
      vectors: {
        [visualName]: { size: visualDimensions, distance: "Cosine" },
        [captionName]: { size: inForce.captionDimensions, distance: "Cosine" },
      },
      sparse_vectors: { [wordsName]: { modifier: "idf" } },
      metadata: metadataOf(inForce),
    });
  } catch (error) {
    // Someone else made it a moment ago, or we did and were cut off.
    if (statusOf(error) !== 409) throw error;
  }
  for (const [field_name, field_schema] of Object.entries(payloadIndexes))
    await client.createPayloadIndex(firstGeneration, { field_name, field_schema, wait: true });
  await client.updateCollectionAliases({
    actions: [{ create_alias: { alias_name: galleryAlias, collection_name: firstGeneration } }],
  });
  return (await findGallery(client)) ?? inForce;
}

const metadataOf = ({ visualId, captionId }: GalleryEmbedders) => ({ visual_id: visualId, caption_id: captionId, schema });
