/** Filters: from JSON to a checked tree. What a condition means on a payload is in match.ts, on the indexes in select.ts. */
import { isAbsent, refuseOthers, toArray, toCount, toList, toObject, toText, type Json } from "../body.ts";
import { toIdBytes } from "../pointId.ts";
import { badFormat, invalid, unsupported } from "../refusal.ts";
import { toMicros } from "./datetime.ts";
import { parseBox, parseCircle, parsePolygon, type Area } from "./geo.ts";
import { parsePath, type Path } from "./payloadPath.ts";

type Scalar = string | number | boolean;
export type Bounds = { readonly gt?: number; readonly gte?: number; readonly lt?: number; readonly lte?: number };

/** What is asked of one element of a field. */
export type Test =
  | { readonly type: "any"; readonly values: readonly Scalar[] }
  | { readonly type: "except"; readonly values: readonly Scalar[] }
  /** All words of it where there is a text index; else as it stands inside the value. */
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "textAny"; readonly text: string }
  | { readonly type: "phrase"; readonly text: string }
  | { readonly type: "geo"; readonly area: Area }
  | { readonly type: "prefix"; readonly text: string }
  | { readonly type: "range"; readonly bounds: Bounds }
  | { readonly type: "datetime"; readonly bounds: Bounds };

export type Condition =
  | { readonly type: "field"; readonly path: Path; readonly test: Test }
  | { readonly type: "count"; readonly path: Path; readonly bounds: Bounds }
  | { readonly type: "empty"; readonly path: Path; readonly wanted: boolean }
  | { readonly type: "null"; readonly path: Path; readonly wanted: boolean }
  | { readonly type: "ids"; readonly ids: readonly Uint8Array[] }
  | { readonly type: "vector"; readonly name: string }
  | { readonly type: "slice"; readonly total: number; readonly index: number }
  | { readonly type: "nested"; readonly path: Path; readonly filter: Filter }
  | { readonly type: "filter"; readonly filter: Filter };

/** All present parts must hold; an empty list is no part. */
export type Filter = {
  readonly must: readonly Condition[];
  readonly should: readonly Condition[];
  readonly mustNot: readonly Condition[];
  readonly minShould?: { readonly conditions: readonly Condition[]; readonly count: number };
};

// Deeper trees are nobody's filter, and each level is a level of our stack.
const depthMax = 32;

export function parseFilter(value: unknown, depth = 0): Filter | undefined {
  if (isAbsent(value)) return undefined;
  if (depth > depthMax) throw invalid("filter", `nested deeper than ${depthMax}`);
  const body = toObject(value, "filter");
  refuseOthers(body, ["must", "should", "must_not", "min_should"], "a filter");
  const list = (part: unknown): Condition[] => toList(part).map((condition) => parseCondition(condition, depth));
  const minShould = isAbsent(body["min_should"]) ? undefined : toObject(body["min_should"], "filter.min_should");
  return {
    must: list(body["must"]),
    should: list(body["should"]),
    mustNot: list(body["must_not"]),
    ...(minShould && {
      minShould: {
        conditions: list(minShould["conditions"]),
        count: toCount(minShould["min_count"], "filter.min_should.min_count", { min: 0, otherwise: 0 }),
      },
    }),
  };
}

/** Both must hold. */
export function both(a: Filter | undefined, b: Filter | undefined): Filter | undefined {
  if (!a || !b) return a ?? b;
  return {
    must: [
      { type: "filter", filter: a },
      { type: "filter", filter: b },
    ],
    should: [],
    mustNot: [],
  };
}

export function parseCondition(value: unknown, depth: number): Condition {
  const body = toObject(value, "filter condition");
  if ("key" in body) return parseField(body);
  if ("has_id" in body) return { type: "ids", ids: toArray(body["has_id"], "has_id").map(toIdBytes) };
  if ("has_vector" in body) return { type: "vector", name: toText(body["has_vector"], "has_vector") };
  if ("slice" in body) return parseSlice(toObject(body["slice"], "slice"));
  if ("is_empty" in body) return { type: "empty", path: keyOf(body["is_empty"], "is_empty"), wanted: true };
  if ("is_null" in body) return { type: "null", path: keyOf(body["is_null"], "is_null"), wanted: true };
  if ("nested" in body) {
    const nested = toObject(body["nested"], "nested");
    const filter = parseFilter(nested["filter"], depth + 1);
    if (!filter) throw badFormat("nested: a filter is missing");
    return { type: "nested", path: parsePath(nested["key"]), filter };
  }
  const filter = parseFilter(body, depth + 1);
  if (!filter) throw badFormat("a filter condition must not be null");
  return { type: "filter", filter };
}

function parseSlice(body: Json): Condition {
  refuseOthers(body, ["total", "index"], "slice");
  const total = toCount(body["total"], "slice.total", { min: 1, otherwise: 1 });
  const index = toCount(body["index"], "slice.index", { min: 0, otherwise: 0 });
  if (index >= total) throw invalid("slice", "Slice index must be less than the total number of slices");
  return { type: "slice", total, index };
}

const keyOf = (value: unknown, name: string): Path => parsePath(toObject(value, name)["key"]);

const fieldTests = [
  "match",
  "range",
  "geo_radius",
  "geo_bounding_box",
  "geo_polygon",
  "values_count",
  "is_empty",
  "is_null",
] as const;

function parseField(body: Json): Condition {
  refuseOthers(body, ["key", ...fieldTests], "a field condition");
  const path = parsePath(body["key"]);
  const [test, ...others] = fieldTests.filter((name) => !isAbsent(body[name]));
  if (!test) throw invalid("filter", "At least one field condition must be specified");
  // Qdrant's own implementations disagree on what two mean together.
  if (others.length > 0) throw invalid("filter", `\`${test}\` and \`${others[0]}\` in one field condition; write two conditions`);
  switch (test) {
    case "match":
      return { type: "field", path, test: parseMatch(toObject(body["match"], "match")) };
    case "range":
      return { type: "field", path, test: parseRange(toObject(body["range"], "range")) };
    case "geo_radius":
      return { type: "field", path, test: { type: "geo", area: parseCircle(toObject(body[test], test)) } };
    case "geo_bounding_box":
      return { type: "field", path, test: { type: "geo", area: parseBox(toObject(body[test], test)) } };
    case "geo_polygon":
      return { type: "field", path, test: { type: "geo", area: parsePolygon(toObject(body[test], test)) } };
    case "values_count":
      return { type: "count", path, bounds: parseBounds(toObject(body["values_count"], "values_count"), "values_count") };
    case "is_empty":
      return { type: "empty", path, wanted: body["is_empty"] === true };
    case "is_null":
      return { type: "null", path, wanted: body["is_null"] === true };
  }
}

function parseMatch(body: Json): Test {
  const [kind, ...others] = Object.keys(body).filter((key) => !isAbsent(body[key]));
  if (others.length > 0) throw badFormat("match: exactly one of value, any, except, text, text_any, phrase, prefix is expected");
  switch (kind) {
    case "value":
      return { type: "any", values: [toScalar(body["value"])] };
    case "any":
      return { type: "any", values: toArray(body["any"], "match.any").map(toScalar) };
    case "except":
      return { type: "except", values: toArray(body["except"], "match.except").map(toScalar) };
    case "text":
      return { type: "text", text: toText(body["text"], "match.text") };
    case "text_any":
      return { type: "textAny", text: toText(body["text_any"], "match.text_any") };
    case "phrase":
      return { type: "phrase", text: toText(body["phrase"], "match.phrase") };
    case "prefix":
      return { type: "prefix", text: toText(body["prefix"], "match.prefix") };
    case undefined:
      throw badFormat("match: a condition is missing");
    default:
      throw unsupported(`\`match.${kind}\` condition`);
  }
}

function toScalar(value: unknown): Scalar {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  throw badFormat("match: expected a string, an integer or a boolean");
}

function parseRange(body: Json): Test {
  const isDatetime = Object.values(body).some((bound) => typeof bound === "string");
  return { type: isDatetime ? "datetime" : "range", bounds: parseBounds(body, "range") };
}

function parseBounds(body: Json, where: string): Bounds {
  refuseOthers(body, ["gt", "gte", "lt", "lte"], where);
  const bounds: { gt?: number; gte?: number; lt?: number; lte?: number } = {};
  for (const name of ["gt", "gte", "lt", "lte"] as const) {
    const value = body[name];
    if (isAbsent(value)) continue;
    const number = typeof value === "string" ? toMicros(value) : value;
    if (typeof number !== "number") throw badFormat(`${where}.${name}: expected a number or an RFC 3339 time`);
    bounds[name] = number;
  }
  return bounds;
}

export function isWithin(value: number, { gt, gte, lt, lte }: Bounds): boolean {
  return (
    (gt === undefined || value > gt) &&
    (gte === undefined || value >= gte) &&
    (lt === undefined || value < lt) &&
    (lte === undefined || value <= lte)
  );
}

/** The conditions that a payload alone can answer; ids and vectors need the point. */
export function asksPayloadOnly(condition: Condition): boolean {
  switch (condition.type) {
    case "ids":
    case "vector":
    case "slice":
      return false;
    case "filter":
      return conditionsOf(condition.filter).every(asksPayloadOnly);
    case "field":
    case "count":
    case "empty":
    case "null":
    case "nested":
      return true;
  }
}

export function conditionsOf(filter: Filter): readonly Condition[] {
  return [...filter.must, ...filter.should, ...filter.mustNot, ...(filter.minShould?.conditions ?? [])];
}

/** All but these points; no filter when there are none. */
export function excluding(ids: readonly Uint8Array[]): Filter | undefined {
  return ids.length === 0 ? undefined : { must: [], should: [], mustNot: [{ type: "ids", ids }] };
}
