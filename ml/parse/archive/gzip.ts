import { createGunzip, gunzipSync } from "node:zlib";
import { Readable } from "node:stream";
import { UnreadableError } from "../unreadable.ts";

const headBytes = 1_024;

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The first kilobyte of what is packed; shorter when there is less. Fails with `damaged` when nothing comes out. */
export async function gunzipHead(bytes: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of gunzipStream(bytes)) {
      parts.push(part);
      length += part.length;
      if (length >= headBytes) break;
    }
  } catch (error) {
    if (length === 0) throw new UnreadableError("damaged", { cause: error });
  }
  return Buffer.concat(parts).subarray(0, headBytes);
}

/** All of it, at most `bytesMax`. Fails with `bomb` beyond, `damaged` when it is cut off. */
export async function gunzipAll(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: bytesMax }));
  } catch (error) {
    const isMore = error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
    throw new UnreadableError(isMore ? "bomb" : "damaged", { cause: error });
  }
}

/** What is packed, piece by piece, so that a bomb never lies in memory at once. */
export function gunzipStream(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  const slices = function* (): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes);
  };
  const source = Readable.from(slices());
  const gunzip = createGunzip();
  source.once("error", (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

const sliceBytes = 64 * 1024;
