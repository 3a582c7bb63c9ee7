/**
 * Who read what, asked from the side of a write: given a changed key of an index, which owners read it? Most reads are single keys, so
 * those lie in a hash map; the rest in an interval tree per index.
 */
import type { ReadRange } from "../model/commit.ts";
import { openIntervals, type Intervals } from "./intervals.ts";

/** Most keys have one reader; a Set for it would weigh as much as the rest of its entry. */
type PerIndex<T> = { readonly points: Map<string, T | Set<T>>; readonly ranges: Intervals<T> };

/** An owner may be anything but undefined and a Set. */
export type RangeIndex<T> = {
  add(reads: readonly ReadRange[], owner: T): void;
  /** With the same reads it was added with. */
  remove(reads: readonly ReadRange[], owner: T): void;
  visit(write: { readonly index: string; readonly key: Uint8Array }, visit: (owner: T) => void): void;
};

export function openRangeIndex<T>(): RangeIndex<T> {
  const indexes = new Map<string, PerIndex<T>>();
  const get = (name: string): PerIndex<T> => {
    let found = indexes.get(name);
    if (!found) indexes.set(name, (found = { points: new Map(), ranges: openIntervals() }));
    return found;
  };
  return {
    add(reads, owner) {
      for (const { index, lower, upper } of reads) {
        const { points, ranges } = get(index);
        if (!isPoint(lower, upper)) {
          ranges.add(lower, upper, owner);
          continue;
        }
        const key = textOf(lower);
        const owners = points.get(key);
        if (owners instanceof Set) owners.add(owner);
        else if (owners === undefined) points.set(key, owner);
        else if (owners !== owner) points.set(key, new Set([owners, owner]));
      }
    },
    remove(reads, owner) {
      for (const { index, lower, upper } of reads) {
        const found = indexes.get(index);
        if (!found) continue;
        if (isPoint(lower, upper)) {
          const key = textOf(lower);
          const owners = found.points.get(key);
          if (owners instanceof Set) owners.delete(owner);
          if (owners === owner || (owners instanceof Set && owners.size === 0)) found.points.delete(key);
        } else found.ranges.remove(lower, upper, owner);
        if (found.points.size === 0 && found.ranges.isEmpty()) indexes.delete(index);
      }
    },
    visit({ index, key }, visit) {
      const found = indexes.get(index);
      if (!found) return;
      const owners = found.points.get(textOf(key));
      if (owners instanceof Set) for (const owner of owners) visit(owner);
      else if (owners !== undefined) visit(owners);
      found.ranges.visit(key, visit);
    },
  };
}

/** A point is [key, key + 0x00). */
function isPoint(lower: Uint8Array, upper: Uint8Array): boolean {
  return upper.length === lower.length + 1 && upper[lower.length] === 0 && Buffer.compare(lower, upper.subarray(0, -1)) === 0;
}

/** One character per byte: a key that a Map can hash. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
