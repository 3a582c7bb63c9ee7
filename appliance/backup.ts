/**
 * Backup and restore of the control plane's state: one tar with a manifest, the database as SQLite copied it, and every stored file
 * under its hash. Reads beside a running engine: the copy is one snapshot, and what it names is held by links until it is packed.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { NikaError } from "../convex/model/error.ts";
import { databasePath, lockDatabase } from "./engine/store/database.ts";
import { blobFolder, blobPath } from "./engine/store/files.ts";
import { fullDiskMessage, isDiskFull } from "./engine/store/full.ts";

const manifestName = "nika-state.json";
const databaseName = "engine.sqlite";
const formatVersion = 1;
const blockBytes = 512;
const chunkBytes = 1024 * 1024;

export type Saved = { readonly files: number; readonly sizeBytes: number; readonly ts: string };
type Manifest = {
  readonly format: number;
  readonly madeAtMs: number;
  readonly ts: string;
  readonly sha256: string;
  readonly files: number;
};

/** Writes the state under `engineDir` to a new file. It is there whole or not at all. */
export async function backupState(engineDir: string, file: string): Promise<Saved> {
  if (!existsSync(databasePath(engineDir)))
    throw new NikaError("missing", `There is no embedded control plane under ${engineDir}; nothing to back up.`);
  if (existsSync(file)) throw new NikaError("conflict", `${file} exists already; name another file.`);
  // On the disk of the data, so that links can hold the files.
  const holding = join(engineDir, `backup-${randomUUID()}`);
  const unfinished = `${file}.${randomUUID()}`;
  try {
    mkdirSync(holding, { mode: 0o700 });
    const { ts, hashes } = copyDatabase(engineDir, holding);
    const database = join(holding, databaseName);
    const manifest: Manifest = {
      format: formatVersion,
      madeAtMs: Date.now(),
      ts: String(ts),
      sha256: await hashOf(database),
      files: hashes.length,
    };
    const tar = await open(unfinished, "wx", 0o600);
    try {
      await tar.writeFile(packed(manifestName, Buffer.from(JSON.stringify(manifest))));
      await append(tar, databaseName, database);
      for (const sha256 of hashes) await append(tar, `files/${sha256}`, join(holding, sha256));
      await tar.writeFile(Buffer.alloc(2 * blockBytes));
      await tar.sync();
    } finally {
      await tar.close();
    }
    renameSync(unfinished, file);
    return { files: hashes.length, sizeBytes: statSync(file).size, ts: String(ts) };
  } catch (error) {
    throw explained(error);
  } finally {
    rmSync(holding, { recursive: true, force: true });
    rmSync(unfinished, { force: true });
  }
}

/**
 * Puts the state of a backup under `engineDir`, once all of it is unpacked and found whole. What was there before is kept beside it;
 * its folder is returned. Nothing may be running there. Time does not go back: it goes on from the later of the two.
 */
export async function restoreState(engineDir: string, file: string): Promise<Saved & { readonly replaced: string | undefined }> {
  if (!existsSync(file)) throw new NikaError("missing", `There is no file ${file}.`);
  mkdirSync(engineDir, { recursive: true, mode: 0o700 });
  const incoming = `${engineDir}.incoming-${randomUUID()}`;
  let lock: DatabaseSync | undefined;
  try {
    lock = locked(engineDir);
    const before = existsSync(databasePath(engineDir)) ? clockOf(engineDir) : 0n;
    mkdirSync(blobFolder(incoming), { recursive: true, mode: 0o700 });
    const manifest = await unpack(file, incoming);
    const ts = checkedDatabase(incoming, before);
    lock.close();
    lock = undefined;
    const replaced = before === 0n ? undefined : `${engineDir}.replaced-${new Date().toISOString().replaceAll(":", "")}`;
    if (replaced === undefined) rmSync(engineDir, { recursive: true });
    else renameSync(engineDir, replaced);
    renameSync(incoming, engineDir);
    return { files: manifest.files, sizeBytes: statSync(file).size, ts: String(ts), replaced };
  } catch (error) {
    throw explained(error);
  } finally {
    lock?.close();
    rmSync(incoming, { recursive: true, force: true });
  }
}

/** One snapshot, compact; the bytes of its files are linked at once, because the engine may sweep them later. */
function copyDatabase(engineDir: string, holding: string): { ts: bigint; hashes: readonly string[] } {
  const copy = join(holding, databaseName);
  const source = new DatabaseSync(databasePath(engineDir), { timeout: 10_000 });
  try {
    source.prepare("VACUUM INTO ?").run(copy);
  } finally {
    source.close();
  }
  const db = new DatabaseSync(copy);
  try {
    const hashes = (db.prepare("SELECT DISTINCT sha256 FROM files ORDER BY sha256").all() as { sha256: string }[]).map(
      ({ sha256 }) => sha256,
    );
    for (const sha256 of hashes) linkSync(blobPath(engineDir, sha256), join(holding, sha256));
    return { ts: readClock(db), hashes };
  } finally {
    db.close();
  }
}

function readClock(db: DatabaseSync): bigint {
  const statement = db.prepare("SELECT ts FROM clock");
  statement.setReadBigInts(true);
  return (statement.get() as { ts: bigint }).ts;
}

function clockOf(engineDir: string): bigint {
  const db = new DatabaseSync(databasePath(engineDir));
  try {
    return readClock(db);
  } finally {
    db.close();
  }
}

function locked(engineDir: string): DatabaseSync {
  try {
    return lockDatabase(engineDir);
  } catch (cause) {
    throw new NikaError("conflict", "The control plane is in use; stop Nika first with `nika stop`.", { cause });
  }
}

/** Fails unless the database is sound and all files that it names are there. Moves its time on. */
function checkedDatabase(dir: string, before: bigint): bigint {
  const db = new DatabaseSync(databasePath(dir));
  try {
    const { quick_check: verdict } = db.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (verdict !== "ok") throw unsound(`its database is damaged (${verdict})`);
    const named = db.prepare("SELECT DISTINCT sha256 FROM files").all() as { sha256: string }[];
    const held = new Set(readdirSync(blobFolder(dir)));
    const lacking = named.find(({ sha256 }) => !held.has(sha256));
    if (lacking) throw unsound(`the stored file ${lacking.sha256} is missing`);
    const own = readClock(db);
    const ts = own > before ? own : before;
    db.prepare("UPDATE clock SET ts = ?").run(ts);
    return ts;
  } finally {
    db.close();
  }
}

async function unpack(file: string, into: string): Promise<Manifest> {
  const tar = await open(file, "r");
  try {
    let manifest: Manifest | undefined;
    let at = 0;
    for (;;) {
      const header = await readAt(tar, at, blockBytes);
      if (header.every((byte) => byte === 0)) break;
      const { name, sizeBytes } = parseHeader(header);
      at += blockBytes;
      if (name === manifestName) manifest = parseManifest((await readAt(tar, at, sizeBytes)).toString());
      else if (name === databaseName) {
        const sha256 = await extract(tar, { at, sizeBytes }, databasePath(into));
        if (sha256 !== manifest?.sha256) throw unsound("its database is not the one that was packed");
      } else if (/^files\/[0-9a-f]{64}$/.test(name)) {
        const wanted = name.slice("files/".length);
        if ((await extract(tar, { at, sizeBytes }, blobPath(into, wanted))) !== wanted)
          throw unsound(`the stored file ${wanted} is damaged`);
      } else throw unsound("it holds something else");
      at += Math.ceil(sizeBytes / blockBytes) * blockBytes;
    }
    if (!manifest || !existsSync(databasePath(into))) throw unsound("it is not complete");
    return manifest;
  } finally {
    await tar.close();
  }
}

/** Returns the hash of what was written, hex. */
async function extract(tar: FileHandle, from: { at: number; sizeBytes: number }, path: string): Promise<string> {
  const hash = createHash("sha256");
  const out = await open(path, "wx", 0o600);
  try {
    for (let done = 0; done < from.sizeBytes;) {
      const part = await readAt(tar, from.at + done, Math.min(chunkBytes, from.sizeBytes - done));
      hash.update(part);
      await out.writeFile(part);
      done += part.length;
    }
    await out.sync();
  } finally {
    await out.close();
  }
  return hash.digest("hex");
}

async function readAt(tar: FileHandle, at: number, sizeBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(sizeBytes);
  const { bytesRead } = await tar.read(buffer, 0, sizeBytes, at);
  if (bytesRead < sizeBytes) throw unsound("it ends too early");
  return buffer;
}

function parseManifest(text: string): Manifest {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text) as Manifest;
  } catch {
    throw unsound("its manifest cannot be read");
  }
  if (manifest.format !== formatVersion) throw unsound("a newer Nika made it; restore it with that one");
  return manifest;
}

function unsound(why: string): NikaError {
  return new NikaError("invalid", `This is no sound backup of Nika's state: ${why}. Nothing was changed.`);
}

/** Fields of a ustar header (POSIX.1-1988): where each starts and how long it is. */
const fields = { name: [0, 100], mode: [100, 8], size: [124, 12], checksum: [148, 8], type: [156, 1], magic: [257, 8] } as const;

function headerOf(name: string, sizeBytes: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  const put = (field: keyof typeof fields, text: string): void => void header.write(text, fields[field][0], "latin1");
  put("name", name);
  put("mode", "0000600\0");
  const octal = sizeBytes.toString(8);
  // Above 8 GiB, as GNU tar and others write it: a leading bit, then the number itself.
  if (octal.length < fields.size[1]) put("size", octal.padStart(fields.size[1] - 1, "0"));
  else {
    header[fields.size[0]] = 0x80;
    header.writeBigUInt64BE(BigInt(sizeBytes), fields.size[0] + 4);
  }
  put("type", "0");
  put("magic", "ustar\u000000");
  put("checksum", `${checksumOf(header).toString(8).padStart(6, "0")}\0 `);
  return header;
}

function parseHeader(header: Buffer): { name: string; sizeBytes: number } {
  const text = (field: keyof typeof fields): string => {
    const [start, length] = fields[field];
    return (
      header
        .subarray(start, start + length)
        .toString("latin1")
        .split("\0", 1)[0] ?? ""
    );
  };
  if (!text("magic").startsWith("ustar") || Number.parseInt(text("checksum"), 8) !== checksumOf(header))
    throw unsound("it is damaged, or something else");
  const sizeBytes =
    header[fields.size[0]] === 0x80
      ? Number(header.readBigUInt64BE(fields.size[0] + 4))
      : Number.parseInt(text("size").trim(), 8);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw unsound("it is damaged, or something else");
  return { name: text("name"), sizeBytes };
}

/** With the checksum's own place taken as spaces. */
function checksumOf(header: Buffer): number {
  const [start, length] = fields.checksum;
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= start && at < start + length ? 0x20 : byte;
  return sum;
}

function packed(name: string, bytes: Buffer): Buffer {
  return Buffer.concat([headerOf(name, bytes.length), bytes, paddingAfter(bytes.length)]);
}

function paddingAfter(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

async function append(tar: FileHandle, name: string, path: string): Promise<void> {
  const { size } = statSync(path);
  await tar.writeFile(headerOf(name, size));
  for await (const part of createReadStream(path, { highWaterMark: chunkBytes })) await tar.writeFile(part as Buffer);
  await tar.writeFile(paddingAfter(size));
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(path, { highWaterMark: chunkBytes })) hash.update(part as Buffer);
  return hash.digest("hex");
}

function explained(error: unknown): unknown {
  return isDiskFull(error) ? new NikaError("full", fullDiskMessage, { cause: error }) : error;
}
