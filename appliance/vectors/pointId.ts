/**
 * Point ids as bytes. Integers come before UUIDs and each in its own order, so comparing bytes is comparing ids: SQLite's index over
 * the bytes is the scroll order.
 */
import { badFormat, unsupported } from "./refusal.ts";

type PointId = number | string;

/** Longest form: a tag and sixteen bytes. */
export const idBytesMax = 17;
const integerBytes = 9;
const integerTag = 0;
const uuidTag = 1;
const uuidForm = /^(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i;

/** Undefined for what is no id. */
export function findIdBytes(id: string | number): Uint8Array | undefined {
  const isId = typeof id === "string" ? uuidForm.test(id) : Number.isSafeInteger(id) && id >= 0;
  return isId ? toIdBytes(id) : undefined;
}

export function toIdBytes(id: unknown): Uint8Array {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0) {
    if (!Number.isSafeInteger(id)) throw unsupported("integer ids above 2^53 - 1 (use UUIDs)");
    const bytes = Buffer.alloc(integerBytes);
    bytes[0] = integerTag;
    bytes.writeUInt32BE(Math.floor(id / 2 ** 32), 1);
    bytes.writeUInt32BE(id % 2 ** 32, 5);
    return bytes;
  }
  const parts = typeof id === "string" ? uuidForm.exec(id) : null;
  if (!parts) {
    throw badFormat(`value ${JSON.stringify(id)} is not a valid point ID, valid values are either an unsigned integer or a UUID`);
  }
  const bytes = Buffer.alloc(idBytesMax);
  bytes[0] = uuidTag;
  bytes.write(parts.slice(1).join(""), 1, "hex");
  return bytes;
}

export function fromIdBytes(bytes: Uint8Array): PointId {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer[0] === integerTag) return buffer.readUInt32BE(1) * 2 ** 32 + buffer.readUInt32BE(5);
  const hex = buffer.toString("hex", 1, idBytesMax);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The id of every slot, packed: what ties are broken by, without asking the database. */
export class SlotIds {
  #bytes = new Uint8Array(idBytesMax * 64);

  set(slot: number, id: Uint8Array): void {
    const at = slot * idBytesMax;
    if (at + idBytesMax > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(at + idBytesMax, Math.ceil(this.#bytes.length * 1.5)));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.fill(0, at, at + idBytesMax);
    this.#bytes.set(id, at);
  }

  get(slot: number): PointId {
    return fromIdBytes(this.#bytes.subarray(slot * idBytesMax, (slot + 1) * idBytesMax));
  }

  /** As `toIdBytes` packs it; valid until the next change. */
  bytes(slot: number): Uint8Array {
    const at = slot * idBytesMax;
    return this.#bytes.subarray(at, at + (this.#bytes[at] === integerTag ? integerBytes : idBytesMax));
  }

  compare(a: number, b: number): number {
    const bytes = this.#bytes;
    for (let i = 0, x = a * idBytesMax, y = b * idBytesMax; i < idBytesMax; i++, x++, y++) {
      if (bytes[x] !== bytes[y]) return bytes[x]! - bytes[y]!;
    }
    return 0;
  }

  /** Below zero when the slot's id comes before `id`. */
  compareTo(slot: number, id: Uint8Array): number {
    const at = slot * idBytesMax;
    for (let i = 0; i < idBytesMax; i++) {
      const difference = this.#bytes[at + i]! - (id[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}
