/** A zip file as a writer makes it that does not know sizes in advance: packed, sizes behind the content, and all of 64 bits. */
import { crc32, deflateRawSync } from "node:zlib";

const wide = 0xffff_ffff;

export function wideZip(files: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  const written = (): number => parts.reduce((sum, part) => sum + part.length, 0);
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const packed = deflateRawSync(content);
    const start = written();
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(45, 4);
    head.writeUInt16LE(8, 6);
    head.writeUInt16LE(8, 8);
    head.writeUInt32LE(wide, 18);
    head.writeUInt32LE(wide, 22);
    head.writeUInt16LE(name.length, 26);
    head.writeUInt16LE(20, 28);
    const behind = Buffer.alloc(24);
    behind.writeUInt32LE(0x08074b50, 0);
    behind.writeUInt32LE(crc32(content), 4);
    behind.writeBigUInt64LE(BigInt(packed.length), 8);
    behind.writeBigUInt64LE(BigInt(content.length), 16);
    parts.push(head, Buffer.from(name), extra([0, 0]), packed, behind);
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt16LE(8, 10);
    record.writeUInt32LE(crc32(content), 16);
    record.writeUInt32LE(wide, 20);
    record.writeUInt32LE(wide, 24);
    record.writeUInt16LE(name.length, 28);
    record.writeUInt16LE(28, 30);
    record.writeUInt32LE(wide, 42);
    directory.push(record, Buffer.from(name), extra([content.length, packed.length, start]));
  }
  const start = written();
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(56);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeBigUInt64LE(BigInt(list.length), 40);
  end.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + list.length), 8);
  const tail = Buffer.alloc(22, 0xff);
  tail.writeUInt32LE(0x06054b50, 0);
  tail.writeUInt16LE(0, 20);
  return Buffer.concat([...parts, list, end, locator, tail]);
}

function extra(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * numbers.length);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(8 * numbers.length, 2);
  for (const [at, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), 4 + 8 * at);
  return bytes;
}
