/**
 * Files into storage. Bytes go to a temporary file beside the store while they are hashed, reach the disk, take their final name (their
 * hash), and only then become known to the database: whatever breaks off in between leaves nothing that anyone could see.
 */
import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../../convex/model/error.ts";
import type { Core } from "../core.ts";
import type { StoredFile } from "../model/file.ts";
import { isDiskFull } from "../store/full.ts";
import { limited, mustFit } from "./body.ts";

/** A guard against filling the disk by mistake. */
const uploadBytesMax = 16 * 1024 * 1024 * 1024;
const contentTypeCharsMax = 255;

export type UploadParts = {
  readonly core: Core;
  /** Holds what is not finished; on the same filesystem as the store, because it ends with a rename. */
  readonly dir: string;
};

export async function upload({ core, dir }: UploadParts, request: IncomingMessage, token: string): Promise<StoredFile> {
  if (!core.isUploadToken(token)) throw new NikaError("denied", "This upload URL is not valid, or has expired.");
  mustFit(Number(request.headers["content-length"] ?? 0), uploadBytesMax);
  const { "content-type": contentType, digest } = request.headers;
  return keep({ core, dir }, request, { contentType, digest });
}

export type UploadSource = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export type KeepOptions = {
  readonly contentType?: string | undefined;
  /** As in the header of that name; what it announces must be what came. */
  readonly digest?: string | string[] | undefined;
};

/** Takes in bytes from whoever may hand them in. */
export async function keep(
  { core, dir }: UploadParts,
  source: UploadSource,
  { contentType, digest }: KeepOptions = {},
): Promise<StoredFile> {
  const temporary = join(dir, randomUUID());
  try {
    const { sha256, sizeBytes } = await receive(source, temporary);
    mustMatch(digest, sha256);
    const path = core.filePath(sha256);
    await mkdir(dirname(path), { recursive: true });
    // The same bytes twice: the second takes the place of the first, which nobody can tell.
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return await core.storeFile({ sha256, sizeBytes, contentType: contentType?.slice(0, contentTypeCharsMax) ?? null });
  } catch (error) {
    await rm(temporary, { force: true });
    throw explained(error);
  }
}

/** Removes what an earlier process left unfinished. Makes the folder. */
export async function sweepUploads(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const name of await readdir(dir)) await rm(join(dir, name), { force: true });
}

async function receive(source: UploadSource, path: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const hashed = new Transform({
    transform(part: Buffer, _encoding, done) {
      hash.update(part);
      sizeBytes += part.length;
      done(null, part);
    },
  });
  // `flush` waits until the bytes are on the disk.
  await pipeline(source, limited(uploadBytesMax), hashed, createWriteStream(path, { flags: "wx", mode: 0o600, flush: true }));
  return { sha256: hash.digest("hex"), sizeBytes };
}

/** `Digest: sha-256=<base64>`: what the sender believes it sent. */
function mustMatch(header: string | string[] | undefined, sha256: string): void {
  const [, wanted] = /^sha-256=(.+)$/i.exec(String(header ?? "")) ?? [];
  if (wanted !== undefined && Buffer.from(wanted, "base64").toString("hex") !== sha256)
    throw new NikaError("invalid", "The bytes that arrived are not those that the Digest header announced.");
}

/** A rename is durable once its directory is. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function explained(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (isDiskFull(error))
    return new NikaError("full", "The disk is full; free some space and upload the file again.", { cause: error });
  if (code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ECONNRESET")
    return new NikaError("cancelled", "The upload was broken off.", { cause: error });
  return error;
}
