/** Which collections the vault is at a moment: the one that is searched, and the one beside it that is written along. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { NikaError } from "../../convex/model/error.ts";
import type { Space, Spaces as SpacesRecord } from "../../convex/model/generation.ts";
import { fusionDefault } from "../../convex/model/model.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { Generation } from "../../functions/ports/vectors.ts";
import { statusOf } from "./errors.ts";
import { pointAlias, targetOf } from "./generation.ts";
import { openVault, vaultAlias, type StoredEmbedder } from "./vault.ts";

/** The record of generations, as it is read from the control plane. Who may only read it makes no vault and decides nothing about one. */
export type FollowedRecord = {
  read(): Promise<SpacesRecord>;
  /** Calls back when something may have changed. */
  watch(changed: () => void): void;
  /** The embedder of that id, opened; undefined when it is not on this machine. */
  embedder(id: string): Promise<Embedder | undefined>;
};

/** The same for whom the vault belongs to. */
export type GenerationRecord = FollowedRecord & {
  /** What was found at the store comes in force, instead of `replaces`. Gives what is in force then. */
  adopt(found: {
    readonly collection: string;
    readonly embedderId: string;
    readonly dimensions: number;
    readonly replaces: Space["generationId"] | null;
  }): Promise<Space>;
  /** The space beside cannot be written any more. */
  lose(space: Space, problem: string): Promise<void>;
};

export type InUse = Generation & { readonly embedderId: string; readonly dimensions: number };
export type Book = {
  readonly live: InUse;
  readonly beside?: InUse & Space;
};

/**
 * Opens the vault without a record: the collection that its alias stands for now. By that name it is written, too: should the alias move,
 * nothing of one embedder gets among what another one made.
 */
export async function openAlone(client: QdrantClient, embedder: StoredEmbedder): Promise<Book> {
  const { id, dimensions } = await openVault(client, embedder);
  const collection = (await targetOf(client, vaultAlias)) ?? vaultAlias;
  return { live: { collection, embedderId: id, dimensions, fusion: fusionDefault } };
}

/**
 * Opens the vault that the record tells of. What the store really holds goes before it: a store that was changed for another one has a
 * vault of its own, which is taken on as it is.
 */
export async function openRecorded(client: QdrantClient, embedder: StoredEmbedder, record: GenerationRecord): Promise<Book> {
  const known = await record.read();
  const { live, beside } = known;
  const isThere = live !== null && (await exists(client, live.collection));
  // Cut off between the record and the alias, or moved by hand: the record decides.
  if (isThere && (await targetOf(client, vaultAlias)) !== live.collection) await pointAlias(client, vaultAlias, live.collection);
  const own = isThere && beside ? { id: live.embedderId, dimensions: live.dimensions } : embedder;
  const stored = await openVault(client, own);
  if (!isThere || stored.id !== live.embedderId || stored.dimensions !== live.dimensions) {
    const collection = (await targetOf(client, vaultAlias)) ?? vaultAlias;
    const replaces = live?.generationId ?? null;
    await record.adopt({ collection, embedderId: stored.id, dimensions: stored.dimensions, replaces });
  }
  if (beside && !(await exists(client, beside.collection))) await record.lose(beside, "Its vectors were no longer in the store.");
  return readBook(record);
}

export async function readBook(record: FollowedRecord): Promise<Book> {
  const { live, beside } = await record.read();
  if (!live) throw new NikaError("unavailable", "The vault was not opened yet.");
  return { live, ...(beside && { beside }) };
}

async function exists(client: QdrantClient, collection: string): Promise<boolean> {
  try {
    await client.getCollection(collection);
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}
