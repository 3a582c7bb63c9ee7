import { unsupported } from "../refusal.ts";
import type { Route } from "../routes.ts";

/** The Qdrant whose calls are imitated. Clients compare its first two numbers with their own. */
const imitated = "1.19.0";

const text = (body: string) => () => ({ text: body });
const root = { title: "qdrant - vector search engine (Nika's embedded store)", version: imitated };

/** Answered without a key: they say that something is here and nothing about what. */
export const openPaths: readonly string[] = ["/", "/healthz", "/livez", "/readyz"];

export const serviceRoutes: readonly Route[] = [
  { method: "GET", pattern: "/", answer: () => ({ bare: root }) },
  { method: "GET", pattern: "/healthz", answer: text("healthz check passed") },
  { method: "GET", pattern: "/livez", answer: text("healthz check passed") },
  { method: "GET", pattern: "/readyz", answer: text("all shards are ready") },
  refused("POST", "/collections/{c}/points/query/groups", "grouped queries"),
  refused("POST", "/collections/{c}/points/search/matrix/pairs", "distance matrices"),
  refused("POST", "/collections/{c}/points/search/matrix/offsets", "distance matrices"),
  ...["GET", "POST"].map((method) => refused(method as "GET", "/collections/{c}/snapshots", "snapshots yet")),
  ...["GET", "POST"].map((method) => refused(method as "GET", "/snapshots", "snapshots yet")),
  refused("PUT", "/collections/{c}/snapshots/recover", "snapshots yet"),
  ...["GET", "POST"].map((method) => refused(method as "GET", "/collections/{c}/cluster", "cluster")),
  refused("GET", "/cluster", "cluster"),
  ...["GET", "PUT"].map((method) => refused(method as "GET", "/collections/{c}/shards", "shards")),
  refused("POST", "/collections/{c}/shards/delete", "shards"),
];

function refused(method: Route["method"], pattern: string, what: string): Route {
  return {
    method,
    pattern,
    answer: () => {
      throw unsupported(what);
    },
  };
}
