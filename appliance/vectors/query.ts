/** The query language: from JSON to a checked tree. search.ts runs it. */
import { isAbsent, isObject, refuseOthers, toArray, toCount, toList, toNumber, toObject, toText, type Json } from "./body.ts";
import { unnamed, type CollectionConfig } from "./config.ts";
import { parseFilter, type Filter } from "./filter.ts";
import { toIdBytes } from "./pointId.ts";
import { badFormat, badRequest, invalid, unsupported } from "./refusal.ts";
import { toVector, vectorConfig, type VectorValue } from "./vectorInput.ts";

export type Ask =
  | { readonly type: "all" }
  | { readonly type: "vector"; readonly using: string; readonly vector: VectorValue }
  | { readonly type: "point"; readonly using: string; readonly id: Uint8Array }
  | { readonly type: "rrf"; readonly k: number; readonly weights: readonly number[] }
  | { readonly type: "dbsf" };

export type Query = {
  readonly prefetch: readonly Query[];
  readonly ask: Ask;
  readonly filter: Filter | undefined;
  readonly limit: number;
  readonly offset: number;
  readonly scoreThreshold: number | undefined;
  readonly isExact: boolean;
  /** Points over which IDF is counted; all when absent. */
  readonly idfCorpus: Filter | undefined;
};

const limitDefault = 10;
const rrfKDefault = 2;
const depthMax = 8;
// Named because clients always send them; a single process has no shards, replicas or deadlines to apply them to.
const ignored = ["consistency", "timeout", "shard_key"];
const parts = ["prefetch", "query", "using", "filter", "params", "score_threshold", "limit"];
const outerParts = [...parts, "offset", "with_vector", "with_payload", ...ignored];

export function parseQuery(body: Json, config: CollectionConfig): Query {
  refuseOthers(body, outerParts, "a query");
  return { ...parsePart(body, config, 0), offset: toCount(body["offset"], "offset", { min: 0, otherwise: 0 }) };
}

function parsePart(body: Json, config: CollectionConfig, depth: number): Query {
  if (depth > depthMax) throw invalid("prefetch", `nested deeper than ${depthMax}`);
  const prefetch = toList(body["prefetch"]).map((inner) => {
    const part = toObject(inner, "prefetch");
    refuseOthers(part, parts, "a prefetch");
    return parsePart(part, config, depth + 1);
  });
  const ask = parseAsk(body, config);
  if (prefetch.length > 0 && ask.type === "all") {
    throw badRequest("A query is needed to merge the prefetches. Can't have prefetches without defining a query.");
  }
  if (ask.type === "rrf" || ask.type === "dbsf") {
    if (prefetch.length === 0) throw badRequest("Fusion queries need prefetches to merge.");
    if (!isAbsent(body["using"])) throw badRequest("Fusion queries cannot be combined with the 'using' field.");
    if (ask.type === "rrf" && ask.weights.length > 0 && ask.weights.length !== prefetch.length) {
      throw invalid("query.rrf.weights", `${ask.weights.length} weights for ${prefetch.length} prefetches`);
    }
  }
  const params = toObject(body["params"] ?? {}, "params");
  const threshold = body["score_threshold"];
  return {
    prefetch,
    ask,
    filter: parseFilter(body["filter"]),
    limit: toCount(body["limit"], "limit", { min: 1, otherwise: limitDefault }),
    offset: 0,
    scoreThreshold: isAbsent(threshold) ? undefined : toNumber(threshold, "score_threshold"),
    isExact: params["exact"] === true,
    idfCorpus: parseCorpus(params["idf"]),
  };
}

function parseCorpus(idf: unknown): Filter | undefined {
  if (isAbsent(idf) || idf === "global") return undefined;
  const corpus = toObject(idf, "params.idf")["corpus"];
  return corpus === "global" ? undefined : parseFilter(corpus);
}

function parseAsk(body: Json, config: CollectionConfig): Ask {
  const { query } = body;
  if (isAbsent(query)) return { type: "all" };
  if (isObject(query) && !("indices" in query)) return parseNamedAsk(query, body, config);
  return parseNearest(query, body, config);
}

function parseNamedAsk(query: Json, body: Json, config: CollectionConfig): Ask {
  const [kind, ...others] = Object.keys(query).filter((key) => !isAbsent(query[key]));
  if (kind !== undefined && others.length > 0) throw unsupported(`\`${others[0]}\` beside \`${kind}\` in a query`);
  switch (kind) {
    case "nearest":
      return parseNearest(query["nearest"], body, config);
    case "fusion":
      return parseFusion(query["fusion"]);
    case "rrf": {
      const rrf = toObject(query["rrf"], "query.rrf");
      refuseOthers(rrf, ["k", "weights"], "rrf");
      return {
        type: "rrf",
        k: toCount(rrf["k"], "query.rrf.k", { min: 1, otherwise: rrfKDefault }),
        weights: toArray(rrf["weights"] ?? [], "query.rrf.weights").map((weight) => toNumber(weight, "query.rrf.weights")),
      };
    }
    case undefined:
      throw badFormat("query: expected a vector, a point id or a query object");
    default:
      throw unsupported(`\`${kind}\` query`);
  }
}

function parseFusion(name: unknown): Ask {
  if (name === "rrf") return { type: "rrf", k: rrfKDefault, weights: [] };
  if (name === "dbsf") return { type: "dbsf" };
  throw badFormat(`query.fusion: unknown variant ${JSON.stringify(name)}, expected rrf or dbsf`);
}

function parseNearest(value: unknown, body: Json, config: CollectionConfig): Ask {
  const using = isAbsent(body["using"]) ? unnamed : toText(body["using"], "using");
  const vector = vectorConfig(config, using);
  if (typeof value === "string" || typeof value === "number") return { type: "point", using, id: toIdBytes(value) };
  return { type: "vector", using, vector: toVector(value, vector) };
}
