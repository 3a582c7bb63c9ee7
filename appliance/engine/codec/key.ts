/**
 * Index keys: bytes whose memcmp order, which is also SQLite's BLOB order, is Convex's order of values. Every encoded value is
 * self-delimiting, so a prefix of fields is a prefix of bytes and a range of values is a half-open range of keys.
 */
import { toSpecial, type Json } from "./value.ts";

const tag = {
  undefined: 0x01,
  null: 0x03,
  int64: 0x05,
  float: 0x0d,
  false: 0x0e,
  true: 0x0f,
  string: 0x10,
  bytes: 0x11,
  array: 0x12,
  object: 0x15,
} as const;

let buffer = Buffer.allocUnsafeSlow(16 * 1024);
let length = 0;

function reserve(extra: number): void {
  if (length + extra <= buffer.length) return;
  const grown = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, length + extra));
  buffer.copy(grown, 0, 0, length);
  buffer = grown;
}

function put(byte: number): void {
  reserve(1);
  buffer[length++] = byte;
}

/** 0x00 ends; 0x00 and 0x01 inside are written as two bytes each, which keeps both order and self-delimitation. */
function putEscaped(bytes: Uint8Array): void {
  reserve(bytes.length * 2 + 1);
  for (const byte of bytes) {
    if (byte <= 1) {
      buffer[length++] = 1;
      buffer[length++] = byte + 1;
    } else buffer[length++] = byte;
  }
  buffer[length++] = 0;
}

function putString(text: string): void {
  put(tag.string);
  reserve(text.length * 6 + 1);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 127) return putTail(text.slice(at));
    if (code <= 1) {
      buffer[length++] = 1;
      buffer[length++] = code + 1;
    } else buffer[length++] = code;
  }
  buffer[length++] = 0;
}

function putTail(text: string): void {
  putEscaped(Buffer.from(text, "utf8"));
}

function putFloat(value: number): void {
  reserve(9);
  buffer[length] = tag.float;
  buffer.writeDoubleBE(value, length + 1);
  // Bits as a total order: negative numbers upside down, the others above them.
  if ((buffer[length + 1] as number) & 0x80) for (let at = 1; at <= 8; at++) buffer[length + at]! ^= 0xff;
  else buffer[length + 1]! ^= 0x80;
  length += 9;
}

function putInt64(value: bigint): void {
  reserve(9);
  buffer[length] = tag.int64;
  buffer.writeBigInt64BE(value, length + 1);
  buffer[length + 1]! ^= 0x80;
  length += 9;
}

function putValue(value: Json | undefined): void {
  if (value === undefined) return put(tag.undefined);
  if (value === null) return put(tag.null);
  if (typeof value === "boolean") return put(value ? tag.true : tag.false);
  if (typeof value === "number") return putFloat(value);
  if (typeof value === "string") return putString(value);
  if (Array.isArray(value)) {
    put(tag.array);
    for (const one of value) putValue(one);
    return put(0);
  }
  const special = toSpecial(value);
  if (special?.type === "int64") return putInt64(special.value);
  if (special?.type === "float") return putFloat(special.value);
  if (special?.type === "undefined" || special?.type === "commitTs") return put(tag.undefined);
  if (special) {
    put(tag.bytes);
    return putEscaped(special.value);
  }
  put(tag.object);
  for (const key of Object.keys(value).toSorted()) {
    putString(key);
    putValue(value[key]);
  }
  put(0);
}

function taken(): Uint8Array {
  // A copy with its own memory: slices of a pool would drag the pool along when sent to another thread. And no Buffer, whose own
  // `slice` is a view: a bound derived from a key would change the key.
  return new Uint8Array(buffer.subarray(0, length));
}

/** The values one after the other. `undefined` is a missing field. */
export function encodeKey(values: readonly (Json | undefined)[]): Uint8Array {
  length = 0;
  for (const value of values) putValue(value);
  return taken();
}

/** A whole index key: the indexed values, then the creation time and the id, which make it unique. */
export function encodeEntry(values: readonly (Json | undefined)[], creationTime: number, id: Uint8Array): Uint8Array {
  length = 0;
  for (const value of values) putValue(value);
  putFloat(creationTime);
  reserve(id.length);
  buffer.set(id, length);
  length += id.length;
  return taken();
}

/** The first key after all those that begin with these bytes. No tag is 0xff, so one such byte is above every key. */
export function afterPrefix(prefix: Uint8Array): Uint8Array {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return Uint8Array.of(0xff, ...new Uint8Array(internalRoom).fill(0xff));
  const next = prefix.slice(0, end);
  next[end - 1]! += 1;
  return next;
}
// Ids are raw bytes and may begin with 0xff; sixteen more make the bound higher than any of them.
const internalRoom = 17;

/** The first key after this one. */
export function afterKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Convex's order of two values; undefined is a missing field. */
export function compareValues(a: Json | undefined, b: Json | undefined): number {
  if (typeof a === "number" && typeof b === "number" && !Object.is(a, -0) && !Object.is(b, -0)) return a - b;
  return Buffer.compare(encodeKey([a]), encodeKey([b]));
}
