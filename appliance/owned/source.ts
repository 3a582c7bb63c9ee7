/** What lies in the folder of functions: DATA/functions/NAME/ with its files, or DATA/functions/NAME.ts alone. */
import { createHash } from "node:crypto";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import { toFunctionName, toManifest, type Manifest } from "../../convex/model/userFunction.ts";

/** One function as it lies there. */
export type Source = {
  readonly name: string;
  /** Of all its bytes, names included. */
  readonly version: string;
  /** By path, with slashes. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** What it may have; a NikaError when that cannot be told. */
  readonly manifest: Manifest | NikaError;
};

/** Enough for a function with the few packages it was written with; what is larger is a program. */
const filesMax = 2_000;
const bytesMax = 20 * 1024 * 1024;
const manifestFile = "function.json";
const single = /^(.+)\.(?:ts|mts|js|mjs|py)$/u;
const versionChars = 20;

/** Names of what lies in the folder, good names and bad; hidden entries are nobody's. */
export async function listSources(dir: string): Promise<{ readonly name: string; readonly path: string }[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const found = new Map<string, string>();
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith(".")) continue;
    const name = entry.isDirectory() ? entry.name : entry.isFile() ? single.exec(entry.name)?.[1] : undefined;
    // A folder wins over a file of its name.
    if (name !== undefined && (entry.isDirectory() || !found.has(name))) found.set(name, join(dir, entry.name));
  }
  return Array.from(found, ([name, path]) => ({ name, path }));
}

/** Reads one, a folder or a single file. Fails with `missing`, and with `invalid` where its name or its size is no good. */
export async function readSource(path: string, name: string): Promise<Source> {
  toFunctionName(name);
  const about = await lstat(path).catch((cause: unknown) => {
    throw new NikaError("missing", `There is nothing at ${path}.`, { cause });
  });
  const files = new Map<string, Buffer>();
  let sizeBytes = 0;
  const add = async (from: string, as: string): Promise<void> => {
    const bytes = await readFile(from);
    sizeBytes += bytes.length;
    if (files.size >= filesMax || sizeBytes > bytesMax)
      throw new NikaError("invalid", `The function ${name} is larger than ${filesMax} files or ${bytesMax / 1024 / 1024} MB.`);
    files.set(as, bytes);
  };
  const walk = async (folder: string, prefix: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".") || entry.name === "__pycache__") continue;
      const from = join(folder, entry.name);
      if (entry.isDirectory()) await walk(from, `${prefix}${entry.name}/`);
      else if (entry.isFile()) await add(from, `${prefix}${entry.name}`);
      // A link could lead to any file of the machine, and would put it into the sandbox.
      else throw new NikaError("invalid", `The function ${name} holds ${prefix}${entry.name}, which is a link or no plain file.`);
    }
  };
  if (about.isDirectory()) await walk(path, "");
  else if (about.isFile()) await add(path, path.endsWith(".py") ? "main.py" : `index${/\.[a-z]+$/u.exec(path)?.[0] ?? ".ts"}`);
  else throw new NikaError("invalid", `${path} is a link or no plain file.`);
  return { name, version: hashOf(files), files, manifest: manifestOf(name, files) };
}

function manifestOf(name: string, files: ReadonlyMap<string, Buffer>): Manifest | NikaError {
  try {
    const text = files.get(manifestFile)?.toString("utf8");
    return toManifest(name, text === undefined ? {} : parse(text), [...files.keys()]);
  } catch (error) {
    if (isNikaError(error)) return error;
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new NikaError("invalid", `The function cannot be read: ${manifestFile} is no JSON (${(error as Error).message}).`);
  }
}

function hashOf(files: ReadonlyMap<string, Buffer>): string {
  const hash = createHash("sha256");
  for (const [path, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  return hash.digest("hex").slice(0, versionChars);
}
