/**
 * How a model that is in use here reaches the workers of other machines: what its folder holds, by hash, and the bytes. Only what the vault's
 * spaces are made by is given out.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import { findEmbedder, pathsOf } from "./model.ts";

export type ModelFile = { readonly path: string; readonly sizeBytes: number; readonly sha256: string };
/** A model folder: its name below the folder of models, and what lies in it. */
export type ModelListing = { readonly name: string; readonly files: readonly ModelFile[] };

export type ModelShelf = {
  /** Fails with `missing` when it is not in use, or not on this machine. */
  list(embedderId: string): Promise<ModelListing>;
  /** Where the file with that hash lies, when it is one of the listed. */
  find(embedderId: string, sha256: string): Promise<ModelFile & { readonly file: string }>;
};

export type ShelfOptions = {
  readonly modelsDir: string;
  /** The embedders that workers need now. */
  readonly inUse: () => Promise<readonly string[]>;
};

const missing = (): NikaError => new NikaError("missing", "This model is not in use here, or its files are gone.");

export function openModelShelf({ modelsDir, inUse }: ShelfOptions): ModelShelf {
  /** Of those in use, which never change under their id. */
  const known = new Map<string, ModelListing>();
  const list = async (embedderId: string): Promise<ModelListing> => {
    const used = await inUse();
    for (const id of known.keys()) if (!used.includes(id)) known.delete(id);
    if (!used.includes(embedderId)) throw missing();
    const listed = known.get(embedderId);
    if (listed) return listed;
    const model = await findEmbedder(modelsDir, embedderId);
    if (!model) throw missing();
    const files: ModelFile[] = [];
    for (const path of pathsOf(model)) {
      const file = join(modelsDir, model.name, path);
      files.push({ path, sizeBytes: (await stat(file)).size, sha256: await hashOfFile(file) });
    }
    const listing = { name: model.name, files };
    known.set(embedderId, listing);
    return listing;
  };
  return {
    list,
    async find(embedderId, sha256) {
      const { name, files } = await list(embedderId);
      const found = files.find((file) => file.sha256 === sha256);
      if (!found) throw missing();
      return { ...found, file: join(modelsDir, name, found.path) };
    },
  };
}

export async function hashOfFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
