/** The embedders of the vault's spaces on a machine that works for it: a model that does not lie here is fetched from there, once. */
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import { findEmbedder, type ModelFiles } from "./model.ts";
import { hashOfFile, type ModelFile, type ModelListing } from "./shelf.ts";

export type FetchModelOptions = {
  /** Of the appliance, and what lets this machine in there. */
  readonly url: string;
  readonly secret: string;
  /** Where they are kept, each in a folder of models of its own. */
  readonly dir: string;
  readonly log: (line: string) => void;
};

const listMs = 60_000;
const fileMs = 15 * 60_000;
/** bge's graph has 33 MB, a model trained beside it at most four times as much. */
const fileBytesMax = 1024 ** 3;

/**
 * Files of the embedder with that id, which is what they make it: every file's hash and the id are checked. Fails with `unavailable` when it
 * cannot be had now. `keep` says which others stay on this disk.
 */
export async function fetchModel(
  embedderId: string,
  { url, secret, dir, log }: FetchModelOptions,
  keep: readonly string[],
): Promise<ModelFiles> {
  const home = join(dir, embedderId);
  const there = await findEmbedder(home, embedderId);
  if (there) return there;
  const headers = { authorization: `Bearer ${secret}` };
  const from = `${url}/nika/worker/models/${encodeURIComponent(embedderId)}`;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const coming = await mkdtemp(join(dir, ".coming-"));
  try {
    const { name, files } = await listed(from, headers);
    for (const file of files) await load(`${from}/${file.sha256}`, { headers, file, to: join(coming, name, file.path) });
    await rm(home, { recursive: true, force: true });
    // Of two that fetched it at once, both have the same.
    await rename(coming, home).catch((error: unknown) => (isThere(error) ? undefined : Promise.reject(error as Error)));
    const found = await findEmbedder(home, embedderId);
    if (!found) throw new NikaError("unavailable", `What the appliance sent as the model ${embedderId} is another one.`);
    log(`embedder: ${embedderId} was fetched from the appliance`);
    await prune(dir, [embedderId, ...keep]);
    return found;
  } catch (error) {
    if (error instanceof NikaError && error.code !== "missing") throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new NikaError("unavailable", `The model ${embedderId} could not be fetched from the appliance: ${why}`, {
      cause: error,
    });
  } finally {
    await rm(coming, { recursive: true, force: true });
  }
}

async function listed(from: string, headers: Record<string, string>): Promise<ModelListing> {
  const response = await fetch(from, { headers, signal: AbortSignal.timeout(listMs) });
  const body = (await response.json()) as Partial<ModelListing> & { readonly message?: string };
  const { name, files } = body;
  if (!response.ok || name === undefined || files === undefined)
    throw new Error(body.message ?? `it answered ${response.status}`);
  // Names are the appliance's, and this disk is ours.
  const isOurs = [name, ...files.map(({ path }) => path)].every((path) => /^(?:[\w-][\w.-]*\/)*[\w-][\w.-]*$/u.test(path));
  if (!isOurs || files.some(({ sizeBytes }) => !(sizeBytes <= fileBytesMax))) throw new Error("it lists no model");
  return { name, files };
}

type Load = { readonly headers: Record<string, string>; readonly file: ModelFile; readonly to: string };

async function load(from: string, { headers, file, to }: Load): Promise<void> {
  const response = await fetch(from, { headers, signal: AbortSignal.timeout(fileMs) });
  if (!response.ok || !response.body) throw new Error(`${file.path}: it answered ${response.status}`);
  await mkdir(dirname(to), { recursive: true });
  let sizeBytes = 0;
  const counted = async function* (pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      sizeBytes += piece.length;
      if (sizeBytes > file.sizeBytes) throw new Error(`${file.path} is larger than it was said to be`);
      yield piece;
    }
  };
  await pipeline(Readable.fromWeb(response.body as never), counted, createWriteStream(to, { mode: 0o600 }));
  if ((await hashOfFile(to)) !== file.sha256) throw new Error(`${file.path} is not what it was said to be`);
}

/** Models that no space is made by any more. */
async function prune(dir: string, kept: readonly string[]): Promise<void> {
  for (const name of await readdir(dir))
    if (!name.startsWith(".") && !kept.includes(name)) await rm(join(dir, name), { recursive: true, force: true });
}

const isThere = (error: unknown): boolean => ["EEXIST", "ENOTEMPTY"].includes((error as { code?: string }).code ?? "");
