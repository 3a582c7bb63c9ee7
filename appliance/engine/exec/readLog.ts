/**
 * What a query has read so far, in memory that outlives its thread. When a run must be ended together with its thread, its error stays
 * true until something in these ranges is written; without them nobody could say when to ask again. A walk is noted whole when it
 * begins, so the log may hold more than was read and never less.
 */
import type { ReadRange } from "../model/commit.ts";

const logBytes = 64 * 1024;
const headBytes = 16; // The snapshot, then how much of the log is used.
const lengthAt = 2; // As an Int32 index.
/** Lengths of name, lower and upper. */
const entryHeadBytes = 6;
const partBytesMax = 0xffff;
/** Above every key of every index. */
const top = new Uint8Array(18).fill(0xff);
const bottom = new Uint8Array(0);

export type ReadLog = {
  /** A run begins; what was noted before is forgotten. */
  begin(ts: bigint): void;
  note(range: ReadRange): void;
};

/** What a run that never ended had read, and at which snapshot. */
export type Seen = { readonly ts: bigint; readonly reads: readonly ReadRange[] };

export function newReadMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(headBytes + logBytes);
}

/** The query thread's side. */
export function openReadLog(memory: SharedArrayBuffer): ReadLog {
  const snapshot = new BigInt64Array(memory, 0, 1);
  const words = new Int32Array(memory, 0, headBytes / 4);
  const bytes = Buffer.from(memory, headBytes);
  const names = new Map<string, Buffer>();
  /** Indexes noted whole, once there was no room for more ranges. */
  let whole: Set<string> | undefined;

  const nameBytes = (index: string): Buffer => {
    let name = names.get(index);
    if (!name) names.set(index, (name = Buffer.from(index)));
    return name;
  };

  const append = (index: string, lower: Uint8Array, upper: Uint8Array): boolean => {
    const name = nameBytes(index);
    let at = words[lengthAt] as number;
    const end = at + entryHeadBytes + name.length + lower.length + upper.length;
    if (end > logBytes || lower.length > partBytesMax || upper.length > partBytesMax) return false;
    at = bytes.writeUInt16LE(name.length, at);
    at = bytes.writeUInt16LE(lower.length, at);
    at = bytes.writeUInt16LE(upper.length, at);
    bytes.set(name, at);
    bytes.set(lower, at + name.length);
    bytes.set(upper, at + name.length + lower.length);
    words[lengthAt] = end;
    return true;
  };

  const appendWhole = (index: string): void => {
    if (!whole || whole.has(index)) return;
    whole.add(index);
    append(index, bottom, top);
  };

  return {
    begin(ts) {
      snapshot[0] = ts;
      words[lengthAt] = 0;
      whole = undefined;
    },
    note({ index, lower, upper }) {
      if (whole) return appendWhole(index);
      if (append(index, lower, upper)) return;
      const noted = new Set(entries(bytes, words[lengthAt] as number).map((one) => one.index));
      words[lengthAt] = 0;
      whole = new Set();
      for (const one of noted.add(index)) appendWhole(one);
    },
  };
}

/** The watchman's side, once the thread is gone. */
export function readSeen(memory: SharedArrayBuffer): Seen {
  const [ts = 0n] = new BigInt64Array(memory, 0, 1);
  const length = new Int32Array(memory, 0, headBytes / 4)[lengthAt] as number;
  return { ts, reads: entries(Buffer.from(memory, headBytes), length) };
}

function entries(bytes: Buffer, length: number): ReadRange[] {
  const found: ReadRange[] = [];
  for (let at = 0; at < length;) {
    const nameEnd = at + entryHeadBytes + bytes.readUInt16LE(at);
    const lowerEnd = nameEnd + bytes.readUInt16LE(at + 2);
    const upperEnd = lowerEnd + bytes.readUInt16LE(at + 4);
    found.push({
      index: bytes.toString("utf8", at + entryHeadBytes, nameEnd),
      lower: Uint8Array.from(bytes.subarray(nameEnd, lowerEnd)),
      upper: Uint8Array.from(bytes.subarray(lowerEnd, upperEnd)),
    });
    at = upperEnd;
  }
  return found;
}
