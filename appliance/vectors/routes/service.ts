import { randomUUID } from "node:crypto";
import type { Collection } from "../collection.ts";
import { unsupported } from "../refusal.ts";
import type { Call, Route } from "../route.ts";

/** The Qdrant whose calls are imitated. Clients compare its first two numbers with their own. */
const imitated = "1.19.0";

const text = (body: string) => () => ({ text: body });
const root = { title: "qdrant - vector search engine (Nika's embedded store)", version: imitated };
/** Of this start; some clients show it. */
const id = randomUUID();
const startedAt = new Date().toISOString();

/** Answered without a key: they say that something is here and nothing about what. */
export const openPaths: readonly string[] = ["/", "/healthz", "/livez", "/readyz"];

export const serviceRoutes: readonly Route[] = [
  { method: "GET", pattern: "/", answer: () => ({ bare: root }) },
  { method: "GET", pattern: "/healthz", answer: text("healthz check passed") },
  { method: "GET", pattern: "/livez", answer: text("healthz check passed") },
  { method: "GET", pattern: "/readyz", answer: text("all shards are ready") },
  { method: "GET", pattern: "/telemetry", answer: telemetry },
  { method: "GET", pattern: "/metrics", answer: metrics },
  { method: "GET", pattern: "/issues", answer: () => ({ issues: [] }) },
  { method: "DELETE", pattern: "/issues", answer: () => true },
  { method: "GET", pattern: "/cluster", answer: () => ({ status: "disabled" }) },
  { method: "GET", pattern: "/collections/{c}/cluster", answer: clusterOf },
  refused("POST", "/collections/{c}/cluster", "cluster"),
  ...["GET", "PUT"].map((method) => refused(method as "GET", "/collections/{c}/shards", "shards")),
  refused("POST", "/collections/{c}/shards/delete", "shards"),
  ...["GET", "POST"].map((method) => refused(method as "GET", "/collections/{c}/shards/{s}/snapshots", "shards")),
];

const collectionsOf = ({ store }: Call): Collection[] => store.names().map((name) => store.get(name));

/** What the web interface and support tools read: who this is and how much it holds. */
function telemetry(call: Call): unknown {
  const collections = collectionsOf(call);
  return {
    id,
    app: { name: "qdrant", version: imitated, startup: startedAt, features: { embedded: true } },
    collections: {
      number_of_collections: collections.length,
      collections: collections.map(({ name, fields, live }) => ({
        id: name,
        vectors: [...fields.values()].reduce((sum, { holders }) => sum + holders.size, 0),
        points: live.size,
      })),
    },
    cluster: { enabled: false },
    requests: { rest: { responses: {} } },
  };
}

/** In Prometheus' text form. */
function metrics(call: Call): { text: string } {
  const collections = collectionsOf(call);
  const label = (name: string): string => JSON.stringify(name);
  const gauge = (name: string, help: string, lines: readonly string[]): string[] => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...lines.map((line) => name + line),
  ];
  const lines = [
    ...gauge("app_info", "information about the server", [`{name="qdrant",version="${imitated}"} 1`]),
    ...gauge("collections_total", "number of collections", [` ${collections.length}`]),
    ...gauge(
      "collection_points",
      "number of points per collection",
      collections.map(({ name, live }) => `{id=${label(name)}} ${live.size}`),
    ),
    ...gauge(
      "collection_vectors",
      "number of vectors per collection and name",
      collections.flatMap(({ name, fields }) =>
        [...fields.values()].map((field) => `{collection=${label(name)},vector=${label(field.name)}} ${field.holders.size}`),
      ),
    ),
    ...gauge("memory_resident_bytes", "memory of the process", [` ${process.memoryUsage.rss()}`]),
  ];
  return { text: `${lines.join("\n")}\n` };
}

/** One shard, here. */
function clusterOf({ store, path }: Call): unknown {
  const { live } = store.get(path["c"]!);
  return {
    peer_id: 0,
    shard_count: 1,
    local_shards: [{ shard_id: 0, points_count: live.size, state: "Active" }],
    remote_shards: [],
    shard_transfers: [],
  };
}

function refused(method: Route["method"], pattern: string, what: string): Route {
  return {
    method,
    pattern,
    answer: () => {
      throw unsupported(what);
    },
  };
}
