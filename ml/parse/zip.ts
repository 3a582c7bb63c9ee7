import { UnreadableError } from "./unreadable.ts";
import { indexOfAscii } from "./sniff.ts";

export type ZipEntry = {
  readonly name: string;
  readonly packedBytes: number;
  readonly unpackedBytes: number;
  readonly isEncrypted: boolean;
};

/** What the archive says it holds, nothing unpacked; undefined when its directory cannot be read. */
export async function listZip(bytes: Uint8Array): Promise<ZipEntry[] | undefined> {
  const { unzipSync } = await import("fflate");
  const entries: ZipEntry[] = [];
  const locked = hasLockedEntry(bytes);
  try {
    unzipSync(bytes, {
      filter: ({ name, size, originalSize }) => {
        entries.push({ name, packedBytes: size, unpackedBytes: originalSize, isEncrypted: locked });
        return false;
      },
    });
  } catch {
    return undefined;
  }
  return entries;
}

/** An archive that starts as a Word document and has no directory at its end was cut off. */
export function isCutOff(bytes: Uint8Array): boolean {
  return indexOfAscii(bytes, "word/") !== -1 || indexOfAscii(bytes, "[Content_Types].xml") !== -1;
}

/**
 * The wanted entries. What comes out is counted while it comes out, because the sizes an archive declares are its own claim:
 * more than `bytesMax` in all fails with `bomb`, what does not unpack with `damaged`.
 */
export async function unpackZip(
  bytes: Uint8Array,
  { isWanted, bytesMax }: { isWanted: (name: string) => boolean; bytesMax: number },
): Promise<Map<string, Uint8Array>> {
  const { Unzip, UnzipInflate } = await import("fflate");
  const parts = new Map<string, Uint8Array>();
  let total = 0;
  let failure: unknown;
  const unzip = new Unzip((file) => {
    if (!isWanted(file.name) || parts.has(file.name) || failure !== undefined) return;
    const chunks: Uint8Array[] = [];
    file.ondata = (error, chunk, isLast) => {
      if (error) failure ??= error;
      if (failure !== undefined) return;
      total += chunk.length;
      if (total > bytesMax) throw new UnreadableError("bomb");
      chunks.push(chunk);
      if (isLast) parts.set(file.name, Buffer.concat(chunks));
    };
    file.start();
  });
  unzip.register(UnzipInflate);
  try {
    // In slices, so that a bomb is noticed after one of them and not after all.
    for (let at = 0; at < bytes.length; at += sliceBytes)
      unzip.push(bytes.subarray(at, at + sliceBytes), at + sliceBytes >= bytes.length);
  } catch (error) {
    throw error instanceof UnreadableError ? error : new UnreadableError("damaged", { cause: error });
  }
  if (failure !== undefined || !parts.has("word/document.xml")) throw new UnreadableError("damaged", { cause: failure });
  return parts;
}

/** Deflate gives at most some thousand bytes for one, so a slice costs at most some tens of MB before it is noticed. */
const sliceBytes = 16 * 1024;

/** Bit 0 of the first entry's flags: the archive wants a password. */
function hasLockedEntry(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[2] === 3 && ((bytes[6] ?? 0) & 1) === 1;
}
