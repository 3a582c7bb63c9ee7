/**
 * Document ids as Convex writes them: table number as LEB128, sixteen bytes, a Fletcher-16 sum modulo 256 in little-endian order, in
 * lowercase Crockford base 32. Ids made here stay valid on the real backend after an export and import.
 */
import { randomFillSync } from "node:crypto";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const digits = new Int8Array(128).fill(-1);
for (let at = 0; at < alphabet.length; at++) digits[alphabet.charCodeAt(at)] = at;

export const internalIdBytes = 16;
const dayMs = 86_400_000;

export type DecodedId = { readonly table: number; readonly id: Uint8Array };

export function encodeId(table: number, id: Uint8Array): string {
  const bytes: number[] = [];
  let rest = table;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest, ...id);
  let low = 0;
  let high = 0;
  for (const byte of bytes) {
    low = (low + byte) & 255;
    high = (high + low) & 255;
  }
  bytes.push(low, high);
  let text = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(buffer >> bits) & 31];
    }
  }
  if (bits > 0) text += alphabet[(buffer << (5 - bits)) & 31];
  return text;
}

const decoded = new Uint8Array(24); // 37 digits hold 23 bytes.

/** Undefined for anything that is not exactly what `encodeId` writes. */
export function decodeId(text: string): DecodedId | undefined {
  if (text.length < 31 || text.length > 37) return undefined;
  let size = 0;
  let buffer = 0;
  let bits = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = digits[text.charCodeAt(at)] ?? -1;
    if (digit < 0) return undefined;
    buffer = ((buffer << 5) | digit) & 0xffff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      decoded[size++] = (buffer >> bits) & 255;
    }
  }
  // A digit too many, or bits in the last one that stand for nothing.
  if (bits >= 5 || (buffer & ((1 << bits) - 1)) !== 0) return undefined;
  let table = 0;
  let scale = 1;
  let length = 0;
  for (;;) {
    if (length === 5) return undefined;
    const byte = decoded[length++]!;
    table += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) {
      // Zero at the end of a longer number would be a second way to write it.
      if (byte === 0) return undefined;
      break;
    }
  }
  if (table > 0xffff_ffff || size !== length + internalIdBytes + 2) return undefined;
  let low = 0;
  let high = 0;
  for (let at = 0; at < size - 2; at++) {
    low = (low + decoded[at]!) & 255;
    high = (high + low) & 255;
  }
  if (decoded[size - 2] !== low || decoded[size - 1] !== high) return undefined;
  return { table, id: decoded.slice(length, length + internalIdBytes) };
}

const random = new Uint8Array(14 * 256);
let taken = random.length;

/** Fourteen random bytes, then the day, so that rows of one day lie together in no order but old ids look old. */
export function newInternalId(nowMs: number): Uint8Array {
  if (taken + 14 > random.length) {
    randomFillSync(random);
    taken = 0;
  }
  const id = new Uint8Array(internalIdBytes);
  id.set(random.subarray(taken, taken + 14));
  taken += 14;
  const day = Math.floor(nowMs / dayMs);
  id[14] = (day >> 8) & 255;
  id[15] = day & 255;
  return id;
}
