/**
 * Changes to points. Each is parsed and checked whole before anything is written, so a refusal never leaves half of it behind;
 * what comes back is applied inside one transaction.
 */
import { isAbsent, refuseOthers, toArray, toObject, toText, type Json } from "./body.ts";
import type { Collection, NewPoint } from "./collection.ts";
import { unnamed } from "./config.ts";
import { parseFilter, type Filter } from "./filter/filter.ts";
import { mergeAt, parsePath, withoutKey } from "./filter/payloadPath.ts";
import { fromIdBytes, toIdBytes } from "./pointId.ts";
import { badFormat, badRequest, invalid, notFound, unsupported } from "./refusal.ts";
import { toVectors, vectorConfig } from "./vectorInput.ts";

export type Change = (collection: Collection) => void;
/** What is checked against before anything is written. */
type Target = Pick<Collection, "config" | "slotOf">;

/** Every change by the name it has in a batch, which is also the name of its own route's handler. */
export const changes = {
  upsert: parseUpsert,
  delete: parseDelete,
  delete_points: parseDelete,
  set_payload: parseSetPayload,
  overwrite_payload: parseOverwritePayload,
  delete_payload: parseDeletePayload,
  clear_payload: parseClearPayload,
  update_vectors: parseUpdateVectors,
  delete_vectors: parseDeleteVectors,
} as const satisfies Record<string, (body: Json, target: Target) => Change>;

/** Ordered, and here also atomic. */
export function parseBatch(body: Json, collection: Collection): Change {
  refuseOthers(body, ["operations"], "a batch");
  // Points that an operation before makes are there for those after it.
  const made = new Set<string>();
  const slotOf = (id: Uint8Array): number | undefined =>
    collection.slotOf(id) ?? (made.has(Buffer.from(id).toString("hex")) ? 0 : undefined);
  const { config } = collection;
  const parsed = toArray(body["operations"], "operations").map((value) => {
    const operation = toObject(value, "operations");
    const [name, ...others] = Object.keys(operation);
    if (name === undefined || others.length > 0) throw badFormat("operations: each must have exactly one name");
    if (!Object.hasOwn(changes, name)) throw unsupported(`\`${name}\` operation in a batch`);
    const given = toObject(operation[name], name);
    const change = changes[name as keyof typeof changes](given, { config, slotOf });
    if (name === "upsert") for (const id of idsOf(given)) made.add(Buffer.from(toIdBytes(id)).toString("hex"));
    return change;
  });
  return (target) => parsed.forEach((change) => change(target));
}

const idsOf = ({ points, batch }: Json): readonly unknown[] =>
  isAbsent(batch)
    ? toArray(points, "points").map((point) => toObject(point, "points")["id"])
    : toArray(toObject(batch, "batch")["ids"], "ids");

const modes = ["upsert", "insert_only", "update_only"];

function parseUpsert(body: Json, { config }: Target): Change {
  refuseOthers(body, ["points", "batch", "update_mode", "update_filter", "shard_key"], "an upsert");
  const mode = body["update_mode"] ?? "upsert";
  if (!modes.includes(mode as string)) throw badFormat(`update_mode: expected one of ${modes.join(", ")}`);
  const replaceable = parseFilter(body["update_filter"]);
  const list = isAbsent(body["batch"]) ? toArray(body["points"], "points") : rowsOf(toObject(body["batch"], "batch"));
  const points = list.map((value): NewPoint => {
    const point = toObject(value, "points");
    refuseOthers(point, ["id", "vector", "payload"], "a point");
    const payload = toPayload(point["payload"]);
    return {
      id: toIdBytes(point["id"]),
      payload,
      text: JSON.stringify(payload),
      vectors: toVectors(point["vector"], config),
    };
  });
  return (collection) => {
    for (const point of points) {
      const before = collection.slotOf(point.id);
      if (mode === "insert_only" && before !== undefined) continue;
      if (mode === "update_only" && before === undefined) continue;
      if (replaceable && before !== undefined && collection.select(replaceable, Uint32Array.of(before)).length === 0) continue;
      collection.upsert(point);
    }
  };
}

/** Columns to rows. */
function rowsOf(batch: Json): Json[] {
  const ids = toArray(batch["ids"], "batch.ids");
  const payloads = isAbsent(batch["payloads"]) ? undefined : toArray(batch["payloads"], "batch.payloads");
  const { vectors } = batch;
  const columns: [string, readonly unknown[]][] = Array.isArray(vectors)
    ? [[unnamed, vectors]]
    : Object.entries(toObject(vectors, "batch.vectors")).map(([name, column]) => [name, toArray(column, "batch.vectors")]);
  for (const [what, column] of [["payloads", payloads ?? ids], ...columns] as const) {
    if (column.length !== ids.length) throw badRequest(`batch: ${column.length} ${what || "vectors"} for ${ids.length} ids`);
  }
  return ids.map((id, i) => ({
    id,
    vector: Object.fromEntries(columns.map(([name, column]) => [name, column[i]])),
    payload: payloads?.[i],
  }));
}

const toPayload = (value: unknown): Json => (isAbsent(value) ? {} : toObject(value, "payload"));

function parseDelete(body: Json): Change {
  // In a batch the selector stands directly under `delete`.
  refuseOthers(body, ["points", "filter", "shard_key"], "a deletion");
  const select = parseSelector(body);
  return (collection) => select(collection).forEach((slot) => collection.delete(slot));
}

function parseSetPayload(body: Json, target: Target): Change {
  refuseOthers(body, ["payload", "points", "filter", "key", "shard_key"], "setting payload");
  const patch = toObject(body["payload"], "payload");
  const path = isAbsent(body["key"]) ? undefined : parsePath(body["key"]);
  const select = parseSelector(body, target);
  // Into nothing it goes as it is, nulls and all: there is nothing to take away from.
  const isEmpty = (payload: Json): boolean => Object.keys(payload).length === 0;
  const change = (payload: Json): Json => (!path && isEmpty(payload) ? patch : mergeAt(payload, path, patch));
  return (collection) => {
    for (const slot of select(collection)) collection.changePayload(slot, change);
  };
}

function parseOverwritePayload(body: Json, target: Target): Change {
  refuseOthers(body, ["payload", "points", "filter", "key", "shard_key"], "overwriting payload");
  if (!isAbsent(body["key"])) throw unsupported("`key` in overwriting payload");
  const payload = toObject(body["payload"], "payload");
  const select = parseSelector(body, target);
  return (collection) => select(collection).forEach((slot) => collection.changePayload(slot, () => payload));
}

function parseDeletePayload(body: Json, target: Target): Change {
  refuseOthers(body, ["keys", "points", "filter", "shard_key"], "deleting payload");
  const paths = toArray(body["keys"], "keys").map(parsePath);
  const select = parseSelector(body, target);
  return (collection) => {
    for (const slot of select(collection)) collection.changePayload(slot, (payload) => paths.reduce(withoutKey, payload));
  };
}

function parseClearPayload(body: Json, target: Target): Change {
  refuseOthers(body, ["points", "filter", "shard_key"], "clearing payload");
  const select = parseSelector(body, target);
  return (collection) => select(collection).forEach((slot) => collection.changePayload(slot, () => ({})));
}

function parseUpdateVectors(body: Json, { config, slotOf }: Target): Change {
  refuseOthers(body, ["points", "update_filter", "shard_key"], "updating vectors");
  const changeable = parseFilter(body["update_filter"]);
  const points = toArray(body["points"], "points").map((value) => {
    const point = toObject(value, "points");
    refuseOthers(point, ["id", "vector"], "updating vectors");
    const id = toIdBytes(point["id"]);
    if (slotOf(id) === undefined) throw notFound(`No point with id ${fromIdBytes(id)} found`);
    return { id, vectors: toVectors(point["vector"], config) };
  });
  return (collection) => {
    for (const { id, vectors } of points) {
      const slot = collection.slotOf(id);
      if (slot === undefined) continue;
      if (changeable && collection.select(changeable, Uint32Array.of(slot)).length === 0) continue;
      collection.putVectors(slot, vectors);
    }
  };
}

function parseDeleteVectors(body: Json, target: Target): Change {
  refuseOthers(body, ["points", "filter", "vector", "shard_key"], "deleting vectors");
  const names = toArray(body["vector"], "vector").map((name) => toText(name, "vector"));
  for (const name of names) vectorConfig(target.config, name);
  const select = parseSelector(body, target);
  return (collection) => select(collection).forEach((slot) => collection.removeVectors(slot, names));
}

/** `points` or `filter`: which slots, seen when the change is applied. With a target, an id nobody has is refused now; else it is left out. */
function parseSelector(body: Json, target?: Target): (collection: Collection) => number[] {
  if (!isAbsent(body["points"])) {
    const ids = toArray(body["points"], "points").map(toIdBytes);
    const missing = target && ids.find((id) => target.slotOf(id) === undefined);
    if (missing) throw notFound(`No point with id ${fromIdBytes(missing)} found`);
    return (collection) => [...new Set(ids.map(collection.slotOf).filter((slot) => slot !== undefined))];
  }
  const filter: Filter | undefined = parseFilter(body["filter"]);
  if (!filter) throw invalid("points", "Either list of point ids or a filter must be given");
  // A copy: the change itself alters what the filter selects.
  return (collection) => Array.from(collection.select(filter));
}
