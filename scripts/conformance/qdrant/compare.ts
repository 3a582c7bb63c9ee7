/** Two answers to one question, and where they are not the same. Floats may differ by rounding; equal scores may change places. */
import type { Asked } from "./cases.ts";

type Hit = { readonly id: unknown; readonly score: number; readonly order?: number | null };
type Group = { readonly id: unknown; readonly hits: readonly Hit[] };
type Page = {
  readonly points: readonly { id: unknown; payload: unknown; vector: unknown; order?: unknown }[];
  readonly next: unknown;
};

const tolerance = 2e-4;
const isNear = (a: number, b: number): boolean => Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b));

export function differences(kind: Asked, ours: unknown, theirs: unknown): string[] {
  switch (kind) {
    case "count": {
      const mine = typeof ours === "number" ? ours : (ours as { count: number }).count;
      return mine === theirs ? [] : [`count ${mine}, theirs ${String(theirs)}`];
    }
    case "query":
      return ofHits(hitsOf(ours), theirs as Hit[]);
    case "facet":
      return ofFacets(ours, theirs);
    case "groups":
      return ofGroups((ours as { groups: Group[] }).groups, theirs as Group[]);
    case "scroll":
      return ofPages(ours as Record<string, unknown>, theirs as Page);
  }
}

const hitsOf = (value: unknown): Hit[] =>
  (value as { points: (Hit & { order_value?: number })[] }).points.map((hit) => ({
    id: hit.id,
    score: hit.score,
    order: hit.order_value ?? null,
  }));

/** The same scores, and the same ids among equal ones; where the list was cut, at its end or by an offset, equals may be others. */
function ofHits(ours: readonly Hit[], theirs: readonly Hit[]): string[] {
  if (ours.length !== theirs.length) return [`${ours.length} hits, theirs ${theirs.length}: ${brief(ours)} | ${brief(theirs)}`];
  for (const [i, hit] of ours.entries()) {
    if (!isNear(hit.score, theirs[i]!.score))
      return [`score ${hit.score} at ${i}, theirs ${theirs[i]!.score}: ${brief(ours)} | ${brief(theirs)}`];
    if ((hit.order ?? null) !== (theirs[i]!.order ?? null))
      return [`order value ${hit.order} at ${i}, theirs ${theirs[i]!.order}`];
  }
  for (const [i, hit] of ours.entries()) {
    const isTied = (other: Hit): boolean => isNear(other.score, hit.score) && (other.order ?? null) === (hit.order ?? null);
    if (isTied(ours[0]!) || isTied(ours.at(-1)!)) continue;
    if (!theirs.some((other) => isTied(other) && other.id === hit.id))
      return [`id ${String(hit.id)} at ${i} is not theirs: ${brief(ours)} | ${brief(theirs)}`];
  }
  return [];
}

const brief = (hits: readonly Hit[]): string =>
  hits
    .slice(0, 8)
    .map(({ id, score }) => `${String(id).slice(0, 6)}:${score.toFixed(5)}`)
    .join(" ");

type FacetHit = { readonly value: unknown; readonly count: number };

function ofFacets(ours: unknown, theirs: unknown): string[] {
  const list = (value: unknown): string => {
    const hits = Array.isArray(value) ? (value as FacetHit[]) : (value as { hits: FacetHit[] }).hits;
    // The engine lists values that no point has any more; the server drops them when it puts shards together.
    const held = hits.filter(({ count }) => count > 0);
    held.sort((a, b) => b.count - a.count || (String(a.value) < String(b.value) ? -1 : 1));
    return JSON.stringify(held.map(({ value: term, count }) => [term, count]));
  };
  return list(ours) === list(theirs) ? [] : [`facet ${list(ours)}, theirs ${list(theirs)}`];
}

/** One point may be the best of several groups at once; their order, and which of them is cut off, is then anybody's. */
function ofGroups(ours: readonly Group[], theirs: readonly Group[]): string[] {
  if (ours.length !== theirs.length) return [`${ours.length} groups, theirs ${theirs.length}`];
  const plain = (hits: readonly Hit[]): Hit[] => hits.map(({ id, score }) => ({ id, score }));
  return ours.flatMap((group, i) => {
    const best = group.hits[0]!.score;
    if (!isNear(best, theirs[i]!.hits[0]!.score)) return [`best ${best} at ${i}, theirs ${theirs[i]!.hits[0]!.score}`];
    const other = theirs.find(({ id }) => id === group.id);
    if (!other) return isNear(best, ours.at(-1)!.hits[0]!.score) ? [] : [`group ${String(group.id)} is not theirs`];
    return ofHits(plain(group.hits), plain(other.hits)).map((found) => `group ${String(group.id)}: ${found}`);
  });
}

function ofPages(ours: Record<string, unknown>, theirs: Page): string[] {
  const mine = ours as unknown as { points: Record<string, unknown>[]; next_page_offset?: unknown; next?: unknown };
  const next = "next_page_offset" in mine ? mine.next_page_offset : mine.next;
  const ids = mine.points.map(({ id }) => id);
  const orders = mine.points.map((point) => point["order_value"] ?? point["order"] ?? null);
  if (JSON.stringify(orders) !== JSON.stringify(theirs.points.map(({ order }) => order ?? null)))
    return [`order values ${JSON.stringify(orders)}, theirs ${JSON.stringify(theirs.points.map(({ order }) => order))}`];
  if (theirs.points.some(({ order }) => order !== null && order !== undefined)) {
    // Among equal values the engine promises no order.
    const hits = (points: readonly Record<string, unknown>[]): Hit[] =>
      points.map(({ id, order, order_value }) => ({ id, score: 0, order: (order_value ?? order) as number }));
    return ofHits(hits(mine.points), hits(theirs.points));
  }
  if (ids.join() !== theirs.points.map(({ id }) => id).join())
    return [`ids ${ids.join()}, theirs ${theirs.points.map(({ id }) => id).join()}`];
  if ((next ?? null) !== (theirs.next ?? null)) return [`next ${String(next)}, theirs ${String(theirs.next)}`];
  return mine.points.flatMap((point, i) => {
    const payload = isSame(point["payload"] ?? {}, theirs.points[i]!.payload ?? {});
    const vector = isSame(point["vector"] ?? {}, theirs.points[i]!.vector ?? {});
    return payload && vector
      ? []
      : [
          `point ${String(point["id"])}: ${JSON.stringify(payload ? point["vector"] : point["payload"])}, theirs ${JSON.stringify(payload ? theirs.points[i]!.vector : theirs.points[i]!.payload)}`,
        ];
  });
}

/** Deep equality in which numbers may differ by rounding. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return isNear(a, b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const [x, y] = [Object.entries(a), b as Record<string, unknown>];
  return x.length === Object.keys(b).length && x.every(([key, value]) => key in y && isSame(value, y[key]));
}
