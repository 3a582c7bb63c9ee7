/** Payload indexes: which slots hold which values of one key, in memory, rebuilt at start. They answer or say that they cannot. */
import { isAbsent, isObject, refuseOthers, toText, type Json } from "../body.ts";
import { intersect, keep, SlotList, union } from "../index/slots.ts";
import { badFormat, unsupported } from "../refusal.ts";
import { toMicros } from "./datetime.ts";
import type { FieldIndex, Term } from "./fieldIndex.ts";
import { isWithin, type Test } from "./filter.ts";
import { findGeoPoint, isInside, isOnGlobe, type GeoPoint } from "./geo.ts";
import { textIndex } from "./textIndex.ts";
import { parseTokenizer } from "./tokens.ts";

const placing = ["type", "on_disk", "memory", "enable_hnsw"];

/** What each type takes, and how it is opened. */
const kinds = {
  keyword: {
    params: ["is_tenant", "prefix"],
    open: () => termIndex((value) => (typeof value === "string" ? value : undefined)),
  },
  uuid: { params: ["is_tenant"], open: () => termIndex(toUuid) },
  bool: { params: [], open: () => termIndex((value) => (typeof value === "boolean" ? value : undefined)) },
  integer: {
    params: ["lookup", "range", "is_principal"],
    open: () => numberIndex("range", (value) => (Number.isInteger(value) ? (value as number) : undefined), { isCountable: true }),
  },
  float: {
    params: ["is_principal"],
    open: () => numberIndex("range", (value) => (typeof value === "number" ? value : undefined)),
  },
  datetime: {
    params: ["is_principal"],
    open: () => numberIndex("datetime", (value) => (typeof value === "string" ? toMicros(value) : undefined)),
  },
  geo: { params: [], open: () => geoIndex() },
  text: {
    params: [
      "tokenizer",
      "min_token_len",
      "max_token_len",
      "lowercase",
      "ascii_folding",
      "phrase_matching",
      "stopwords",
      "stemmer",
    ],
    open: (params) => textIndex(parseTokenizer(params)),
  },
} as const satisfies Record<string, { params: readonly string[]; open: (params: Json) => FieldIndex }>;

export type IndexKind = keyof typeof kinds;
/** As it was asked for, and as `payload_schema` shows it. */
export type FieldSchema = { readonly kind: IndexKind; readonly params?: Readonly<Record<string, unknown>> };

export function parseFieldSchema(value: unknown): FieldSchema {
  if (isAbsent(value)) throw unsupported("payload index without a `field_schema`");
  const kind = isObject(value) ? toText(value["type"], "field_schema.type") : value;
  if (typeof kind !== "string" || !Object.hasOwn(kinds, kind))
    throw badFormat(`field_schema: unknown type ${JSON.stringify(kind)}`);
  const schema: FieldSchema = { kind: kind as IndexKind, ...(isObject(value) && { params: value }) };
  refuseOthers(schema.params ?? {}, [...placing, ...kinds[schema.kind].params], `a payload index of type \`${kind}\``);
  // Opened once to be refused now what could not be opened later.
  openFieldIndex(schema);
  return schema;
}

export const openFieldIndex = ({ kind, params }: FieldSchema): FieldIndex => kinds[kind].open(params ?? {});

const uuidForm = /^(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i;

/** As it is shown: hyphenated, in small letters. */
function toUuid(value: unknown): string | undefined {
  const parts = typeof value === "string" ? uuidForm.exec(value) : null;
  return parts?.slice(1).join("-").toLowerCase();
}

/** One list of slots per value. */
function termIndex(toTerm: (value: unknown) => string | boolean | undefined): FieldIndex {
  const lists = new Map<string | boolean, SlotList>();
  let points = 0;
  const termsOf = (values: readonly unknown[]): Set<string | boolean> =>
    new Set(values.map(toTerm).filter((term) => term !== undefined));
  const listsFor = (test: Test): SlotList[] | undefined => {
    if (test.type !== "any" || test.values.some((value) => toTerm(value) === undefined)) return undefined;
    return [...new Set(test.values.map(toTerm))].map((value) => lists.get(value!)).filter((list) => list !== undefined);
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
    counts: (among) =>
      new Map(
        lists
          .entries()
          .map(([term, list]): [Term, number] => [term, intersect(list.view(), among).length])
          .filter(([, count]) => count > 0),
      ),
  };
}

/** One number per slot; slots with several values are kept aside. */
function numberIndex(
  range: "range" | "datetime",
  toNumber: (value: unknown) => number | undefined,
  { isCountable = false } = {},
): FieldIndex {
  let column = new Float64Array(64).fill(Number.NaN);
  const many = new Map<number, readonly number[]>();
  let points = 0;
  const numbersOf = (values: readonly unknown[]): number[] => [
    ...new Set(values.map(toNumber).filter((number) => number !== undefined)),
  ];
  const testOf = (test: Test): ((value: number) => boolean) | undefined => {
    if (test.type === range) return (value) => isWithin(value, test.bounds);
    if (range !== "range" || test.type !== "any" || test.values.some((value) => typeof value !== "number")) return undefined;
    const wanted = new Set(test.values as readonly number[]);
    return (value) => wanted.has(value);
  };
  const numbers = (slot: number): readonly number[] => {
    const value = column[slot] ?? Number.NaN;
    return Number.isNaN(value) ? [] : (many.get(slot) ?? [value]);
  };
  const counts = (among: Uint32Array): Map<Term, number> => {
    const found = new Map<Term, number>();
    for (const slot of among) for (const value of numbers(slot)) found.set(value, (found.get(value) ?? 0) + 1);
    return found;
  };
  return {
    numbers,
    ...(isCountable && { counts }),
    get points() {
      return points;
    },
    add(slot, values) {
      const given = numbersOf(values);
      if (given.length === 0) return;
      if (slot >= column.length) {
        const grown = new Float64Array(Math.max(slot + 1, Math.ceil(column.length * 1.5))).fill(Number.NaN);
        grown.set(column);
        column = grown;
      }
      column[slot] = given[0]!;
      if (given.length > 1) many.set(slot, given);
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

/** The places of each slot. */
function geoIndex(): FieldIndex {
  const places = new Map<number, readonly GeoPoint[]>();
  const placesOf = (values: readonly unknown[]): GeoPoint[] =>
    values.map(findGeoPoint).filter((point) => point !== undefined && isOnGlobe(point)) as GeoPoint[];
  return {
    get points() {
      return places.size;
    },
    add(slot, values) {
      const found = placesOf(values);
      if (found.length > 0) places.set(slot, found);
    },
    remove(slot) {
      places.delete(slot);
    },
    select(test, among) {
      if (test.type !== "geo") return undefined;
      return keep(among, (slot) => places.get(slot)?.some((point) => isInside(test.area, point)) ?? false);
    },
    estimate: (test) => (test.type === "geo" ? places.size : undefined),
  };
}
