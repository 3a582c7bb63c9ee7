/** Runs a parsed query on a collection. */
import type { Collection } from "./collection.ts";
import { isSparse, type AnyField } from "./field.ts";
import { both, type Filter } from "./filter.ts";
import { fuseByDistribution, fuseByRank } from "./fusion.ts";
import { fromIdBytes } from "./pointId.ts";
import type { Ask, Query } from "./query.ts";
import { ranked, type Hit } from "./ranking.ts";
import { notFound, wrongInput } from "./refusal.ts";
import { difference, union } from "./slots.ts";
import { isTerms, type VectorValue } from "./vectorInput.ts";

/** Best first: at most `limit` hits after `offset`. */
export function search(collection: Collection, query: Query): Hit[] {
  return run(collection, query, undefined).slice(query.offset);
}

/** `outer` is what the queries around this one ask for: Qdrant merges it into every leaf, and so do we. */
function run(collection: Collection, query: Query, outer: Filter | undefined): Hit[] {
  const filter = both(outer, query.filter);
  const lists = query.prefetch.map((inner) => run(collection, inner, filter));
  const { ask } = query;
  const wanted = query.offset + query.limit;
  switch (ask.type) {
    case "rrf":
      return fused(collection, fuseByRank(lists, ask.k, ask.weights), query);
    case "dbsf":
      return fused(collection, fuseByDistribution(lists), query);
    case "all":
      return inIdOrder(collection, filter, wanted).map((slot) => ({ slot, score: 0 }));
    case "vector":
    case "point": {
      const prefetched = query.prefetch.length > 0 ? union(lists.map(slotsOf)) : undefined;
      return nearest(collection, { query, ask, among: among(collection, filter, prefetched) });
    }
  }
}

function fused(collection: Collection, hits: Hit[], { scoreThreshold, offset, limit }: Query): Hit[] {
  const kept = scoreThreshold === undefined ? hits : hits.filter(({ score }) => score >= scoreThreshold);
  return ranked(kept, collection.ids).slice(0, offset + limit);
}

const slotsOf = (hits: readonly Hit[]): Uint32Array => Uint32Array.from(hits, ({ slot }) => slot).sort();

/** Undefined when nothing is ruled out, because a whole scan is quicker than one over a list of everything. */
function among(collection: Collection, filter: Filter | undefined, prefetched: Uint32Array | undefined): Uint32Array | undefined {
  const slots = collection.select(filter, prefetched);
  return slots.length === collection.live.size ? undefined : slots;
}

type Nearest = {
  readonly query: Query;
  readonly ask: Extract<Ask, { type: "vector" | "point" }>;
  readonly among: Uint32Array | undefined;
};

function nearest(collection: Collection, { query, ask, among: allowed }: Nearest): Hit[] {
  const field = collection.fields.get(ask.using)!;
  let slots = allowed;
  let vector: VectorValue;
  if (ask.type === "vector") vector = ask.vector;
  else {
    const self = collection.slotOf(ask.id);
    if (self === undefined) throw notFound(`No point with id ${fromIdBytes(ask.id)} found`);
    const own = field.get(self);
    if (!own) throw wrongInput(`Vector ${ask.using} is not set for point ${fromIdBytes(ask.id)}`);
    vector = own;
    slots = difference(slots ?? collection.all(), Uint32Array.of(self));
  }
  const hits = scored(collection, { field, vector, query, slots });
  const { scoreThreshold } = query;
  if (scoreThreshold === undefined) return hits;
  const isNearBetter = field.config.kind === "dense" && ["Euclid", "Manhattan"].includes(field.config.distance);
  return hits.filter(({ score }) => (isNearBetter ? score < scoreThreshold : score > scoreThreshold));
}

type Scoring = {
  readonly field: AnyField;
  readonly vector: VectorValue;
  readonly query: Query;
  readonly slots: Uint32Array | undefined;
};

function scored(collection: Collection, { field, vector, query, slots }: Scoring): Hit[] {
  const options = {
    limit: query.offset + query.limit,
    ids: collection.ids,
    isExact: query.isExact,
    ...(slots && { among: slots }),
  };
  if (!isSparse(field)) return isTerms(vector) ? [] : field.nearest(vector, options);
  if (!isTerms(vector)) return [];
  const corpus = query.idfCorpus && collection.select(query.idfCorpus);
  return field.nearest(vector, { ...options, slotsMax: collection.slotsMax, ...(corpus && { corpus }) });
}

// Above this, walking the id order and looking slots up beats sorting them all by id.
const sortedMax = 2_000;

/** The first `limit` slots by id that the filter keeps, from `start` on. */
export function inIdOrder(collection: Collection, filter: Filter | undefined, limit: number, start?: Uint8Array): number[] {
  const allowed = filter && collection.select(filter);
  const { ids } = collection;
  if (allowed && allowed.length <= sortedMax) {
    const kept = start ? allowed.filter((slot) => ids.compareTo(slot, start) >= 0) : allowed;
    return Array.from(kept)
      .sort((a, b) => ids.compare(a, b))
      .slice(0, limit);
  }
  const isAllowed = allowed && new Set(allowed);
  const slots: number[] = [];
  for (const slot of collection.inOrder(start)) {
    if (isAllowed && !isAllowed.has(slot)) continue;
    slots.push(slot);
    if (slots.length === limit) break;
  }
  return slots;
}
