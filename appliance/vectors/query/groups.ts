/**
 * Best groups of points by a payload value. Qdrant asks for points again and again, leaving out what it has, until enough groups are full or
 * it has asked often enough; the same steps here, so that the same points are in the groups.
 */
import { both, excluding, type Condition, type Filter } from "../filter/filter.ts";
import { elementsAt, type Path } from "../filter/payloadPath.ts";
import type { Hit } from "../index/ranking.ts";
import type { Grouped, Query } from "./query.ts";
import { search, type Place } from "./search.ts";

export type Group = { readonly id: string | number; readonly hits: readonly Hit[] };

const collectingMax = 5;
const fillingMax = 5;

export function searchGroups(place: Place, { query, by, size }: Grouped): Group[] {
  const { collection } = place;
  const order = ordering(place, query);
  const groups = new Map<string | number, Map<number, Hit>>();
  const seen = new Set<number>();

  const add = (hits: readonly Hit[]): void => {
    for (const hit of hits) {
      seen.add(hit.slot);
      for (const id of idsOf(elementsAt(collection.payload(hit.slot), by))) {
        let group = groups.get(id);
        if (!group) groups.set(id, (group = new Map()));
        if (!group.has(hit.slot)) group.set(hit.slot, hit);
      }
    }
  };
  const best = (): [string | number, Hit[]][] =>
    Array.from(groups, ([id, hits]): [string | number, Hit[]] => [id, [...hits.values()].sort(order)])
      .sort(([, a], [, b]) => order(a[0]!, b[0]!))
      .slice(0, query.limit);
  const isFull = ([, hits]: [unknown, Hit[]]): boolean => hits.length >= size;
  const ask = (only: Filter | undefined): Hit[] => {
    const rest = both(only, excluding(Array.from(seen, (slot) => collection.idBytes(slot))));
    const shaped = { ...widened(query, size), limit: query.limit * size, offset: 0 };
    return search(place, { ...shaped, filter: both(query.filter, both(rest, hasValue(by))) });
  };
  const isDone = (): boolean => best().filter(isFull).length >= query.limit;

  for (let asked = 0; asked < collectingMax && !isDone(); asked++) {
    const full = Array.from(groups).filter(([, hits]) => hits.size >= size);
    const hits = ask(
      matching(
        by,
        "except",
        full.map(([id]) => id),
      ),
    );
    add(hits);
    if (hits.length === 0) break;
  }
  for (let asked = 0; asked < fillingMax && !isDone(); asked++) {
    const open = best().filter((group) => !isFull(group));
    const hits = ask(
      matching(
        by,
        "any",
        open.map(([id]) => id),
      ),
    );
    add(hits);
    if (hits.length === 0) break;
  }
  return best().map(([id, hits]) => ({ id, hits: hits.slice(0, size) }));
}

/** How hits are ranked by what was asked. */
function ordering({ collection }: Place, { ask }: Query): (a: Hit, b: Hit) => number {
  const byId = (a: Hit, b: Hit): number => collection.ids.compare(a.slot, b.slot);
  if (ask.type === "order") {
    const sign = ask.by.isDescending ? -1 : 1;
    return (a, b) => sign * (a.order! - b.order!) || byId(a, b);
  }
  const isNear =
    ask.type === "compare" &&
    (ask.comparison.type === "nearest" ||
      (ask.comparison.type === "recommend" && ask.comparison.strategy === "average_vector")) &&
    collection.fields.get(ask.using)!.isNearBetter;
  return (a, b) => (isNear ? a.score - b.score : b.score - a.score) || byId(a, b);
}

/** Texts and integers make groups; nothing else does. A point with one value that cannot is in no group. */
function idsOf(values: readonly unknown[]): Set<string | number> {
  const ids = values.filter((value) => typeof value === "string" || Number.isInteger(value));
  return new Set(ids.length === values.length ? (ids as (string | number)[]) : []);
}

function matching(path: Path, type: "any" | "except", ids: readonly (string | number)[]): Filter | undefined {
  const texts = ids.filter((id) => typeof id === "string");
  const numbers = ids.filter((id) => typeof id === "number");
  const conditions = [texts, numbers]
    .filter((values) => values.length > 0)
    .map((values): Condition => ({ type: "field", path, test: { type, values } }));
  return conditions.length === 0 ? undefined : { must: conditions, should: [], mustNot: [] };
}

const hasValue = (path: Path): Filter => ({ must: [], should: [], mustNot: [{ type: "empty", path, wanted: true }] });

/** Prefetches must bring enough for every group. */
function widened(query: Query, size: number): Query {
  const prefetch = query.prefetch.map((inner) => widened({ ...inner, limit: inner.limit * size }, size));
  return { ...query, prefetch };
}
