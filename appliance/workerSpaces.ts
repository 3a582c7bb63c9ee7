/**
 * The vault's spaces as a worker on another machine follows them: it reads the record and decides nothing, writes to every space there is, each
 * with the model that made it, and knows before each document whether there is another one than a moment ago.
 */
import { join } from "node:path";
import { internal } from "../convex/_generated/api.js";
import { NikaError } from "../convex/model/error.ts";
import type { Embedder, Embedders } from "../functions/ports/embedder.ts";
import type { State } from "../functions/ports/state.ts";
import type { Vectors } from "../functions/ports/vectors.ts";
import { openEmbedders } from "./embedder/embedders.ts";
import { fetchModel } from "./embedder/fetched.ts";
import type { FollowedRecord } from "./qdrant/book.ts";
import type { QdrantVectors } from "./qdrant/vectors.ts";

export type FollowOptions = {
  readonly state: State;
  readonly modelsDir: string;
  /** Of the appliance itself: it stays open. */
  readonly embedderId: string;
  readonly url: string;
  readonly secret: string;
  readonly log: (line: string) => void;
};

export type FollowedSpaces = {
  readonly record: FollowedRecord;
  /** Fails with `unavailable` when it cannot be had: whether a space is given up is for the appliance to say. */
  embedder(id: string): Promise<Embedder>;
  readonly embedders: Embedders;
  close(): Promise<void>;
};

/** Fetched models lie beside those of the machine's own. */
const fetchedDir = "joined";

export function followSpaces({ state, modelsDir, embedderId: ownId, url, secret, log }: FollowOptions): FollowedSpaces {
  const dir = join(modelsDir, fetchedDir);
  let needed: readonly string[] = [ownId];
  const embedders = openEmbedders({
    modelsDir,
    elsewhere: (id) => fetchModel(id, { url, secret, dir, log }, needed),
    log,
  });
  const embedder = async (id: string): Promise<Embedder> => {
    const found = await embedders.of(id);
    if (!found) throw new NikaError("unavailable", `The model ${id} cannot be had on this machine.`);
    return found;
  };
  const listeners = new Set<() => void>();
  const unwatch = state.watch(
    internal.generations.spaces,
    {},
    ({ live, beside }) => {
      needed = [ownId, ...[live, beside].flatMap((space) => space?.embedderId ?? [])];
      embedders.keep(needed);
      for (const changed of listeners) changed();
    },
    (error) => log(`vectors: which are in force is not heard of: ${error.message}`),
  );
  return {
    record: {
      read: () => state.query(internal.generations.spaces, {}),
      watch: (changed) => void listeners.add(changed),
      embedder,
    },
    embedder,
    embedders: { of: embedder },
    close: async () => {
      unwatch();
      await embedders.close();
    },
  };
}

/** Which spaces there are is asked anew when a document is begun: a job that was claimed after a change never writes as before it. */
export const followingVault = ({ spaces, ...vectors }: QdrantVectors): Vectors => ({
  ...vectors,
  generation: async () => {
    await spaces.refresh();
    return vectors.generation();
  },
  remove: async (document) => {
    await spaces.refresh();
    await vectors.remove(document);
  },
});
