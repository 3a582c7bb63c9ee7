/** How a collection comes into being. */
import type { QdrantClient, Schemas } from "@qdrant/js-client-rest";
import { statusOf } from "./errors.ts";

type PayloadIndexes = Readonly<Record<string, Schemas["PayloadFieldSchema"]>>;

type Generation = {
  readonly alias: string;
  readonly shape: Schemas["CreateCollection"];
  readonly indexes: PayloadIndexes;
};

/**
 * What a server may have been set to for all its collections, and ours must not have: a strict mode refuses filters by fields without an
 * index, and points that wait to be indexed would be missing from counts and comparisons after they were acknowledged.
 */
export const ours = {
  strict_mode_config: { enabled: false },
  optimizers_config: { prevent_unoptimized: false },
} as const;

/** A collection cannot be renamed, so from day one it is known by an alias. */
const firstOf = (alias: string): string => `${alias}__g0001`;

/**
 * Makes the first generation of a collection. Every step may be repeated and raced: the alias comes last, so whoever sees it sees a
 * finished collection.
 */
export async function makeFirst(client: QdrantClient, { alias, shape, indexes }: Generation): Promise<void> {
  const collection = firstOf(alias);
  await makeCollection(client, collection, { shape, indexes });
  await pointAlias(client, alias, collection);
}

/** One that is there is left as it is. */
export async function makeCollection(
  client: QdrantClient,
  collection: string,
  { shape, indexes }: Pick<Generation, "shape" | "indexes">,
): Promise<void> {
  try {
    await client.createCollection(collection, { ...ours, ...shape });
  } catch (error) {
    // Someone else made it a moment ago, or we did and were cut off.
    if (statusOf(error) !== 409) throw error;
  }
  await addIndexes(client, collection, indexes);
}

/** One action: an alias that is there is moved, and no reader sees it missing. */
export async function pointAlias(client: QdrantClient, alias: string, collection: string): Promise<void> {
  await client.updateCollectionAliases({ actions: [{ create_alias: { alias_name: alias, collection_name: collection } }] });
}

/** The collection that an alias stands for. */
export async function targetOf(client: QdrantClient, alias: string): Promise<string | undefined> {
  const { aliases } = await client.getAliases();
  return aliases.find(({ alias_name }) => alias_name === alias)?.collection_name;
}

/** Making an index that is there already changes nothing. */
export async function addIndexes(client: QdrantClient, collection: string, indexes: PayloadIndexes): Promise<void> {
  for (const [field_name, field_schema] of Object.entries(indexes))
    await client.createPayloadIndex(collection, { field_name, field_schema, wait: true });
}

/** What `read` makes of a collection; undefined when there is none. */
export async function findCollection<T>(
  client: QdrantClient,
  alias: string,
  read: (config: Schemas["CollectionConfig"]) => T,
): Promise<T | undefined> {
  try {
    const { config } = await client.getCollection(alias);
    return read(config);
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
