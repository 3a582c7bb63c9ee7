import { documentBytesMax } from "../../../convex/model/document.ts";
import { UnreadableError } from "../unreadable.ts";
import { gunzipStream } from "./gzip.ts";
import { holderBytesMax } from "./limits.ts";
import { isLitter } from "./names.ts";
import type { Passing } from "./passing.ts";

const blockBytes = 512;

/** The first header of a tar: its mark, or in files from before the mark its checksum. */
export function isTar(bytes: Uint8Array): boolean {
  if (bytes.length < blockBytes) return false;
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, blockBytes);
  const said = Number.parseInt(header.toString("latin1", 148, 156).replaceAll("\0", " ").trim(), 8);
  if (!Number.isFinite(said)) return false;
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= 148 && at < 156 ? 0x20 : byte;
  return sum === said && sum > 256;
}

/** The plain files of a tar, in order; links, devices and folders are passed over. Fails with `damaged` or `bomb`. */
export async function* tarEntries(bytes: Uint8Array, isPacked: boolean): AsyncGenerator<Passing> {
  const { createTarDecoder } = await import("modern-tar");
  const source = ReadableStream.from(isPacked ? counted(gunzipStream(bytes)) : slices(bytes));
  try {
    const entries = source.pipeThrough(createTarDecoder({ strict: true }));
    for await (const { header, body } of entries) {
      const isFile = (header.type ?? "file") === "file" && !isLitter(header.name) && !header.name.endsWith("/");
      let isTaken = false;
      if (isFile)
        yield {
          name: header.name,
          sizeBytes: header.size,
          read: async () => {
            isTaken = true;
            return await collected(body, header.size);
          },
        };
      if (!isTaken) await body.cancel();
    }
  } catch (error) {
    throw error instanceof UnreadableError ? error : new UnreadableError("damaged", { cause: error });
  }
}

async function collected(body: ReadableStream<Uint8Array>, sizeBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > documentBytesMax) throw new UnreadableError("tooLarge");
    parts.push(part);
  }
  if (length !== sizeBytes) throw new UnreadableError("damaged");
  return new Uint8Array(Buffer.concat(parts));
}

async function* counted(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const part of parts) {
    total += part.length;
    // Headers and padding are a little more than the files.
    if (total > holderBytesMax * 1.1) throw new UnreadableError("bomb");
    yield part;
  }
}

const sliceBytes = 256 * 1024;

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes);
}
