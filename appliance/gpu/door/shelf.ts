/**
 * The files of work that is sent out: parcels that are shipped, and for each job its checkpoints and what comes back. A file is known by its
 * hash, and counts only once all of its bytes are there and give that hash.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat, statfs, utimes, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Shipped } from "../../../convex/model/agent.ts";
import { NikaError } from "../../../convex/model/error.ts";

export type Checkpoint = { readonly number: number; readonly files: readonly Shipped[] };
/** What is shipped, named by a hash of all that is in it: the same folder packed twice is there once. */
export type Parcel = { readonly name: string; readonly files: readonly Shipped[]; readonly sizeBytes: number };

export type Shelf = {
  /** Copies a folder, so that what is sent does not change under way. Links are left out, and `.git`. Fails with `full` when it is too large. */
  pack(folder: string): Promise<Parcel>;
  /** Fails with `missing` when it was cleared away. */
  parcel(name: string): Promise<Parcel>;
  /** Of a parcel, or handed over whole for a job; undefined for anything else. */
  find(of: { readonly jobId: string; readonly parcel?: string | undefined }, sha256: string): string | undefined;
  /**
   * Takes in the next bytes; tells how many there are now. What begins elsewhere changes nothing. Fails with `unreadable` when the whole
   * does not give the hash, and forgets it.
   */
  take(jobId: string, piece: Piece): Promise<{ readonly next: number; readonly isNext: boolean }>;
  checkpoint(jobId: string, checkpoint: Checkpoint): Promise<void>;
  /** The last two, newest first. */
  checkpoints(jobId: string): Promise<readonly Checkpoint[]>;
  /** Lays out the results in a folder, instead of others that may be there. Fails with `missing` when a file of the list was not handed over. */
  finish(jobId: string, files: readonly Shipped[]): Promise<string>;
  /** Where the results are, once they are whole. */
  results(jobId: string): string | undefined;
  /** Takes away what was not touched for that long. */
  prune(olderMs: number): Promise<void>;
};

type Piece = { readonly sha256: string; readonly sizeBytes: number; readonly offset: number; readonly bytes: Readable };

export type ShelfOptions = { readonly dir: string; readonly bytesMax?: number };

const filesMax = 20_000;
const keepFreeBytes = 1 << 30;
const hashes = /^[0-9a-f]{64}$/;
const ids = /^[a-zA-Z0-9]{1,64}$/;

export function openShelf({ dir, bytesMax = 50e9 }: ShelfOptions): Shelf {
  const at = (shelf: "jobs" | "parcels", name: string, ...more: string[]): string => {
    if (!ids.test(name)) throw new NikaError("invalid", `"${name}" names nothing here.`);
    return join(dir, shelf, name, ...more);
  };
  const blob = (jobId: string, sha256: string): string => {
    if (!hashes.test(sha256)) throw new NikaError("invalid", "That is not a SHA-256.");
    return at("jobs", jobId, "blobs", sha256);
  };
  const readJson = async <T>(file: string): Promise<T | undefined> =>
    JSON.parse(await readFile(file, "utf8").catch(() => "null")) ?? undefined;
  const writeJson = async (file: string, value: unknown): Promise<void> => {
    await writeFile(`${file}.tmp`, JSON.stringify(value), { mode: 0o600 });
    await rename(`${file}.tmp`, file);
  };
  const mustBeWhole = (jobId: string, files: readonly Shipped[]): void => {
    const lacking = files.find(({ sha256 }) => !existsSync(blob(jobId, sha256)));
    if (lacking) throw new NikaError("missing", `${lacking.path} was named and never handed over.`);
  };

  /** One writer at a time for each file: pieces of it that cross are put in order or refused. */
  const writing = new Map<string, Promise<unknown>>();
  const alone = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const before = writing.get(name) ?? Promise.resolve();
    const mine = before.then(run, run);
    writing.set(name, mine);
    try {
      return await mine;
    } finally {
      if (writing.get(name) === mine) writing.delete(name);
    }
  };

  return {
    async pack(folder) {
      const making = join(dir, "parcels", `.${randomUUID()}`);
      await mkdir(making, { recursive: true, mode: 0o700 });
      try {
        const files: Shipped[] = [];
        let sizeBytes = 0;
        for (const path of await plainFiles(folder)) {
          const from = join(folder, path);
          const { size, mode } = await stat(from);
          sizeBytes += size;
          if (sizeBytes > bytesMax || files.length >= filesMax)
            throw new NikaError(
              "full",
              `${folder} is too large to be sent: more than ${bytesMax / 1e9} GB or ${filesMax} files.`,
            );
          await copyFile(from, join(making, "part"));
          const sha256 = await hashOf(join(making, "part"));
          await rename(join(making, "part"), join(making, sha256));
          const sent = (await stat(join(making, sha256))).size;
          files.push({ path, sha256, sizeBytes: sent, ...((mode & 0o100) !== 0 && { isProgram: true }) });
        }
        const name = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 32);
        const parcel: Parcel = { name, files, sizeBytes };
        await writeJson(join(making, "parcel.json"), parcel);
        if (!existsSync(at("parcels", name, "parcel.json"))) await rename(making, at("parcels", name));
        const now = new Date();
        await utimes(at("parcels", name), now, now);
        return parcel;
      } finally {
        await rm(making, { recursive: true, force: true });
      }
    },

    async parcel(name) {
      const found = await readJson<Parcel>(at("parcels", name, "parcel.json"));
      if (!found) throw new NikaError("missing", "What this job was to run is not on this machine any more.");
      return found;
    },

    find({ jobId, parcel }, sha256) {
      const places = [blob(jobId, sha256), ...(parcel === undefined ? [] : [at("parcels", parcel, sha256)])];
      return places.find((file) => existsSync(file));
    },

    take: (jobId, { sha256, sizeBytes, offset, bytes }) =>
      alone(`${jobId}/${sha256}`, async () => {
        const to = blob(jobId, sha256);
        if (existsSync(to)) {
          bytes.resume();
          return { next: sizeBytes, isNext: true };
        }
        const part = at("jobs", jobId, "parts", sha256);
        await mkdir(dirname(part), { recursive: true, mode: 0o700 });
        const have = (await stat(part).catch(() => undefined))?.size ?? 0;
        if (offset !== have) {
          bytes.resume();
          return { next: have, isNext: false };
        }
        const { bavail, bsize } = await statfs(dir);
        if (!(sizeBytes <= bytesMax) || bavail * bsize - sizeBytes + have < keepFreeBytes) {
          bytes.resume();
          throw new NikaError("full", "There is no room here for what the machine sends.");
        }
        await pipeline(bytes, createWriteStream(part, { flags: "a" }));
        const next = (await stat(part)).size;
        if (next < sizeBytes) return { next, isNext: true };
        if (next > sizeBytes || (await hashOf(part)) !== sha256) {
          await rm(part);
          throw new NikaError("unreadable", "What arrived does not give its hash; send it again.");
        }
        await mkdir(dirname(to), { recursive: true, mode: 0o700 });
        await synced(part);
        await rename(part, to);
        return { next, isNext: true };
      }),

    async checkpoint(jobId, checkpoint) {
      mustBeWhole(jobId, checkpoint.files);
      const file = at("jobs", jobId, "checkpoints.json");
      const before = (await readJson<Checkpoint[]>(file)) ?? [];
      const kept = [checkpoint, ...before.filter(({ number }) => number !== checkpoint.number)]
        .toSorted((one, other) => other.number - one.number)
        .slice(0, 2);
      await writeJson(file, kept);
      const used = new Set(kept.flatMap(({ files }) => files).map(({ sha256 }) => sha256));
      for (const { files } of before)
        for (const { sha256 } of files) if (!used.has(sha256)) await rm(blob(jobId, sha256), { force: true });
    },

    checkpoints: async (jobId) => (await readJson<Checkpoint[]>(at("jobs", jobId, "checkpoints.json"))) ?? [],

    async finish(jobId, files) {
      mustBeWhole(jobId, files);
      const out = at("jobs", jobId, "out");
      const list = at("jobs", jobId, "results.json");
      // Of a machine that was given up meanwhile: what counts is what came last from one that is meant.
      const isSame = existsSync(out) && JSON.stringify(await readJson(list)) === JSON.stringify(files);
      if (isSame) return out;
      const making = at("jobs", jobId, "out.part");
      await rm(making, { recursive: true, force: true });
      await mkdir(making, { recursive: true, mode: 0o700 });
      for (const { path, sha256 } of files) {
        const to = resolve(making, path);
        if (!to.startsWith(making + sep)) throw new NikaError("invalid", `"${path}" leads out of the results.`);
        await mkdir(dirname(to), { recursive: true });
        await link(blob(jobId, sha256), to).catch(() => copyFile(blob(jobId, sha256), to));
      }
      await rm(out, { recursive: true, force: true });
      await writeJson(list, files);
      await rename(making, out);
      return out;
    },

    results: (jobId) => (existsSync(at("jobs", jobId, "out")) ? at("jobs", jobId, "out") : undefined),

    async prune(olderMs) {
      for (const shelf of ["jobs", "parcels"])
        for (const name of await readdir(join(dir, shelf)).catch((): string[] => [])) {
          const folder = join(dir, shelf, name);
          if ((await stat(folder)).mtimeMs < Date.now() - olderMs) await rm(folder, { recursive: true, force: true });
        }
    },
  };
}

async function plainFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  const look = async (path: string): Promise<void> => {
    for (const entry of await readdir(join(folder, path), { withFileTypes: true })) {
      const inner = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== ".git") await look(inner);
      } else if (entry.isFile()) found.push(inner);
    }
  };
  await look("").catch((cause: unknown) => {
    throw new NikaError("missing", `${folder} cannot be read.`, { cause });
  });
  return found.toSorted();
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

async function synced(file: string): Promise<void> {
  const handle = await open(file, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
