/** The collection of pictures: its shape, and how it comes into being. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { visualDimensions } from "../../functions/ports/visual.ts";
import type { PictureSpaces } from "../../functions/ports/pictures.ts";
import { findCollection, makeFirst } from "./generation.ts";

/** What readers and writers name; see vault.ts. */
export const galleryAlias = "nika_multimodal";

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

const findGallery = (client: QdrantClient): Promise<GalleryEmbedders | undefined> =>
  findCollection(client, galleryAlias, ({ params, metadata }) => {
    const vectors = params.vectors as Record<string, { size: number }> | undefined;
    const id = (key: string): string => {
      const value = metadata?.[key];
      return typeof value === "string" ? value : "";
    };
    return {
      visualId: id("visual_id"),
      captionId: id("caption_id"),
      captionDimensions: vectors?.[captionName]?.size ?? 0,
    };
  });

async function createGallery(client: QdrantClient, inForce: GalleryEmbedders): Promise<GalleryEmbedders> {
  const shape = {
    vectors: {
      [visualName]: { size: visualDimensions, distance: "Cosine" as const },
      [captionName]: { size: inForce.captionDimensions, distance: "Cosine" as const },
    },
    sparse_vectors: { [wordsName]: { modifier: "idf" as const } },
    metadata: metadataOf(inForce),
  };
  await makeFirst(client, { alias: galleryAlias, shape, indexes: payloadIndexes });
  return (await findGallery(client)) ?? inForce;
}

const metadataOf = ({ visualId, captionId }: GalleryEmbedders) => ({ visual_id: visualId, caption_id: captionId, schema });
