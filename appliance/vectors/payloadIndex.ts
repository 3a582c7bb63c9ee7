/** Payload indexes: which slots hold which values of one key, in memory, rebuilt at start. They answer or say that they cannot. */
import { isAbsent, isObject, toText } from "./body.ts";
import { toMicros } from "./datetime.ts";
import { isWithin, type Test } from "./filter.ts";
import { badFormat, unsupported } from "./refusal.ts";
import { keep, SlotList, union } from "./slots.ts";

export type FieldIndex = {
  /** Points that have a value here. */
  readonly points: number;
  add(slot: number, values: readonly unknown[]): void;
  /** `values` is what was added. */
  remove(slot: number, values: readonly unknown[]): void;
  /** The slots that pass, exactly; undefined when this index cannot tell. The result is among `among` when that is cheaper. */
  select(test: Test, among: Uint32Array): Uint32Array | undefined;
  /** How many slots a test will at most select, for ordering conditions; undefined when it cannot tell. */
  estimate(test: Test): number | undefined;
  /** Every value with its slots, where values are few: what facets count. */
  terms?(): Iterable<[string | boolean, Uint32Array]>;
};

const kinds = {
  keyword: () => termIndex((value) => (typeof value === "string" ? value : undefined)),
  uuid: () => termIndex((value) => (typeof value === "string" ? value : undefined)),
  bool: () => termIndex((value) => (typeof value === "boolean" ? value : undefined)),
  integer: () => numberIndex("range", (value) => (typeof value === "number" ? value : undefined)),
  float: () => numberIndex("range", (value) => (typeof value === "number" ? value : undefined)),
  datetime: () => numberIndex("datetime", (value) => (typeof value === "string" ? toMicros(value) : undefined)),
} as const;

export type IndexKind = keyof typeof kinds;
/** As it was asked for, and as `payload_schema` shows it. */
export type FieldSchema = { readonly kind: IndexKind; readonly params?: Readonly<Record<string, unknown>> };

export function parseFieldSchema(value: unknown): FieldSchema {
  if (isAbsent(value)) throw unsupported("payload index without a `field_schema`");
  const kind = isObject(value) ? toText(value["type"], "field_schema.type") : value;
  if (kind === "text" || kind === "geo") throw unsupported(`payload index of type \`${kind}\``);
  if (typeof kind !== "string" || !Object.hasOwn(kinds, kind))
    throw badFormat(`field_schema: unknown type ${JSON.stringify(kind)}`);
  return { kind: kind as IndexKind, ...(isObject(value) && { params: value }) };
}

export const openFieldIndex = ({ kind }: FieldSchema): FieldIndex => kinds[kind]();

/** One list of slots per value. */
function termIndex(toTerm: (value: unknown) => string | boolean | undefined): FieldIndex {
  const lists = new Map<string | boolean, SlotList>();
  let points = 0;
  const termsOf = (values: readonly unknown[]): Set<string | boolean> =>
    new Set(values.map(toTerm).filter((term) => term !== undefined));
  const listsFor = (test: Test): SlotList[] | undefined => {
    if (test.type !== "any" || test.values.some((value) => toTerm(value) === undefined)) return undefined;
    return [...new Set(test.values)].map((value) => lists.get(value as string)).filter((list) => list !== undefined);
  };
  return {
    get points() {
      return points;
    },
    add(slot, values) {
      const terms = termsOf(values);
      for (const term of terms) {
        let list = lists.get(term);
        if (!list) lists.set(term, (list = new SlotList()));
        list.add(slot);
      }
      if (terms.size > 0) points++;
    },
    remove(slot, values) {
      const terms = termsOf(values);
      for (const term of terms) {
        const list = lists.get(term);
        list?.delete(slot);
        if (list?.size === 0) lists.delete(term);
      }
      if (terms.size > 0) points--;
    },
    select(test) {
      const found = listsFor(test);
      return found && union(found.map((list) => list.view()));
    },
    estimate: (test) => listsFor(test)?.reduce((sum, list) => sum + list.size, 0),
    *terms() {
      for (const [term, list] of lists) yield [term, list.view()];
    },
  };
}

/** One number per slot; slots with several values are kept aside. */
function numberIndex(range: "range" | "datetime", toNumber: (value: unknown) => number | undefined): FieldIndex {
  let column = new Float64Array(64).fill(Number.NaN);
  const many = new Map<number, readonly number[]>();
  let points = 0;
  const numbersOf = (values: readonly unknown[]): number[] => values.map(toNumber).filter((number) => number !== undefined);
  const testOf = (test: Test): ((value: number) => boolean) | undefined => {
    if (test.type === range) return (value) => isWithin(value, test.bounds);
    if (range !== "range" || test.type !== "any" || test.values.some((value) => typeof value !== "number")) return undefined;
    const wanted = new Set(test.values as readonly number[]);
    return (value) => wanted.has(value);
  };
  return {
    get points() {
      return points;
    },
    add(slot, values) {
      const numbers = numbersOf(values);
      if (numbers.length === 0) return;
      if (slot >= column.length) {
        const grown = new Float64Array(Math.max(slot + 1, Math.ceil(column.length * 1.5))).fill(Number.NaN);
        grown.set(column);
        column = grown;
      }
      column[slot] = numbers[0]!;
      if (numbers.length > 1) many.set(slot, numbers);
      points++;
    },
    remove(slot, values) {
      if (numbersOf(values).length === 0) return;
      column[slot] = Number.NaN;
      many.delete(slot);
      points--;
    },
    select(test, among) {
      const passes = testOf(test);
      if (!passes) return undefined;
      return keep(among, (slot) => {
        const value = column[slot] ?? Number.NaN;
        return !Number.isNaN(value) && (passes(value) || (many.get(slot)?.some(passes) ?? false));
      });
    },
    estimate: (test) => (testOf(test) ? points : undefined),
  };
}
