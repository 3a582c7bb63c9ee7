/** Runs a parsed query on a collection. */
import type { Collection } from "../collection.ts";
import { both, excluding, type Condition, type Filter } from "../filter/filter.ts";
import { elementsAt, type Path } from "../filter/payloadPath.ts";
import type { Field } from "../index/field.ts";
import { bestHits, ranked, type Hit } from "../index/ranking.ts";
import { union } from "../index/slots.ts";
import type { VectorValue } from "../index/values.ts";
import { fromIdBytes } from "../pointId.ts";
import { notFound, wrongInput } from "../refusal.ts";
import { prepared, vectorConfig } from "../vectorInput.ts";
import { average, scorerOf } from "./compare.ts";
import { single, type Formula } from "./formula.ts";
import { fuseByDistribution, fuseByRank } from "./fusion.ts";
import { diversified } from "./mmr.ts";
import { inOrder, scoreOfOrdered } from "./orderBy.ts";
import type { Ask, Comparison, Example, Query } from "./query.ts";

/** What a query runs on: a collection, and the others that its examples may come from. */
export type Place = { readonly collection: Collection; find(name: string): Collection };

/** Best first: at most `limit` hits after `offset`. */
export function search(place: Place, query: Query): Hit[] {
  return run(place, query, undefined).slice(query.offset);
}

type Compare = Extract<Ask, { type: "compare" }>;

/** `outer` is what the queries around this one ask for: Qdrant merges it into every leaf, and so do we. */
function run(place: Place, query: Query, outer: Filter | undefined): Hit[] {
  const { collection } = place;
  const { ask } = query;
  const filter = both(outer, both(query.filter, excluding(ask.type === "compare" ? lendersOf(ask, collection.name) : [])));
  const lists = query.prefetch.map((inner) => run(place, inner, filter));
  // What the prefetches brought has been through the filter already.
  const among = query.prefetch.length > 0 ? union(lists.map(slotsOf)) : allowed(collection, filter);
  const wanted = query.offset + query.limit;
  switch (ask.type) {
    case "rrf":
      return cut(collection, fuseByRank(lists, ask.k, ask.weights), query);
    case "dbsf":
      return cut(collection, fuseByDistribution(lists), query);
    case "all":
      return inIdOrder(collection, filter, wanted).map((slot) => ({ slot, score: scoreOfOrdered }));
    case "order":
      return inOrder(collection, ask.by, among ?? collection.all(), wanted);
    case "sample":
      return drawn(among ?? collection.all(), wanted);
    case "formula":
      return cut(collection, byFormula(collection, ask.formula, lists, among ?? collection.all()), query);
    case "compare":
      return compared(place, { query, ask, among });
  }
}

function cut(collection: Collection, hits: Hit[], { scoreThreshold, offset, limit }: Query): Hit[] {
  const kept = scoreThreshold === undefined ? hits : hits.filter(({ score }) => score >= scoreThreshold);
  return ranked(kept, collection.ids).slice(0, offset + limit);
}

const slotsOf = (hits: readonly Hit[]): Uint32Array => Uint32Array.from(hits, ({ slot }) => slot).sort();

/** Undefined when nothing is ruled out, because a whole scan is quicker than one over a list of everything. */
function allowed(collection: Collection, filter: Filter | undefined): Uint32Array | undefined {
  const slots = collection.select(filter);
  return slots.length === collection.live.size ? undefined : slots;
}

/** The points whose vectors are the examples: they are no answers to what they ask. */
function lendersOf({ comparison, lookup }: Compare, ownName: string): Uint8Array[] {
  if (lookup && lookup.collection !== ownName) return [];
  return examplesOf(comparison).flatMap((example) => (example.type === "point" ? [example.id] : []));
}

function examplesOf<T>(comparison: Comparison<T>): T[] {
  switch (comparison.type) {
    case "nearest":
      return [comparison.target];
    case "recommend":
      return [...comparison.positives, ...comparison.negatives];
    case "discover":
      return [comparison.target, ...comparison.pairs.flatMap(({ positive, negative }) => [positive, negative])];
    case "context":
      return comparison.pairs.flatMap(({ positive, negative }) => [positive, negative]);
  }
}

function mapExamples<T, U>(comparison: Comparison<T>, map: (example: T) => U): Comparison<U> {
  const pairs = (list: readonly { positive: T; negative: T }[]) =>
    list.map(({ positive, negative }) => ({ positive: map(positive), negative: map(negative) }));
  switch (comparison.type) {
    case "nearest":
      return { ...comparison, target: map(comparison.target) };
    case "recommend":
      return { ...comparison, positives: comparison.positives.map(map), negatives: comparison.negatives.map(map) };
    case "discover":
      return { ...comparison, target: map(comparison.target), pairs: pairs(comparison.pairs) };
    case "context":
      return { ...comparison, pairs: pairs(comparison.pairs) };
  }
}

type Asked = { readonly query: Query; readonly ask: Compare; readonly among: Uint32Array | undefined };

function compared(place: Place, { query, ask, among }: Asked): Hit[] {
  const { collection } = place;
  const field = collection.fields.get(ask.using)!;
  const raw = mapExamples(ask.comparison, (example) => vectorOf(place, ask, example));
  const prepare = (vector: VectorValue): VectorValue => prepared(copied(vector), field.config);
  if (raw.type === "recommend" && raw.strategy === "average_vector")
    return nearest(collection, { field, target: prepare(average(raw, field.config)), query, among });
  const comparison = mapExamples(raw, prepare);
  if (comparison.type !== "nearest") return weighed(collection, { field, comparison, query, among });
  const { target, mmr } = comparison;
  if (!mmr) return nearest(collection, { field, target, query, among });
  const candidates = nearest(collection, {
    field,
    target,
    query: { ...query, offset: 0, limit: mmr.candidates ?? query.limit },
    among,
  });
  const { diversity } = mmr;
  const choice = { target, diversity, limit: query.offset + query.limit, likeness: field.likeness };
  return diversified(
    candidates.map((hit) => ({ hit, vector: field.get(hit.slot)! })),
    choice,
  );
}

/** Preparing works in place, and an example may be looked at twice. */
function copied(vector: VectorValue): VectorValue {
  if (vector instanceof Float32Array) return vector.slice();
  return "rows" in vector ? { rows: vector.rows.slice(), size: vector.size } : vector;
}

function vectorOf({ collection, find }: Place, { using, lookup }: Compare, example: Example): VectorValue {
  if (example.type === "vector") return example.vector;
  const lender = lookup ? find(lookup.collection) : collection;
  const name = lookup?.vector ?? using;
  const slot = lender.slotOf(example.id);
  if (slot === undefined) throw notFound(`No point with id ${fromIdBytes(example.id)} found`);
  const lent = vectorConfig(lender.config, name);
  const own = vectorConfig(collection.config, using);
  if (lent.kind !== own.kind || (lent.kind === "dense" && own.kind === "dense" && lent.size !== own.size))
    throw wrongInput(`Vector ${name} of collection \`${lender.name}\` cannot be compared with vector ${using}`);
  const vector = lender.fields.get(name)!.get(slot);
  if (!vector) throw wrongInput(`Vector ${name} is not set for point ${fromIdBytes(example.id)}`);
  return vector;
}

type Nearest = {
  readonly field: Field;
  readonly target: VectorValue;
  readonly query: Query;
  readonly among: Uint32Array | undefined;
};

function nearest(collection: Collection, { field, target, query, among }: Nearest): Hit[] {
  const corpus = query.idfCorpus && collection.select(query.idfCorpus);
  const hits = field.nearest(target, {
    limit: query.offset + query.limit,
    ids: collection.ids,
    slotsMax: collection.slotsMax,
    isExact: query.isExact,
    ...(among && { among }),
    ...(corpus && { corpus }),
  });
  const { scoreThreshold } = query;
  if (scoreThreshold === undefined) return hits;
  return hits.filter(({ score }) => (field.isNearBetter ? score < scoreThreshold : score > scoreThreshold));
}

type Weighed = {
  readonly field: Field;
  readonly comparison: Comparison<VectorValue>;
  readonly query: Query;
  readonly among: Uint32Array | undefined;
};

/** Looks at every vector: no index orders by several examples at once. */
function weighed(collection: Collection, { field, comparison, query, among }: Weighed): Hit[] {
  const score = scorerOf(comparison);
  const count = Math.min(field.holders.size, among?.length ?? Number.MAX_SAFE_INTEGER);
  const slots = new Uint32Array(count);
  const scores = new Float64Array(count);
  let n = 0;
  for (const [slot, value] of field.each(among)) {
    slots[n] = slot;
    scores[n++] = score((example) => field.likeness(example, value));
  }
  const hits = bestHits(slots.subarray(0, n), scores.subarray(0, n), query.offset + query.limit, collection.ids);
  const { scoreThreshold } = query;
  return scoreThreshold === undefined ? hits : hits.filter((hit) => hit.score > scoreThreshold);
}

function byFormula(collection: Collection, formula: Formula, lists: readonly Hit[][], slots: Uint32Array): Hit[] {
  const scores = lists.map((hits) => new Map(hits.map(({ slot, score }) => [slot, score])));
  const holders = new Map<Condition, ReadonlySet<number>>(
    formula.conditions.map((condition) => [
      condition,
      new Set(collection.select({ must: [condition], should: [], mustNot: [] }, slots)),
    ]),
  );
  // An index knows only values of its own type, so that what is of another counts as missing, and defaults stand in.
  const indexed = (path: Path) => {
    const index = collection.indexes.get(path.text);
    return index?.schema.kind === "integer" || index?.schema.kind === "float" ? index.index.numbers : undefined;
  };
  return Array.from(slots, (slot) => {
    let payload: ReturnType<Collection["payload"]> | undefined;
    const score = formula.evaluate({
      score: (prefetch) => scores[prefetch]?.get(slot),
      value: (path) => single(indexed(path)?.(slot) ?? elementsAt((payload ??= collection.payload(slot)), path)),
      holds: (condition) => holders.get(condition)?.has(slot) ?? false,
    });
    return { slot, score };
  });
}

/** A fair draw without putting back. */
function drawn(slots: Uint32Array, count: number): Hit[] {
  const left = slots.slice();
  const n = Math.min(count, left.length);
  for (let i = 0; i < n; i++) {
    const j = i + Math.floor(Math.random() * (left.length - i));
    [left[i], left[j]] = [left[j]!, left[i]!];
  }
  return Array.from(left.subarray(0, n), (slot) => ({ slot, score: scoreOfOrdered }));
}

// Above this, walking the id order and looking slots up beats sorting them all by id.
const sortedMax = 2_000;

/** The first `limit` slots by id that the filter keeps, from `start` on. */
export function inIdOrder(collection: Collection, filter: Filter | undefined, limit: number, start?: Uint8Array): number[] {
  const allowedSlots = filter && collection.select(filter);
  const { ids } = collection;
  if (allowedSlots && allowedSlots.length <= sortedMax) {
    const kept = start ? allowedSlots.filter((slot) => ids.compareTo(slot, start) >= 0) : allowedSlots;
    return Array.from(kept)
      .sort((a, b) => ids.compare(a, b))
      .slice(0, limit);
  }
  const isAllowed = allowedSlots && new Set(allowedSlots);
  const slots: number[] = [];
  for (const slot of collection.inOrder(start)) {
    if (isAllowed && !isAllowed.has(slot)) continue;
    slots.push(slot);
    if (slots.length === limit) break;
  }
  return slots;
}
