import { isAbsent, refuseOthers, toObject, toText, type Json } from "../body.ts";
import type { Collection } from "../collection.ts";
import { checkVectorName, parseAddedVector, parseCollection, unnamed } from "../config.ts";
import { parsePath } from "../filter/payloadPath.ts";
import { parseFieldSchema } from "../filter/payloadIndex.ts";
import { alreadyExists } from "../refusal.ts";
import type { Call, Route } from "../route.ts";
import { written } from "./written.ts";

export const collectionRoutes: readonly Route[] = [
  {
    method: "GET",
    pattern: "/collections",
    answer: ({ store }) => ({ collections: store.names().map((name) => ({ name })) }),
  },
  { method: "GET", pattern: "/collections/{c}", answer: ({ store, path }) => view(store.get(path["c"]!)) },
  { method: "GET", pattern: "/collections/{c}/exists", answer: ({ store, path }) => ({ exists: store.has(path["c"]!) }) },
  { method: "PUT", pattern: "/collections/{c}", answer: create },
  { method: "PATCH", pattern: "/collections/{c}", answer: amend },
  { method: "DELETE", pattern: "/collections/{c}", answer: ({ store, path }) => store.delete(path["c"]!) },
  { method: "PUT", pattern: "/collections/{c}/index", answer: createIndex },
  { method: "DELETE", pattern: "/collections/{c}/index/{field}", answer: deleteIndex },
  { method: "PUT", pattern: "/collections/{c}/vectors/{name}", answer: addVector },
  { method: "DELETE", pattern: "/collections/{c}/vectors/{name}", answer: dropVector },
];

function create({ store, path, body }: Call): boolean {
  store.create(path["c"]!, parseCollection(body));
  return true;
}

/** Tuning that has nothing to tune here, and the metadata, which is replaced key by key. */
function amend({ store, path, body }: Call): boolean {
  refuseOthers(body, ["hnsw_config", "optimizers_config", "quantization_config", "metadata"], "changing a collection");
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => !isAbsent(value)));
  if ("metadata" in given) {
    const before = store.get(path["c"]!).config.given["metadata"];
    given["metadata"] = { ...(before as Json | undefined), ...toObject(given["metadata"], "metadata") };
  }
  store.write(path["c"]!, (collection) => collection.amend(given));
  return true;
}

function createIndex(call: Call): unknown {
  const { body } = call;
  refuseOthers(body, ["field_name", "field_schema"], "creating a payload index");
  const path = parsePath(body["field_name"]);
  const schema = parseFieldSchema(body["field_schema"]);
  return written(call, (collection) => collection.addIndex(path, schema));
}

function deleteIndex(call: Call): unknown {
  const path = parsePath(call.path["field"]);
  return written(call, (collection) => collection.dropIndex(path));
}

function addVector(call: Call): unknown {
  const name = checkVectorName(toText(call.path["name"], "vector name"));
  const config = parseAddedVector(call.body);
  if (call.store.get(call.path["c"]!).fields.has(name)) throw alreadyExists(`Vector \`${name}\` already exists!`);
  return written(call, (collection) => collection.addField(name, config));
}

function dropVector(call: Call): unknown {
  return written(call, (collection) => collection.dropField(call.path["name"]!));
}

/** What `GET /collections/{c}` shows. The graph index and segments are those of a server that has none of either. */
function view(collection: Collection): Json {
  const { vectors, given } = collection.config;
  const dense = [...vectors].filter(([, config]) => config.kind === "dense");
  const sparse = [...vectors].filter(([, config]) => config.kind === "sparse");
  const shown = ([name, config]: (typeof dense)[number]): [string, Json] => [name, config.given];
  return {
    status: "green",
    optimizer_status: "ok",
    indexed_vectors_count: [...collection.fields.values()].reduce((sum, field) => sum + field.holders.size, 0),
    points_count: collection.live.size,
    segments_count: 1,
    config: {
      params: {
        vectors: vectors.has(unnamed) ? vectors.get(unnamed)!.given : Object.fromEntries(dense.map(shown)),
        ...(sparse.length > 0 && { sparse_vectors: Object.fromEntries(sparse.map(shown)) }),
        shard_number: 1,
        replication_factor: 1,
        write_consistency_factor: 1,
        on_disk_payload: true,
      },
      hnsw_config: given["hnsw_config"] ?? { m: 0, ef_construct: 100, full_scan_threshold: 10_000 },
      optimizer_config: given["optimizers_config"] ?? {
        deleted_threshold: 0.2,
        default_segment_number: 1,
        flush_interval_sec: 0,
      },
      wal_config: given["wal_config"] ?? { wal_capacity_mb: 32, wal_segments_ahead: 0 },
      quantization_config: given["quantization_config"] ?? null,
      ...("metadata" in given && { metadata: given["metadata"] }),
    },
    payload_schema: Object.fromEntries(
      [...collection.indexes].map(([key, { schema, index }]) => [
        key,
        { data_type: schema.kind, ...(schema.params && { params: schema.params }), points: index.points },
      ]),
    ),
    update_queue: { length: 0 },
  };
}
