/**
 * Which of so many slices a point belongs to: the same on every machine and for ever, because clients share work by it. Qdrant's rule:
 * SipHash-2-4 with a key of zeros over the id (integers as 8 bytes, little end first; UUIDs as their 16), modulo the slices.
 */

/** Whether the id, as pointId.ts packs it, is in slice `index` of `total`. */
export function isInSlice(id: Uint8Array, { total, index }: { total: number; index: number }): boolean {
  const isInteger = id[0] === 0;
  const bytes = isInteger ? id.slice(1, 9).reverse() : id.subarray(1, 17);
  const { high, low } = sipHash(bytes);
  const remainder =
    total <= smallTotal
      ? ((high % total) * 2 ** 32 + low) % total
      : Number(((BigInt(high) << 32n) | BigInt(low)) % BigInt(total));
  return remainder === index;
}

// Up to here the arithmetic above fits a double exactly.
const smallTotal = 2 ** 20;

/** 64-bit words as pairs of 32-bit halves, low first: doubles cannot hold them and BigInt is forty times slower. */
function sipHash(bytes: Uint8Array): { high: number; low: number } {
  const v = new Uint32Array([0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462]);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += 8) absorb(v, view.getUint32(at, true), view.getUint32(at + 4, true));
  // Lengths here are multiples of eight, so the last word holds nothing but the length.
  absorb(v, 0, (bytes.length << 24) >>> 0);
  v[4]! ^= 0xff;
  for (let i = 0; i < 4; i++) round(v);
  return { low: (v[0]! ^ v[2]! ^ v[4]! ^ v[6]!) >>> 0, high: (v[1]! ^ v[3]! ^ v[5]! ^ v[7]!) >>> 0 };
}

function absorb(v: Uint32Array, low: number, high: number): void {
  v[6]! ^= low;
  v[7]! ^= high;
  round(v);
  round(v);
  v[0]! ^= low;
  v[1]! ^= high;
}

/** One SipRound over v0…v3, which stand at 0, 2, 4 and 6. */
function round(v: Uint32Array): void {
  add(v, 0, 2);
  turn(v, 2, 13);
  mix(v, 2, 0);
  turn(v, 0, 32);
  add(v, 4, 6);
  turn(v, 6, 16);
  mix(v, 6, 4);
  add(v, 0, 6);
  turn(v, 6, 21);
  mix(v, 6, 0);
  add(v, 4, 2);
  turn(v, 2, 17);
  mix(v, 2, 4);
  turn(v, 4, 32);
}

function add(v: Uint32Array, to: number, from: number): void {
  const low = v[to]! + v[from]!;
  v[to + 1] = v[to + 1]! + v[from + 1]! + (low > 0xffffffff ? 1 : 0);
  v[to] = low;
}

function mix(v: Uint32Array, to: number, from: number): void {
  v[to]! ^= v[from]!;
  v[to + 1]! ^= v[from + 1]!;
}

/** Rotates left. */
function turn(v: Uint32Array, at: number, bits: number): void {
  const [low, high] = [v[at]!, v[at + 1]!];
  if (bits === 32) {
    v[at] = high;
    v[at + 1] = low;
    return;
  }
  v[at] = (low << bits) | (high >>> (32 - bits));
  v[at + 1] = (high << bits) | (low >>> (32 - bits));
}
