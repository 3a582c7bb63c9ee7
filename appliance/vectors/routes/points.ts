import { isAbsent, refuseOthers, toArray, toCount, toObject, toText, type Json } from "../body.ts";
import type { Collection } from "../collection.ts";
import { unnamed } from "../config.ts";
import { parseFilter } from "../filter/filter.ts";
import type { Term } from "../filter/fieldIndex.ts";
import type { Hit } from "../index/ranking.ts";
import { findIdBytes, fromIdBytes, toIdBytes } from "../pointId.ts";
import { searchGroups } from "../query/groups.ts";
import { inOrder, parseOrderBy } from "../query/orderBy.ts";
import { parseGroups, parseQuery } from "../query/query.ts";
import { inIdOrder, search, type Place } from "../query/search.ts";
import { notFound, wrongInput } from "../refusal.ts";
import type { Call, Route } from "../route.ts";
import { vectorConfig } from "../vectorInput.ts";
import { parseWanted, viewHit, viewRecord } from "../view.ts";
import { changes, parseBatch, type Change } from "../writes.ts";
import { written } from "./written.ts";

const points = "/collections/{c}/points";
// The client's name for each; one process has nothing to be consistent with, and no shards.
const ignored = ["consistency", "timeout", "shard_key"];

export const pointRoutes: readonly Route[] = [
  writing("PUT", "", changes.upsert),
  writing("POST", "/delete", changes.delete),
  writing("POST", "/payload", changes.set_payload),
  writing("PUT", "/payload", changes.overwrite_payload),
  writing("POST", "/payload/delete", changes.delete_payload),
  writing("POST", "/payload/clear", changes.clear_payload),
  writing("PUT", "/vectors", changes.update_vectors),
  writing("POST", "/vectors/delete", changes.delete_vectors),
  { method: "POST", pattern: `${points}/batch`, answer: batch },
  { method: "GET", pattern: `${points}/{id}`, answer: getOne },
  { method: "POST", pattern: points, answer: getMany, isReading: true },
  { method: "POST", pattern: `${points}/scroll`, answer: scroll, isReading: true },
  { method: "POST", pattern: `${points}/count`, answer: count, isReading: true },
  { method: "POST", pattern: `${points}/query`, answer: (call) => query(placeOf(call), call.body), isReading: true },
  { method: "POST", pattern: `${points}/query/batch`, answer: queryBatch, isReading: true },
  { method: "POST", pattern: `${points}/query/groups`, answer: queryGroups, isReading: true },
  { method: "POST", pattern: `${points}/search/matrix/pairs`, answer: matrixPairs, isReading: true },
  { method: "POST", pattern: `${points}/search/matrix/offsets`, answer: matrixOffsets, isReading: true },
  { method: "POST", pattern: "/collections/{c}/facet", answer: facet, isReading: true },
];

function writing(method: Route["method"], tail: string, parse: (body: Json, collection: Collection) => Change): Route {
  return { method, pattern: points + tail, answer: (call) => written(call, parse(call.body, collectionOf(call))) };
}

const collectionOf = ({ store, path }: Call): Collection => store.get(path["c"]!);

function batch(call: Call): unknown {
  const operations = toArray(call.body["operations"], "operations");
  const result = written(call, parseBatch(call.body, collectionOf(call)));
  return operations.map(() => result);
}

function getOne(call: Call): Json {
  const collection = collectionOf(call);
  const text = call.path["id"]!;
  const id = toIdBytes(/^\d+$/.test(text) ? Number(text) : text);
  const slot = collection.slotOf(id);
  if (slot === undefined) throw notFound(`Point with id ${fromIdBytes(id)} does not exists!`);
  return viewRecord(collection, slot, parseWanted({ with_vector: true }, { payload: true }));
}

function getMany(call: Call): Json[] {
  const { body } = call;
  refuseOthers(body, ["ids", "with_payload", "with_vector", ...ignored], "retrieving points");
  const collection = collectionOf(call);
  const wanted = parseWanted(body, { payload: true });
  const slots = toArray(body["ids"], "ids").map((id) => collection.slotOf(toIdBytes(id)));
  return slots.filter((slot) => slot !== undefined).map((slot) => viewRecord(collection, slot, wanted));
}

/** The offset is the first id of the page, so one more than asked for is looked up. With an order there is no offset. */
function scroll(call: Call): Json {
  const { body } = call;
  refuseOthers(body, ["offset", "limit", "filter", "with_payload", "with_vector", "order_by", ...ignored], "scrolling");
  const collection = collectionOf(call);
  const limit = toCount(body["limit"], "limit", { min: 1, otherwise: 10 });
  const filter = parseFilter(body["filter"]);
  const wanted = parseWanted(body, { payload: true });
  if (!isAbsent(body["order_by"])) {
    if (!isAbsent(body["offset"]))
      throw wrongInput(
        "Cannot use an `offset` when using `order_by`. The alternative for paging is to use `order_by.start_from`",
      );
    const hits = inOrder(collection, parseOrderBy(body["order_by"]), collection.select(filter), limit);
    return { points: hits.map(({ slot, order }) => viewRecord(collection, slot, wanted, order)), next_page_offset: null };
  }
  const start = isAbsent(body["offset"]) ? undefined : toIdBytes(body["offset"]);
  const slots = inIdOrder(collection, filter, limit + 1, start);
  const next = slots.length > limit ? collection.ids.get(slots[limit]!) : null;
  return { points: slots.slice(0, limit).map((slot) => viewRecord(collection, slot, wanted)), next_page_offset: next };
}

/** Always exact. */
function count(call: Call): Json {
  refuseOthers(call.body, ["filter", "exact", ...ignored], "counting");
  return { count: collectionOf(call).select(parseFilter(call.body["filter"])).length };
}

const placeOf = (call: Call): Place => ({ collection: collectionOf(call), find: (name) => call.store.get(name) });

function query(place: Place, body: Json): Json {
  const { collection } = place;
  const parsed = parseQuery(body, collection.config);
  const wanted = parseWanted(body, { payload: false });
  return { points: search(place, parsed).map((hit) => viewHit(collection, hit, wanted)) };
}

function queryBatch(call: Call): Json[] {
  const place = placeOf(call);
  return toArray(call.body["searches"], "searches").map((body) => query(place, toObject(body, "searches")));
}

function queryGroups(call: Call): Json {
  const place = placeOf(call);
  const { collection } = place;
  const parsed = parseGroups(call.body, collection.config);
  // Grouped points come with their payload unless told otherwise.
  const wanted = parseWanted(call.body, { payload: true });
  const groups = searchGroups(place, parsed).map(({ id, hits }) => ({
    id,
    hits: hits.map((hit) => viewHit(collection, hit, wanted)),
    ...(parsed.lookup && { lookup: lookedUp(place.find(parsed.lookup.collection), id, parsed.lookup.wanted) }),
  }));
  return { groups };
}

/** The point of another collection whose id is the group's; null when there is none. */
function lookedUp(collection: Collection, id: string | number, body: Json): Json | null {
  const bytes = findIdBytes(id);
  const slot = bytes && collection.slotOf(bytes);
  return slot === undefined ? null : viewRecord(collection, slot, parseWanted(body, { payload: true }));
}

/** How often each value of an indexed key occurs, most frequent first. */
function facet(call: Call): Json {
  const { body } = call;
  refuseOthers(body, ["key", "limit", "filter", "exact", ...ignored], "a facet");
  const collection = collectionOf(call);
  const key = toText(body["key"], "key");
  const index = collection.index(key);
  if (!index?.counts) {
    throw wrongInput(
      `Index required but not found for "${key}" of one of the following types: [keyword, integer, uuid, bool]. Help: Create an index for this key or use a different filter.`,
    );
  }
  const limit = toCount(body["limit"], "limit", { min: 1, otherwise: 10 });
  const counted = index.counts(collection.select(parseFilter(body["filter"])));
  const hits = Array.from(counted, ([value, count]) => ({ value, count }));
  hits.sort((a, b) => b.count - a.count || compareTerms(a.value, b.value));
  return { hits: hits.slice(0, limit) };
}

const compareTerms = (a: Term, b: Term): number =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1;

type Sampled = { readonly collection: Collection; readonly slots: readonly number[]; readonly near: readonly (readonly Hit[])[] };

/** Points drawn at random, and for each the nearest others among them. */
function sampled(call: Call): Sampled {
  const { body } = call;
  refuseOthers(body, ["filter", "sample", "limit", "using", ...ignored], "a distance matrix");
  const place = placeOf(call);
  const { collection } = place;
  const using = isAbsent(body["using"]) ? unnamed : toText(body["using"], "using");
  vectorConfig(collection.config, using);
  const perPoint = toCount(body["limit"], "limit", { min: 1, otherwise: 3 });
  const sample = toCount(body["sample"], "sample", { min: 2, otherwise: 10 });
  const must = [{ has_vector: using }, ...(isAbsent(body["filter"]) ? [] : [body["filter"]])];
  const drawn = search(place, parseQuery({ query: { sample: "random" }, filter: { must }, limit: sample }, collection.config));
  const slots = drawn.map(({ slot }) => slot).sort((a, b) => collection.ids.compare(a, b));
  const ids = slots.map((slot) => collection.ids.get(slot));
  const near = ids.map((id) =>
    search(place, parseQuery({ query: id, using, limit: perPoint, filter: { must: { has_id: ids } } }, collection.config)),
  );
  return { collection, slots, near };
}

function matrixPairs(call: Call): Json {
  const { collection, slots, near } = sampled(call);
  const { ids } = collection;
  return {
    pairs: near.flatMap((hits, i) => hits.map(({ slot, score }) => ({ a: ids.get(slots[i]!), b: ids.get(slot), score }))),
  };
}

function matrixOffsets(call: Call): Json {
  const { collection, slots, near } = sampled(call);
  const rows = near.flatMap((hits, row) => hits.map(({ slot, score }) => ({ row, col: slots.indexOf(slot), score })));
  return {
    offsets_row: rows.map(({ row }) => row),
    offsets_col: rows.map(({ col }) => col),
    scores: rows.map(({ score }) => score),
    ids: slots.map((slot) => collection.ids.get(slot)),
  };
}
