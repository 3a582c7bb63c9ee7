/** Zip files as far as snapshots need them. Written without packing, so that entries of any length stream; below 4 GiB each and in all. */
import { closeSync, fsyncSync, openSync, readSync, writeSync, fstatSync } from "node:fs";
import { crc32, inflateRawSync } from "node:zlib";
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

export type ZipEntry = { readonly name: string; read(): Buffer };

/** An entry is read whole when asked for. Fails on what is no zip file. */
export function readZip(path: string): readonly ZipEntry[] {
  const take = (at: number, length: number): Buffer => {
    const file = openSync(path, "r");
    try {
      const bytes = Buffer.alloc(length);
      let done = 0;
      while (done < length) {
        const count = readSync(file, bytes, done, length - done, at + done);
        if (count === 0) throw new DeveloperError("The zip file is cut off.");
        done += count;
      }
      return bytes;
    } finally {
      closeSync(file);
    }
  };
  const file = openSync(path, "r");
  const { size } = fstatSync(file);
  closeSync(file);
  const tailSize = Math.min(size, 22 + 0xffff);
  const tail = take(size - tailSize, tailSize);
  const mark = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (mark < 0) throw new DeveloperError("This is not a zip file.");
  const directory = take(tail.readUInt32LE(mark + 16), tail.readUInt32LE(mark + 12));
  const entries: ZipEntry[] = [];
  for (let at = 0; at + 46 <= directory.length;) {
    if (directory.readUInt32LE(at) !== 0x02014b50) throw new DeveloperError("The zip file's directory is broken.");
    const method = directory.readUInt16LE(at + 10);
    const [packed, whole] = [directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 24)];
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.subarray(at + 46, at + 46 + nameLength).toString();
    const start = directory.readUInt32LE(at + 42);
    entries.push({
      name,
      read: () => {
        const head = take(start, entryHead);
        const bytes = take(start + entryHead + head.readUInt16LE(26) + head.readUInt16LE(28), packed);
        if (method === 0) return bytes;
        if (method === 8) return inflateRawSync(bytes, { maxOutputLength: Math.max(whole, 1) });
        throw new DeveloperError(`${name} in the zip file is packed in a way that is not supported.`);
      },
    });
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}
