/**
 * The files of work that is sent out, in a folder for each: what is shipped, what comes back, its log and its checkpoints. A file is known by its
 * hash and counts only once all of its bytes are there and give that hash.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import {
  appendFile,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Shipped } from "../../../convex/model/agent.ts";
import { NikaError } from "../../../convex/model/error.ts";

/** What is to be run, as it was handed in. */
export type Sent = {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly image?: string;
  readonly files: readonly Shipped[];
  readonly graceMs: number;
  readonly runMs: number;
};
export type Checkpoint = { readonly number: number; readonly files: readonly Shipped[] };

export type Shelf = {
  /** Packs a folder. Links and what is no plain file are left out, and `.git` with everything in it. Fails with `full` when it is too large. */
  pack(jobId: string, folder: string, sent: Omit<Sent, "files">): Promise<Sent>;
  sent(jobId: string): Promise<Sent>;
  /** Of what was packed or handed over whole; undefined for anything else. */
  find(jobId: string, sha256: string): { readonly file: string } | undefined;
  /** Takes in the next bytes; tells how many there are now. What begins elsewhere changes nothing. Fails with `unreadable` when the whole does not give the hash, and forgets it. */
  take(
    jobId: string,
    piece: { sha256: string; sizeBytes: number; offset: number; bytes: Readable },
  ): Promise<{ next: number; isNext: boolean }>;
  /** Of the log of an attempt. */
  log(jobId: string, piece: { epoch: number; offset: number; bytes: Buffer }): Promise<{ next: number; isNext: boolean }>;
  /** All attempts' output, one after the other, from a byte on. */
  read(jobId: string, from: number, bytesMax: number): Promise<{ bytes: Buffer; next: number; size: number }>;
  checkpoint(jobId: string, checkpoint: Checkpoint): Promise<void>;
  /** The last two, newest first. */
  checkpoints(jobId: string): Promise<readonly Checkpoint[]>;
  /** Lays out the results in a folder. Fails with `missing` when a file of the list was not handed over. */
  finish(jobId: string, files: readonly Shipped[]): Promise<string>;
  /** Where the results are, once they are whole. */
  results(jobId: string): string | undefined;
  remove(jobId: string): Promise<void>;
};

export type ShelfOptions = { readonly dir: string; readonly bytesMax?: number };

const filesMax = 20_000;
const keepFreeBytes = 1 << 30;
const hashes = /^[0-9a-f]{64}$/;
const ids = /^[a-zA-Z0-9]{1,64}$/;

export function openShelf({ dir, bytesMax = 50e9 }: ShelfOptions): Shelf {
  const at = (jobId: string, ...more: string[]): string => {
    if (!ids.test(jobId)) throw new NikaError("invalid", `"${jobId}" is no job.`);
    return join(dir, jobId, ...more);
  };
  const blob = (jobId: string, sha256: string): string => {
    if (!hashes.test(sha256)) throw new NikaError("invalid", "That is not a SHA-256.");
    return at(jobId, "blobs", sha256);
  };
  const readJson = async <T>(file: string): Promise<T | undefined> =>
    JSON.parse(await readFile(file, "utf8").catch(() => "null")) ?? undefined;
  const writeJson = async (file: string, value: unknown): Promise<void> => {
    await writeFile(`${file}.tmp`, JSON.stringify(value), { mode: 0o600 });
    await rename(`${file}.tmp`, file);
  };
  const whole = (jobId: string, files: readonly Shipped[]): void => {
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
  const logsOf = async (jobId: string): Promise<string[]> =>
    (await readdir(at(jobId, "logs")).catch((): string[] => [])).toSorted((one, other) => Number(one) - Number(other));

  return {
    async pack(jobId, folder, sent) {
      await mkdir(at(jobId, "blobs"), { recursive: true, mode: 0o700 });
      const files: Shipped[] = [];
      let sizeBytes = 0;
      for (const path of await plainFiles(folder)) {
        const from = join(folder, path);
        const { size, mode } = await stat(from);
        sizeBytes += size;
        if (sizeBytes > bytesMax || files.length >= filesMax)
          throw new NikaError("full", `${folder} is too large to be sent: more than ${bytesMax / 1e9} GB or ${filesMax} files.`);
        const sha256 = await hashOf(from);
        // A copy: what is sent does not change while it is under way.
        if (!existsSync(blob(jobId, sha256))) await copyFile(from, blob(jobId, sha256));
        files.push({ path, sha256, sizeBytes: size, ...((mode & 0o100) !== 0 && { isProgram: true }) });
      }
      const packed = { ...sent, files };
      await writeJson(at(jobId, "sent.json"), packed);
      return packed;
    },

    async sent(jobId) {
      const found = await readJson<Sent>(at(jobId, "sent.json"));
      if (!found) throw new NikaError("missing", "What this job was to run is not on this machine any more.");
      return found;
    },

    find(jobId, sha256) {
      const file = blob(jobId, sha256);
      return existsSync(file) ? { file } : undefined;
    },

    take: (jobId, { sha256, sizeBytes, offset, bytes }) =>
      alone(`${jobId}/${sha256}`, async () => {
        const to = blob(jobId, sha256);
        if (existsSync(to)) {
          bytes.resume();
          return { next: sizeBytes, isNext: true };
        }
        const part = at(jobId, "parts", sha256);
        await mkdir(dirname(part), { recursive: true, mode: 0o700 });
        const have = (await stat(part).catch(() => undefined))?.size ?? 0;
        if (offset !== have) {
          bytes.resume();
          return { next: have, isNext: false };
        }
        const { bavail, bsize } = await statfs(dir);
        if (sizeBytes > bytesMax || bavail * bsize - sizeBytes + have < keepFreeBytes) {
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

    log: (jobId, { epoch, offset, bytes }) =>
      alone(`${jobId}/log`, async () => {
        await mkdir(at(jobId, "logs"), { recursive: true, mode: 0o700 });
        const file = at(jobId, "logs", String(epoch));
        const have = (await stat(file).catch(() => undefined))?.size ?? 0;
        if (offset !== have) return { next: have, isNext: false };
        await appendFile(file, bytes, { mode: 0o600 });
        return { next: have + bytes.length, isNext: true };
      }),

    async read(jobId, from, bytesMost) {
      const pieces: Buffer[] = [];
      let passed = 0;
      let taken = 0;
      for (const name of await logsOf(jobId)) {
        const file = at(jobId, "logs", name);
        const { size } = await stat(file);
        const begin = Math.max(0, from - passed);
        const count = Math.min(size - begin, bytesMost - taken);
        if (count > 0) {
          const handle = await open(file, "r");
          try {
            const { bytesRead, buffer } = await handle.read(Buffer.alloc(count), 0, count, begin);
            pieces.push(buffer.subarray(0, bytesRead));
            taken += bytesRead;
          } finally {
            await handle.close();
          }
        }
        passed += size;
      }
      return { bytes: Buffer.concat(pieces), next: Math.min(from, passed) + taken, size: passed };
    },

    async checkpoint(jobId, checkpoint) {
      whole(jobId, checkpoint.files);
      const before = (await readJson<Checkpoint[]>(at(jobId, "checkpoints.json"))) ?? [];
      const kept = [checkpoint, ...before.filter(({ number }) => number !== checkpoint.number)]
        .toSorted((one, other) => other.number - one.number)
        .slice(0, 2);
      await writeJson(at(jobId, "checkpoints.json"), kept);
      const used = new Set(
        [...kept.flatMap(({ files }) => files), ...(await this.sent(jobId)).files].map(({ sha256 }) => sha256),
      );
      for (const { files } of before)
        for (const { sha256 } of files) if (!used.has(sha256)) await rm(blob(jobId, sha256), { force: true });
    },

    checkpoints: async (jobId) => (await readJson<Checkpoint[]>(at(jobId, "checkpoints.json"))) ?? [],

    async finish(jobId, files) {
      whole(jobId, files);
      const out = at(jobId, "out");
      if (existsSync(out)) return out;
      const making = at(jobId, "out.part");
      await rm(making, { recursive: true, force: true });
      await mkdir(making, { recursive: true, mode: 0o700 });
      for (const { path, sha256 } of files) {
        const to = resolve(making, path);
        if (!to.startsWith(making + sep)) throw new NikaError("invalid", `"${path}" leads out of the results.`);
        await mkdir(dirname(to), { recursive: true });
        await link(blob(jobId, sha256), to).catch(() => copyFile(blob(jobId, sha256), to));
      }
      await writeJson(at(jobId, "results.json"), files);
      await rename(making, out);
      return out;
    },

    results: (jobId) => (existsSync(at(jobId, "out")) ? at(jobId, "out") : undefined),

    remove: (jobId) => rm(at(jobId), { recursive: true, force: true }),
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
