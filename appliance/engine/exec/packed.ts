/**
 * Keys on their way between threads: all of one message in one buffer. Sent one by one, each small array would cost as much as the rest
 * of the message together.
 */
import type { ReadRange } from "../model/commit.ts";

export type PackedKeys = { readonly names: readonly string[]; readonly ends: readonly number[]; readonly bytes: Uint8Array };

/** `keys` holds one or two per name; the reader knows which. */
export function packKeys(names: readonly string[], keys: readonly Uint8Array[]): PackedKeys {
  let total = 0;
  for (const key of keys) total += key.length;
  const bytes = new Uint8Array(total);
  const ends: number[] = [];
  let at = 0;
  for (const key of keys) {
    bytes.set(key, at);
    at += key.length;
    ends.push(at);
  }
  return { names, ends, bytes };
}

/** Two keys per name. */
export function packRanges(ranges: readonly ReadRange[]): PackedKeys {
  return packKeys(
    ranges.map((one) => one.index),
    ranges.flatMap((one) => [one.lower, one.upper]),
  );
}

export function unpackKeys({ ends, bytes }: PackedKeys): Uint8Array[] {
  let from = 0;
  return ends.map((end) => {
    const key = bytes.subarray(from, end);
    from = end;
    return key;
  });
}
