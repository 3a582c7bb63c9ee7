/** What conditions mean on one payload. A field holds when any of its elements does; a missing one never does. */
import { isObject, type Json } from "../body.ts";
import { toMicros } from "./datetime.ts";
import { isWithin, type Condition, type Filter, type Test } from "./filter.ts";
import { findGeoPoint, isInside } from "./geo.ts";
import { elementsAt, valuesAt } from "./payloadPath.ts";

export function matchesFilter(payload: Json, filter: Filter): boolean {
  const holds = (condition: Condition): boolean => matches(payload, condition);
  if (!filter.must.every(holds)) return false;
  if (filter.mustNot.some(holds)) return false;
  if (filter.should.length > 0 && !filter.should.some(holds)) return false;
  const { minShould } = filter;
  return !minShould || minShould.conditions.filter(holds).length >= minShould.count;
}

/** Only for conditions that a payload can answer. */
export function matches(payload: Json, condition: Condition): boolean {
  switch (condition.type) {
    case "field":
      return elementsAt(payload, condition.path).some((value) => passes(value, condition.test));
    case "count": {
      const counts = valuesAt(payload, condition.path).map(countOf);
      return (counts.length > 0 ? counts : [0]).some((count) => isWithin(count, condition.bounds));
    }
    case "empty":
      return valuesAt(payload, condition.path).every((value) => countOf(value) === 0) === condition.wanted;
    case "null":
      return valuesAt(payload, condition.path).some((value) => value === null) === condition.wanted;
    case "nested":
      return elementsAt(payload, condition.path).some((element) => isObject(element) && matchesFilter(element, condition.filter));
    case "filter":
      return matchesFilter(payload, condition.filter);
    case "ids":
    case "vector":
    case "slice":
      return false; // Answered from the point, not from its payload; inside `nested` there is no point to ask.
  }
}

export function passes(value: unknown, test: Test): boolean {
  switch (test.type) {
    case "any":
      return test.values.includes(value as string);
    case "except":
      return value !== null && !test.values.includes(value as string);
    case "text":
    case "phrase":
      return typeof value === "string" && value.includes(test.text);
    case "textAny":
      return typeof value === "string" && test.text.split(/\s+/u).some((word) => word !== "" && value.includes(word));
    case "geo": {
      const point = findGeoPoint(value);
      return point !== undefined && isInside(test.area, point);
    }
    case "prefix":
      return typeof value === "string" && value.startsWith(test.text);
    case "range":
      return typeof value === "number" && isWithin(value, test.bounds);
    case "datetime": {
      const micros = typeof value === "string" ? toMicros(value) : undefined;
      return micros !== undefined && isWithin(micros, test.bounds);
    }
  }
}

function countOf(value: unknown): number {
  if (value === null) return 0;
  return Array.isArray(value) ? value.length : 1;
}
