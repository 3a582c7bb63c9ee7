import { isAbsent, refuseOthers, toArray, toCount, toObject, toText, type Json } from "../body.ts";
import type { Collection } from "../collection.ts";
import { parseFilter } from "../filter.ts";
import { fromIdBytes, toIdBytes } from "../pointId.ts";
import { parseQuery } from "../query.ts";
import { notFound, unsupported } from "../refusal.ts";
import type { Call, Route } from "../routes.ts";
import { inIdOrder, search } from "../search.ts";
import { intersect } from "../slots.ts";
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
  { method: "POST", pattern: points, answer: getMany },
  { method: "POST", pattern: `${points}/scroll`, answer: scroll },
  { method: "POST", pattern: `${points}/count`, answer: count },
  { method: "POST", pattern: `${points}/query`, answer: (call) => query(collectionOf(call), call.body) },
  { method: "POST", pattern: `${points}/query/batch`, answer: queryBatch },
  { method: "POST", pattern: "/collections/{c}/facet", answer: facet },
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

/** The offset is the first id of the page, so one more than asked for is looked up. */
function scroll(call: Call): Json {
  const { body } = call;
  refuseOthers(body, ["offset", "limit", "filter", "with_payload", "with_vector", ...ignored], "scrolling");
  const collection = collectionOf(call);
  const limit = toCount(body["limit"], "limit", { min: 1, otherwise: 10 });
  const start = isAbsent(body["offset"]) ? undefined : toIdBytes(body["offset"]);
  const wanted = parseWanted(body, { payload: true });
  const slots = inIdOrder(collection, parseFilter(body["filter"]), limit + 1, start);
  const next = slots.length > limit ? collection.ids.get(slots[limit]!) : null;
  return { points: slots.slice(0, limit).map((slot) => viewRecord(collection, slot, wanted)), next_page_offset: next };
}

/** Always exact. */
function count(call: Call): Json {
  refuseOthers(call.body, ["filter", "exact", ...ignored], "counting");
  return { count: collectionOf(call).select(parseFilter(call.body["filter"])).length };
}

function query(collection: Collection, body: Json): Json {
  const parsed = parseQuery(body, collection.config);
  const wanted = parseWanted(body, { payload: false });
  return { points: search(collection, parsed).map((hit) => viewHit(collection, hit, wanted)) };
}

function queryBatch(call: Call): Json[] {
  const collection = collectionOf(call);
  return toArray(call.body["searches"], "searches").map((body) => query(collection, toObject(body, "searches")));
}

/** How often each value of an indexed key occurs, most frequent first. */
function facet(call: Call): Json {
  const { body } = call;
  refuseOthers(body, ["key", "limit", "filter", "exact", ...ignored], "a facet");
  const collection = collectionOf(call);
  const terms = collection.index(toText(body["key"], "key"))?.terms?.();
  if (!terms) throw unsupported("facet over a key without a keyword, uuid or bool index");
  const limit = toCount(body["limit"], "limit", { min: 1, otherwise: 10 });
  const among = collection.select(parseFilter(body["filter"]));
  const hits = Array.from(terms, ([value, slots]) => ({ value, count: intersect(slots, among).length })).filter(
    (hit) => hit.count,
  );
  hits.sort((a, b) => b.count - a.count || (String(a.value) < String(b.value) ? -1 : 1));
  return { hits: hits.slice(0, limit) };
}
