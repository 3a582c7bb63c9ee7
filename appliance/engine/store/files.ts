/** Stored files: bytes on disk under their hash, held once; rows say who knows them by which name. */
import { createHash, randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";

export type FileRow = {
  readonly id: Uint8Array;
  readonly uuid: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly contentType: string | null;
};

export type Files = ReturnType<typeof openFiles>;

export function blobFolder(dir: string): string {
  return join(dir, "files");
}

export function blobPath(dir: string, sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error("A hash is 64 hex digits.");
  return join(blobFolder(dir), sha256);
}

/** On disk for good before it returns. Returns the hash, hex. */
export function writeBlob(dir: string, bytes: Uint8Array): string {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const path = blobPath(dir, sha256);
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncBlobs(dir);
  return sha256;
}

/** The names of blobs, once given, are on disk for good. */
export function syncBlobs(dir: string): void {
  const folder = openSync(blobFolder(dir), "r");
  fsyncSync(folder);
  closeSync(folder);
}

export function openFiles(db: DatabaseSync, dir: string) {
  const columns = "id, uuid, sha256, sizeBytes, contentType";
  const byId = db.prepare(`SELECT ${columns} FROM files WHERE id = ?`);
  const byUuid = db.prepare(`SELECT ${columns} FROM files WHERE uuid = ?`);
  const everyFile = db.prepare(`SELECT ${columns} FROM files`);
  const bySha256 = db.prepare("SELECT 1 FROM files WHERE sha256 = ?");
  const add = db.prepare("INSERT INTO files (id, uuid, sha256, sizeBytes, contentType) VALUES (?, ?, ?, ?, ?)");
  const remove = db.prepare("DELETE FROM files WHERE id = ?");
  const bury = db.prepare("INSERT OR REPLACE INTO deadBlobs (sha256, sinceMs) VALUES (?, ?)");
  const revive = db.prepare("DELETE FROM deadBlobs WHERE sha256 = ?");
  const dead = db.prepare("SELECT sha256 FROM deadBlobs WHERE sinceMs <= ?");
  return {
    find: (id: Uint8Array) => byId.get(id) as unknown as FileRow | undefined,
    all: () => everyFile.all() as unknown as FileRow[],
    findByUuid: (uuid: string) => byUuid.get(uuid) as unknown as FileRow | undefined,
    /** Fails when the bytes are not there: they may have been swept between upload and now. */
    add(row: FileRow) {
      if (!existsSync(blobPath(dir, row.sha256))) throw new Error("The bytes of this file are gone; upload them again.");
      revive.run(row.sha256);
      add.run(row.id, row.uuid, row.sha256, row.sizeBytes, row.contentType);
    },
    /** The bytes stay for a while, because someone may be uploading the same ones at this moment. */
    remove(row: FileRow, nowMs: number) {
      remove.run(row.id);
      if (!bySha256.get(row.sha256)) bury.run(row.sha256, nowMs);
    },
    /** Bytes that came for files which then were not made. */
    forget(sha256: string, nowMs: number) {
      if (!bySha256.get(sha256)) bury.run(sha256, nowMs);
    },
    sweep(beforeMs: number) {
      for (const { sha256 } of dead.all(beforeMs) as { sha256: string }[]) {
        if (!bySha256.get(sha256)) rmSync(blobPath(dir, sha256), { force: true });
        revive.run(sha256);
      }
    },
  };
}
