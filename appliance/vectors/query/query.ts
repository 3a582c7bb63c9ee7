/** The query language: from JSON to a checked tree. search.ts runs it. */
import { isAbsent, isObject, refuseOthers, toArray, toCount, toList, toNumber, toObject, toText, type Json } from "../body.ts";
import { unnamed, type CollectionConfig } from "../config.ts";
import { parseFilter, type Filter } from "../filter/filter.ts";
import { parsePath, type Path } from "../filter/payloadPath.ts";
import type { VectorValue } from "../index/values.ts";
import { toIdBytes } from "../pointId.ts";
import { badFormat, badRequest, invalid, unsupported } from "../refusal.ts";
import { readVector, vectorConfig } from "../vectorInput.ts";
import { parseFormula, type Formula } from "./formula.ts";
import { parseOrderBy, type OrderBy } from "./orderBy.ts";

/** A vector, or a point that lends its own. A vector is as it was sent. */
export type Example =
  | { readonly type: "vector"; readonly vector: VectorValue }
  | { readonly type: "point"; readonly id: Uint8Array };
export type Pair<T> = { readonly positive: T; readonly negative: T };
export type Strategy = "average_vector" | "best_score" | "sum_scores";

/** Questions that compare with vectors; `T` is what an example has become. */
export type Comparison<T> =
  | { readonly type: "nearest"; readonly target: T; readonly mmr?: Mmr }
  | {
      readonly type: "recommend";
      readonly positives: readonly T[];
      readonly negatives: readonly T[];
      readonly strategy: Strategy;
    }
  | { readonly type: "discover"; readonly target: T; readonly pairs: readonly Pair<T>[] }
  | { readonly type: "context"; readonly pairs: readonly Pair<T>[] };
export type Mmr = { readonly diversity: number; readonly candidates: number | undefined };

export type Ask =
  | { readonly type: "all" }
  | { readonly type: "compare"; readonly using: string; readonly comparison: Comparison<Example>; readonly lookup?: Lookup }
  | { readonly type: "rrf"; readonly k: number; readonly weights: readonly number[] }
  | { readonly type: "dbsf" }
  | { readonly type: "order"; readonly by: OrderBy }
  | { readonly type: "sample" }
  | { readonly type: "formula"; readonly formula: Formula };
/** Where the points of examples are looked up instead of in the collection itself. */
export type Lookup = { readonly collection: string; readonly vector: string };

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

export type Grouped = {
  readonly query: Query;
  readonly by: Path;
  readonly size: number;
  /** Shown with each group: the point of this collection whose id is the group's. */
  readonly lookup?: { readonly collection: string; readonly wanted: Json };
};

const limitDefault = 10;
const groupSizeDefault = 3;
const rrfKDefault = 2;
const depthMax = 8;
// Named because clients always send them; a single process has no shards, replicas or deadlines to apply them to.
const ignored = ["consistency", "timeout", "shard_key"];
const parts = ["prefetch", "query", "using", "filter", "params", "score_threshold", "limit", "lookup_from"];
const outerParts = [...parts, "offset", "with_vector", "with_payload", ...ignored];
const groupParts = ["group_by", "group_size", "with_lookup"];

export function parseQuery(body: Json, config: CollectionConfig): Query {
  refuseOthers(body, outerParts, "a query");
  return { ...parsePart(body, config, 0), offset: toCount(body["offset"], "offset", { min: 0, otherwise: 0 }) };
}

export function parseGroups(body: Json, config: CollectionConfig): Grouped {
  refuseOthers(
    body,
    [...outerParts, ...groupParts].filter((part) => part !== "offset"),
    "a grouped query",
  );
  const lookup = isAbsent(body["with_lookup"]) ? undefined : parseWithLookup(body["with_lookup"]);
  return {
    query: parsePart(body, config, 0),
    by: parsePath(body["group_by"]),
    size: toCount(body["group_size"], "group_size", { min: 1, otherwise: groupSizeDefault }),
    ...(lookup && { lookup }),
  };
}

function parseWithLookup(value: unknown): NonNullable<Grouped["lookup"]> {
  if (typeof value === "string") return { collection: value, wanted: {} };
  const body = toObject(value, "with_lookup");
  refuseOthers(body, ["collection", "with_payload", "with_vectors"], "with_lookup");
  const { with_payload, with_vectors } = body;
  return {
    collection: toText(body["collection"], "with_lookup.collection"),
    wanted: { with_payload, with_vector: with_vectors },
  };
}

function parsePart(body: Json, config: CollectionConfig, depth: number): Query {
  if (depth > depthMax) throw invalid("prefetch", `nested deeper than ${depthMax}`);
  const prefetch = toList(body["prefetch"]).map((inner) => {
    const part = toObject(inner, "prefetch");
    refuseOthers(part, parts, "a prefetch");
    return parsePart(part, config, depth + 1);
  });
  const ask = parseAsk(body, config);
  checkFit(ask, prefetch, body);
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

/** What a question can stand beside. */
function checkFit(ask: Ask, prefetch: readonly Query[], body: Json): void {
  if (prefetch.length > 0 && ask.type === "all") {
    throw badRequest("A query is needed to merge the prefetches. Can't have prefetches without defining a query.");
  }
  if (!isAbsent(body["score_threshold"])) {
    if (ask.type === "all")
      throw badRequest("A query is needed to use the score_threshold. Can't have score_threshold without defining a query.");
    if (ask.type === "order") throw badRequest("Can't use score_threshold with an order_by query.");
  }
  if (ask.type === "formula" && prefetch.length === 0) throw badRequest("cannot apply Formula without prefetches");
  if (ask.type !== "rrf" && ask.type !== "dbsf") return;
  if (prefetch.length === 0) throw badRequest("Fusion queries need prefetches to merge.");
  if (!isAbsent(body["using"])) throw badRequest("Fusion queries cannot be combined with the 'using' field.");
  if (ask.type === "rrf" && ask.weights.length > 0 && ask.weights.length !== prefetch.length) {
    throw invalid("query.rrf.weights", `${ask.weights.length} weights for ${prefetch.length} prefetches`);
  }
}

function parseCorpus(idf: unknown): Filter | undefined {
  if (isAbsent(idf) || idf === "global") return undefined;
  const corpus = toObject(idf, "params.idf")["corpus"];
  return corpus === "global" ? undefined : parseFilter(corpus);
}

function parseAsk(body: Json, config: CollectionConfig): Ask {
  const { query } = body;
  if (isAbsent(query)) return { type: "all" };
  const reader = exampleReader(body, config);
  if (isObject(query) && !("indices" in query)) return parseNamedAsk(query, reader);
  return reader.compare({ type: "nearest", target: reader.read(query) });
}

type Reader = { read(value: unknown): Example; compare(comparison: Comparison<Example>): Ask };

/** Reads examples as the vector that `using` names; only questions that have examples ask it to. */
function exampleReader(body: Json, config: CollectionConfig): Reader {
  const using = isAbsent(body["using"]) ? unnamed : toText(body["using"], "using");
  const lookup = isAbsent(body["lookup_from"]) ? undefined : parseLookup(body["lookup_from"], using);
  return {
    read(value) {
      const shape = vectorConfig(config, using);
      if (typeof value === "string" || typeof value === "number") return { type: "point", id: toIdBytes(value) };
      return { type: "vector", vector: readVector(value, shape) };
    },
    compare(comparison) {
      vectorConfig(config, using);
      return { type: "compare", using, comparison, ...(lookup && { lookup }) };
    },
  };
}

function parseLookup(value: unknown, using: string): Lookup {
  const body = toObject(value, "lookup_from");
  refuseOthers(body, ["collection", "vector", "shard_key"], "lookup_from");
  const { vector } = body;
  return {
    collection: toText(body["collection"], "lookup_from.collection"),
    vector: isAbsent(vector) ? using : toText(vector, "lookup_from.vector"),
  };
}

function parseNamedAsk(query: Json, reader: Reader): Ask {
  const [kind, ...others] = Object.keys(query).filter(
    (key) => !isAbsent(query[key]) && !(key === "mmr" && "nearest" in query) && !(key === "defaults" && "formula" in query),
  );
  if (kind !== undefined && others.length > 0) throw unsupported(`\`${others[0]}\` beside \`${kind}\` in a query`);
  switch (kind) {
    case "nearest": {
      const mmr = isAbsent(query["mmr"]) ? undefined : parseMmr(toObject(query["mmr"], "query.mmr"));
      return reader.compare({ type: "nearest", target: reader.read(query["nearest"]), ...(mmr && { mmr }) });
    }
    case "recommend":
      return reader.compare(parseRecommend(toObject(query["recommend"], "query.recommend"), reader));
    case "discover": {
      const body = toObject(query["discover"], "query.discover");
      refuseOthers(body, ["target", "context"], "discover");
      return reader.compare({
        type: "discover",
        target: reader.read(body["target"]),
        pairs: parsePairs(body["context"], reader),
      });
    }
    case "context":
      return reader.compare({ type: "context", pairs: parsePairs(query["context"], reader) });
    case "order_by":
      return { type: "order", by: parseOrderBy(query["order_by"]) };
    case "sample":
      if (query["sample"] !== "random")
        throw badFormat(`query.sample: unknown variant ${JSON.stringify(query["sample"])}, expected random`);
      return { type: "sample" };
    case "formula":
      return { type: "formula", formula: parseFormula(query) };
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

const mmrDiversityDefault = 0.5;
const mmrCandidatesMax = 16_384;

function parseMmr(body: Json): Mmr {
  refuseOthers(body, ["diversity", "candidates_limit"], "mmr");
  const diversity = isAbsent(body["diversity"]) ? mmrDiversityDefault : toNumber(body["diversity"], "query.mmr.diversity");
  if (diversity < 0 || diversity > 1) throw invalid("query.mmr.diversity", `value ${diversity} invalid, must be from 0.0 to 1.0`);
  const candidates = isAbsent(body["candidates_limit"])
    ? undefined
    : toCount(body["candidates_limit"], "query.mmr.candidates_limit", { min: 1, otherwise: limitDefault });
  if (candidates !== undefined && candidates > mmrCandidatesMax)
    throw invalid("query.mmr.candidates_limit", `value ${candidates} invalid, must be ${mmrCandidatesMax} or smaller`);
  return { diversity, candidates };
}

const strategies = ["average_vector", "best_score", "sum_scores"] as const;

function parseRecommend(body: Json, { read }: Reader): Comparison<Example> {
  refuseOthers(body, ["positive", "negative", "strategy"], "recommend");
  const positives = toArray(body["positive"] ?? [], "recommend.positive").map(read);
  const negatives = toArray(body["negative"] ?? [], "recommend.negative").map(read);
  const strategy = isAbsent(body["strategy"]) ? "average_vector" : strategies.find((name) => name === body["strategy"]);
  if (!strategy)
    throw badFormat(
      `recommend.strategy: unknown variant ${JSON.stringify(body["strategy"])}, expected one of ${strategies.join(", ")}`,
    );
  if (positives.length + negatives.length === 0 || (strategy === "average_vector" && positives.length === 0))
    throw badRequest("At least one positive vector ID required");
  return { type: "recommend", positives, negatives, strategy };
}

function parsePairs(value: unknown, { read }: Reader): Pair<Example>[] {
  return toList(value).map((one) => {
    const pair = toObject(one, "context");
    refuseOthers(pair, ["positive", "negative"], "a context pair");
    return { positive: read(pair["positive"]), negative: read(pair["negative"]) };
  });
}

function parseFusion(name: unknown): Ask {
  if (name === "rrf") return { type: "rrf", k: rrfKDefault, weights: [] };
  if (name === "dbsf") return { type: "dbsf" };
  throw badFormat(`query.fusion: unknown variant ${JSON.stringify(name)}, expected rrf or dbsf`);
}
