/**
 * Filter first: which slots a filter keeps, exactly. Index answers are combined as sets, cheapest first; only what no index can
 * tell is tested on payloads, and only for the slots still in question.
 */
import type { Json } from "../body.ts";
import { asksPayloadOnly, conditionsOf, type Condition, type Filter } from "./filter.ts";
import { matches, matchesFilter } from "./match.ts";
import { isInSlice } from "./slice.ts";
import type { FieldIndex } from "./fieldIndex.ts";
import { difference, intersect, keep, union } from "../index/slots.ts";

/** What a filter may ask about points. */
export type Points = {
  /** Every slot in use, ascending. */
  all(): Uint32Array;
  index(key: string): FieldIndex | undefined;
  payload(slot: number): Json;
  slotOf(id: Uint8Array): number | undefined;
  hasVector(slot: number, name: string): boolean;
  idBytes(slot: number): Uint8Array;
};

/** Slots among `among` (ascending) that the filter keeps. */
export function select(points: Points, filter: Filter | undefined, among: Uint32Array = points.all()): Uint32Array {
  if (!filter || among.length === 0) return among;
  let slots = among;
  const onPayload: Condition[] = [];
  for (const condition of filter.must.toSorted((a, b) => costOf(points, a) - costOf(points, b))) {
    if (needsPayload(points, condition)) onPayload.push(condition);
    else slots = holds(points, condition, slots);
  }
  if (filter.should.length > 0) slots = union(filter.should.map((condition) => holds(points, condition, slots)));
  if (filter.minShould) slots = holdAtLeast(points, filter.minShould, slots);
  for (const condition of filter.mustNot) slots = difference(slots, holds(points, condition, slots));
  if (onPayload.length === 0) return slots;
  return keep(slots, (slot) => {
    const payload = points.payload(slot);
    return onPayload.every((condition) => matches(payload, condition));
  });
}

function holds(points: Points, condition: Condition, among: Uint32Array): Uint32Array {
  switch (condition.type) {
    case "ids": {
      const slots = condition.ids.map((id) => points.slotOf(id)).filter((slot) => slot !== undefined);
      return intersect(among, Uint32Array.from(new Set(slots)).sort());
    }
    case "vector":
      return keep(among, (slot) => points.hasVector(slot, condition.name));
    case "slice":
      return keep(among, (slot) => isInSlice(points.idBytes(slot), condition));
    case "filter":
      if (!needsPayload(points, condition)) return select(points, condition.filter, among);
      return keep(among, (slot) => matchesFilter(points.payload(slot), condition.filter));
    case "field": {
      const found = points.index(condition.path.text)?.select(condition.test, among);
      // An index knows only points that are there, so among all of them its answer stands as it is.
      if (found) return among.length === points.all().length ? found : intersect(among, found);
      return keep(among, (slot) => matches(points.payload(slot), condition));
    }
    case "count":
    case "empty":
    case "null":
    case "nested":
      return keep(among, (slot) => matches(points.payload(slot), condition));
  }
}

function holdAtLeast(points: Points, { conditions, count }: NonNullable<Filter["minShould"]>, among: Uint32Array): Uint32Array {
  const votes = new Map<number, number>();
  for (const condition of conditions) {
    for (const slot of holds(points, condition, among)) votes.set(slot, (votes.get(slot) ?? 0) + 1);
  }
  return keep(among, (slot) => (votes.get(slot) ?? 0) >= count);
}

/** True when no index helps and one look at the payload settles the whole condition. */
function needsPayload(points: Points, condition: Condition): boolean {
  switch (condition.type) {
    case "field":
      return points.index(condition.path.text)?.estimate(condition.test) === undefined;
    case "filter":
      return asksPayloadOnly(condition) && conditionsOf(condition.filter).every((inner) => needsPayload(points, inner));
    case "ids":
    case "vector":
    case "slice":
      return false;
    case "count":
    case "empty":
    case "null":
    case "nested":
      return true;
  }
}

function costOf(points: Points, condition: Condition): number {
  if (condition.type === "ids") return condition.ids.length;
  if (condition.type === "field") {
    return points.index(condition.path.text)?.estimate(condition.test) ?? Number.MAX_SAFE_INTEGER;
  }
  return Number.MAX_SAFE_INTEGER - 1;
}
