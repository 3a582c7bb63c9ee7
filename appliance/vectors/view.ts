/** Points as answers show them: which parts of the payload and which vectors were asked for. */
import { isAbsent, isObject, toArray, toText, type Json } from "./body.ts";
import type { Collection } from "./collection.ts";
import { unnamed } from "./config.ts";
import { keepOnly, parsePath, withoutKey } from "./filter/payloadPath.ts";
import type { Hit } from "./index/ranking.ts";
import { badFormat } from "./refusal.ts";
import { isRows, isTerms, rowsOf, type VectorValue } from "./index/values.ts";

export type Wanted = {
  /** What to show of a payload; absent for nothing. */
  readonly payload?: (payload: Json) => Json;
  /** Names, or all; absent for none. */
  readonly vectors?: readonly string[] | "all";
};

export function parseWanted(body: Json, defaults: { payload: boolean }): Wanted {
  const payload = parsePayload(body["with_payload"] ?? defaults.payload);
  const vectors = parseVectors(body["with_vector"]);
  return { ...(payload && { payload }), ...(vectors && { vectors }) };
}

function parsePayload(value: unknown): Wanted["payload"] {
  if (value === false) return undefined;
  if (value === true) return (payload) => payload;
  const selector = Array.isArray(value) ? { include: value as unknown } : value;
  if (!isObject(selector)) throw badFormat("with_payload: expected a boolean, a list of keys, or include / exclude");
  if (!isAbsent(selector["exclude"])) {
    const paths = toArray(selector["exclude"], "with_payload.exclude").map(parsePath);
    return (payload) => paths.reduce(withoutKey, payload);
  }
  const paths = toArray(selector["include"], "with_payload.include").map(parsePath);
  return (payload) => keepOnly(payload, paths);
}

function parseVectors(value: unknown): Wanted["vectors"] {
  if (isAbsent(value) || value === false) return undefined;
  if (value === true) return "all";
  return toArray(value, "with_vector").map((name) => toText(name, "with_vector"));
}

export function viewRecord(collection: Collection, slot: number, wanted: Wanted, order?: number): Json {
  const place = order === undefined ? {} : { order_value: order };
  return { id: collection.ids.get(slot), ...viewParts(collection, slot, wanted), ...place };
}

export function viewHit(collection: Collection, { slot, score, order }: Hit, wanted: Wanted): Json {
  const place = order === undefined ? {} : { order_value: order };
  const [id, version] = [collection.ids.get(slot), collection.versionOf(slot)];
  return { id, version, score, ...viewParts(collection, slot, wanted), ...place };
}

/** The payload is read only where it is shown: most of what is ranked is not. */
function viewParts(collection: Collection, slot: number, wanted: Wanted): Json {
  return {
    ...(wanted.payload && { payload: wanted.payload(collection.payload(slot)) }),
    ...(wanted.vectors && { vector: viewVectors(collection, slot, wanted.vectors) }),
  };
}

function viewVectors(collection: Collection, slot: number, names: readonly string[] | "all"): unknown {
  const shown = new Map<string, unknown>();
  for (const [name, field] of collection.fields) {
    if (names !== "all" && !names.includes(name)) continue;
    const value = field.get(slot);
    if (value) shown.set(name, viewVector(value));
  }
  return shown.size === 1 && shown.has(unnamed) ? shown.get(unnamed) : Object.fromEntries(shown);
}

function viewVector(value: VectorValue): unknown {
  if (isRows(value)) return Array.from(rowsOf(value), (row) => [...row]);
  return isTerms(value) ? { indices: [...value.indices], values: [...value.values] } : [...value];
}
