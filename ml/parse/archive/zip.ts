import { crc32, inflateRawSync } from "node:zlib";
import { UnreadableError } from "../unreadable.ts";

export type ZipEntry = {
  readonly name: string;
  readonly packedBytes: number;
  readonly unpackedBytes: number;
  readonly isEncrypted: boolean;
  /** A folder, or a link to somewhere: it has no bytes of its own. */
  readonly isFile: boolean;
};

export type Zip = {
  readonly entries: readonly ZipEntry[];
  readonly find: (name: string) => ZipEntry | undefined;
  /** The bytes of an entry, never more than it declared. Fails with `damaged`, `encrypted`, or `bomb` when it declared too little. */
  readonly read: (entry: ZipEntry) => Promise<Uint8Array>;
};

type Located = ZipEntry & { readonly open: () => Promise<Uint8Array> };

/**
 * The directory of a zip archive; nothing is unpacked yet. Undefined when it has none: it was cut off, or is no archive. Fails with
 * `bomb` for more than `entriesMax`.
 */
export async function openZip(bytes: Uint8Array, entriesMax: number): Promise<Zip | undefined> {
  const yauzl = await import("yauzl");
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Located[] = [];
  try {
    // Names are taken as they are: they become labels, never paths.
    const file = await yauzl.fromBufferPromise(buffer, { decodeStrings: false, autoClose: false });
    if (file.entryCount > entriesMax) throw new UnreadableError("bomb");
    for await (const entry of file.eachEntry()) {
      const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
      entries.push({
        name,
        packedBytes: entry.compressedSize,
        unpackedBytes: entry.uncompressedSize,
        isEncrypted: entry.isEncrypted(),
        isFile: !name.endsWith("/") && !isLink(entry.versionMadeBy, entry.externalFileAttributes),
        open: async () => {
          const { fileDataStart } = await file.readLocalFileHeaderPromise(entry, { minimal: true });
          return unpack(buffer.subarray(fileDataStart, fileDataStart + entry.compressedSize), entry);
        },
      });
      if (entries.length > entriesMax) throw new UnreadableError("bomb");
    }
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    return undefined;
  }
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  return {
    entries,
    find: (name) => byName.get(name),
    read: async (entry) => {
      try {
        return await (entry as Located).open();
      } catch (error) {
        throw error instanceof UnreadableError ? error : new UnreadableError("damaged", { cause: error });
      }
    },
  };
}

type Packed = {
  readonly compressionMethod: number;
  readonly uncompressedSize: number;
  readonly crc32: number;
  isEncrypted: () => boolean;
};

const stored = 0;
const deflated = 8;

function unpack(packed: Buffer, entry: Packed): Uint8Array {
  if (entry.isEncrypted()) throw new UnreadableError("encrypted");
  if (entry.compressionMethod !== stored && entry.compressionMethod !== deflated) throw new UnreadableError("unknownType");
  const bytes = entry.compressionMethod === stored ? packed : inflate(packed, entry.uncompressedSize);
  if (bytes.length !== entry.uncompressedSize) throw new UnreadableError("damaged");
  // Some writers leave the sum out.
  if (entry.crc32 !== 0 && crc32(bytes) !== entry.crc32) throw new UnreadableError("damaged");
  return bytes;
}

/** What an archive says of its sizes is its own claim; nothing beyond it is unpacked. */
function inflate(packed: Buffer, bytesMax: number): Uint8Array {
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, bytesMax) });
  } catch (error) {
    const isMore = error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
    throw new UnreadableError(isMore ? "bomb" : "damaged", { cause: error });
  }
}

/** Unix writers keep the type of a file in the upper half of its attributes. */
function isLink(madeBy: number, attributes: number): boolean {
  const unix = 3;
  const [typeMask, link] = [0o170_000, 0o120_000];
  return madeBy >> 8 === unix && ((attributes >>> 16) & typeMask) === link;
}
