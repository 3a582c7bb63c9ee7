/**
 * Collections as files: one SQLite file each, whole and checked, beside a file with its SHA-256. They are made here and read here; a Qdrant
 * server's snapshots hold its own segments and cannot be read, nor can it read these.
 */
import { createHash, randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { badRequest, notFound, Refusal } from "./refusal.ts";

export type Described = {
  readonly name: string;
  /** UTC, to the second, as Qdrant writes it: without a zone. */
  readonly creation_time: string;
  readonly size: number;
  readonly checksum: string;
};

const ending = ".snapshot";
const sumEnding = ".checksum";

export class Snapshots {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = join(dir, "snapshots");
    // What was being written when the process ended is nothing.
    rmSync(this.#incoming, { recursive: true, force: true });
  }

  get #incoming(): string {
    return join(this.#dir, ".incoming");
  }

  /** A path that nobody uses, gone at the next start. */
  temporary(): string {
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
    return join(this.#incoming, randomUUID());
  }

  /** Has `write` fill a file, and keeps it under a name of its own. `collection` is undefined for the whole store. */
  create(collection: string | undefined, write: (path: string) => void): Described {
    const path = this.temporary();
    try {
      write(path);
      const folder = this.#folder(collection);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const name = freeName(folder, collection ?? "full-snapshot");
      writeFileSync(join(folder, name + sumEnding), sha256(path), { mode: 0o600, flush: true });
      flush(path);
      renameSync(path, join(folder, name));
      flush(folder);
      return describe(folder, name);
    } finally {
      rmSync(path, { force: true });
    }
  }

  list(collection: string | undefined): Described[] {
    const folder = this.#folder(collection);
    return entries(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => describe(folder, name));
  }

  /** Fails with 404 for a name that was not given out. */
  path(collection: string | undefined, name: string): string {
    const folder = this.#folder(collection);
    if (!name.endsWith(ending) || !entries(folder).includes(name)) throw notFound(`Snapshot ${name} not found`);
    return join(folder, name);
  }

  delete(collection: string | undefined, name: string): void {
    const path = this.path(collection, name);
    rmSync(path);
    rmSync(path + sumEnding, { force: true });
  }

  /** A `file://` location, which must lead into the folder of snapshots. */
  local(location: string): string {
    let path: string;
    try {
      path = realpathSync(fileURLToPath(location));
    } catch {
      throw badRequest(`Snapshot file ${location} does not exist`);
    }
    if (!path.startsWith(realpathSync(this.#dir) + sep))
      throw new Refusal(403, "Forbidden: snapshots are read only from the snapshots folder");
    return path;
  }

  #folder(collection: string | undefined): string {
    // Names may hold dots; folders must not be `.` or `..`.
    return collection === undefined
      ? join(this.#dir, ".full")
      : join(this.#dir, encodeURIComponent(collection).replace(/^\./, "%2E"));
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function freeName(folder: string, of: string): string {
  const at = new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-");
  const taken = entries(folder);
  // Long names are cut: a file's name ends at 255 bytes.
  const stem = `${Buffer.from(of)
    .subarray(0, 180)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")}-${at}`;
  for (let i = 0; ; i++) {
    const name = i === 0 ? stem + ending : `${stem}-${i}${ending}`;
    if (!taken.includes(name)) return name;
  }
}

function describe(folder: string, name: string): Described {
  const path = join(folder, name);
  const { size, mtime } = statSync(path);
  let checksum: string;
  try {
    checksum = readFileSync(path + sumEnding, "utf8");
  } catch {
    checksum = sha256(path);
  }
  return { name, creation_time: mtime.toISOString().slice(0, 19), size, checksum };
}

function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

const chunkBytes = 1 << 20;

/** In hexadecimal; in pieces, since snapshots are as large as collections. */
export function sha256(path: string): string {
  const hash = createHash("sha256");
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(chunkBytes);
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) hash.update(chunk.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}
