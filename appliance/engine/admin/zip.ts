/**
 * Zip files as far as snapshots need them. Written without packing, so that entries of any length stream; below 4 GiB each and in all.
 */
import { closeSync, createReadStream, fsyncSync, openSync, readSync, writeSync, fstatSync } from "node:fs";
import { pipeline } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { DeveloperError } from "../codec/value.ts";

const sizeMax = 0xffff_ffff;
const entryHead = 30;

export type ZipWriter = {
  begin(name: string): void;
  write(bytes: Uint8Array): void;
  /** Writes the directory and syncs the file. */
  close(): void;
};

type Written = { readonly name: Buffer; readonly at: number; crc: number; size: number };

export function createZip(path: string): ZipWriter {
  const file = openSync(path, "wx+", 0o600);
  const entries: Written[] = [];
  let end = 0;
  const put = (bytes: Uint8Array, at?: number): void => {
    let done = 0;
    while (done < bytes.length) done += writeSync(file, bytes, done, bytes.length - done, (at ?? end) + done);
    if (at === undefined) end += bytes.length;
    if (end > sizeMax) throw new DeveloperError("A snapshot of more than 4 GiB is not supported by the embedded engine yet.");
  };
  return {
    begin: (name) => {
      const entry = { name: Buffer.from(name), at: end, crc: 0, size: 0 };
      entries.push(entry);
      put(Buffer.concat([headOf(entry), entry.name]));
    },
    write: (bytes) => {
      const entry = entries.at(-1) as Written;
      entry.crc = crc32(bytes, entry.crc);
      entry.size += bytes.length;
      put(bytes);
    },
    close: () => {
      for (const entry of entries) put(headOf(entry), entry.at);
      const start = end;
      for (const entry of entries) put(directoryOf(entry));
      const tail = Buffer.alloc(22);
      tail.writeUInt32LE(0x06054b50, 0);
      tail.writeUInt16LE(entries.length, 8);
      tail.writeUInt16LE(entries.length, 10);
      tail.writeUInt32LE(end - start, 12);
      tail.writeUInt32LE(start, 16);
      put(tail);
      fsyncSync(file);
      closeSync(file);
    },
  };
}

function headOf({ name, crc, size }: Written): Buffer {
  const head = Buffer.alloc(entryHead);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(20, 4);
  head.writeUInt32LE(crc, 14);
  head.writeUInt32LE(size, 18);
  head.writeUInt32LE(size, 22);
  head.writeUInt16LE(name.length, 26);
  return head;
}

function directoryOf({ name, at, crc, size }: Written): Buffer {
  const head = Buffer.alloc(46);
  head.writeUInt32LE(0x02014b50, 0);
  head.writeUInt16LE(20, 4);
  head.writeUInt16LE(20, 6);
  head.writeUInt32LE(crc, 16);
  head.writeUInt32LE(size, 20);
  head.writeUInt32LE(size, 24);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt32LE(at, 42);
  return Buffer.concat([head, name]);
}

export type ZipEntry = {
  readonly name: string;
  /** The content, unpacked piece by piece, checked against its sum at the end. */
  stream(): AsyncIterable<Uint8Array>;
};

const end64Head = 56;
const locatorSize = 20;
/** In a field of four bytes: the number stands in the entry's 64-bit part instead. */
const isElsewhere = 0xffff_ffff;

/** Fails on what is no zip file. Archives written as a stream, with sizes of 64 bits, are read too: Convex's own exports are such. */
export function readZip(path: string): readonly ZipEntry[] {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const { at, length } = directoryOfFile(file, size);
    const directory = take(file, at, length);
    const entries: ZipEntry[] = [];
    for (let from = 0; from + 46 <= directory.length;) {
      if (directory.readUInt32LE(from) !== 0x02014b50) throw new DeveloperError("The zip file's directory is broken.");
      const nameEnd = from + 46 + directory.readUInt16LE(from + 28);
      const extraEnd = nameEnd + directory.readUInt16LE(from + 30);
      const [packed, whole, start] = numbersOf(directory.subarray(from, nameEnd), directory.subarray(nameEnd, extraEnd));
      entries.push(
        entryOf(path, {
          name: directory.subarray(from + 46, nameEnd).toString(),
          method: directory.readUInt16LE(from + 10),
          crc: directory.readUInt32LE(from + 16),
          packed,
          whole,
          start,
        }),
      );
      from = extraEnd + directory.readUInt16LE(from + 32);
    }
    return entries;
  } finally {
    closeSync(file);
  }
}

type Found = {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly whole: number;
  readonly start: number;
};

function entryOf(path: string, { name, method, crc, packed, whole, start }: Found): ZipEntry {
  return {
    name,
    async *stream() {
      if (method !== 0 && method !== 8)
        throw new DeveloperError(`${name} in the zip file is packed in a way that is not supported.`);
      if (packed === 0) return;
      const file = openSync(path, "r");
      let from: number;
      try {
        const head = take(file, start, entryHead);
        from = start + entryHead + head.readUInt16LE(26) + head.readUInt16LE(28);
      } finally {
        closeSync(file);
      }
      const raw = createReadStream(path, { start: from, end: from + packed - 1 });
      // What breaks the reading breaks the unpacking, and that is told below.
      const content: AsyncIterable<Buffer> = method === 0 ? raw : pipeline(raw, createInflateRaw(), () => undefined);
      let [sum, count] = [0, 0];
      try {
        for await (const part of content) {
          sum = crc32(part, sum);
          count += part.length;
          if (count > whole) break;
          yield part;
        }
      } catch (cause) {
        if (!(cause instanceof Error && "code" in cause && String(cause.code).startsWith("Z_"))) throw cause;
        throw new DeveloperError(`${name} in the zip file is broken.`);
      }
      if (sum !== crc || count !== whole) throw new DeveloperError(`${name} in the zip file is broken.`);
    },
  };
}

function take(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const count = readSync(file, bytes, done, length - done, at + done);
    if (count === 0) throw new DeveloperError("The zip file is cut off.");
    done += count;
  }
  return bytes;
}

function directoryOfFile(file: number, size: number): { readonly at: number; readonly length: number } {
  const tailSize = Math.min(size, 22 + 0xffff);
  const tail = take(file, size - tailSize, tailSize);
  const mark = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (mark < 0 || mark + 22 > tail.length) throw new DeveloperError("This is not a zip file.");
  const locatorAt = size - tailSize + mark - locatorSize;
  const locator = locatorAt < 0 ? undefined : take(file, locatorAt, locatorSize);
  let [at, length] = [tail.readUInt32LE(mark + 16), tail.readUInt32LE(mark + 12)];
  if (locator?.readUInt32LE(0) === 0x07064b50) {
    const end = take(file, Number(locator.readBigUInt64LE(8)), end64Head);
    if (end.readUInt32LE(0) !== 0x06064b50) throw new DeveloperError("The zip file's directory is broken.");
    [at, length] = [Number(end.readBigUInt64LE(48)), Number(end.readBigUInt64LE(40))];
  }
  if (at + length > size) throw new DeveloperError("The zip file is cut off.");
  return { at, length };
}

/** Size packed, size whole, and where the entry begins. */
function numbersOf(record: Buffer, extra: Buffer): readonly [number, number, number] {
  let [packed, whole, start] = [record.readUInt32LE(20), record.readUInt32LE(24), record.readUInt32LE(42)];
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    const wide = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
    let next = 0;
    // Only what did not fit is there, in this order.
    const widened = (narrow: number): number => {
      if (narrow !== isElsewhere || next + 8 > wide.length) return narrow;
      next += 8;
      return Number(wide.readBigUInt64LE(next - 8));
    };
    whole = widened(whole);
    packed = widened(packed);
    start = widened(start);
  }
  return [packed, whole, start];
}
