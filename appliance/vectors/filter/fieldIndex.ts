/** What an index over one key of the payload can be asked. */
import type { Test } from "./filter.ts";

/** A value that is a category. */
export type Term = string | number | boolean;

export type FieldIndex = {
  /** Points that have a value here. */
  readonly points: number;
  add(slot: number, values: readonly unknown[]): void;
  /** `values` is what was added. */
  remove(slot: number, values: readonly unknown[]): void;
  /** Both in one, where much of what was added stays. */
  replace?(slot: number, before: readonly unknown[], after: readonly unknown[]): void;
  /** The slots that pass, exactly; undefined when this index cannot tell. The result is among `among` when that is cheaper. */
  select(test: Test, among: Uint32Array): Uint32Array | undefined;
  /** How many slots a test will at most select, for ordering conditions; undefined when it cannot tell. */
  estimate(test: Test): number | undefined;
  /** How many of these slots hold each value: what facets show. Absent where values are no categories. */
  counts?(among: Uint32Array): Map<Term, number>;
  /** The numbers of a slot: what points are ordered by. Absent where there are none. */
  numbers?(slot: number): readonly number[];
};
