/** Random collections, changes and questions, in the words of Qdrant's REST interface. */
import type { Random } from "../../../tests/appliance/vectors/random.ts";

export type Body = Record<string, unknown>;
export type Step =
  | { readonly do: "write"; readonly kind: string; readonly method: string; readonly path: string; readonly body: Body }
  | { readonly do: "ask"; readonly kind: Asked; readonly body: Body };
export type Asked = "query" | "scroll" | "count" | "facet" | "groups";
export type Round = { readonly config: Body; readonly steps: readonly Step[] };

const words = ["red", "green", "blue", "black", "white", "rouge", "vert", "bleu", "noir", "blanc"];
const pick = <T>(from: Random, list: readonly T[]): T => list[from.below(list.length)]!;
const chance = (from: Random, p: number): boolean => from.next() < p;
const some = <T>(from: Random, min: number, max: number, make: () => T): T[] =>
  Array.from({ length: min + from.below(max - min + 1) }, make);
const decimal = (x: number): number => Math.round(x * 1e4) / 1e4;

const sizes = { v: 8, e: 4, m: 3, d: 6, h: 8, b: 4, q: 3 } as const;
const dense = ["v", "e", "m", "d"] as const;

const config: Body = {
  vectors: {
    v: { size: sizes.v, distance: "Cosine" },
    e: { size: sizes.e, distance: "Euclid" },
    m: { size: sizes.m, distance: "Manhattan" },
    d: { size: sizes.d, distance: "Dot" },
    h: { size: sizes.h, distance: "Cosine", datatype: "float16" },
    b: { size: sizes.b, distance: "Dot", datatype: "uint8" },
    q: { size: sizes.q, distance: "Cosine", multivector_config: { comparator: "max_sim" } },
  },
  sparse_vectors: { s: {}, i: { modifier: "idf" } },
};

export function round(from: Random): Round {
  const count = 40 + from.below(80);
  const ids = Array.from({ length: count }, (_, i) => (i % 5 === 4 ? uuid(from) : i * 3 + 1));
  const g = generator(from, ids);
  const steps: Step[] = [];
  const indexes = Object.entries(schemas).filter(() => chance(from, 0.6));
  const index = (): void =>
    indexes.forEach(([field_name, field_schema]) => {
      steps.push(
        write("index", "PUT", "/index", { field_name, field_schema: field_name === "t" ? textSchema(from) : field_schema }),
      );
    });
  const isEarly = chance(from, 0.5);
  if (isEarly) index();
  for (let at = 0; at < count; at += 32) {
    steps.push(write("upsert", "PUT", "/points", { points: ids.slice(at, at + 32).map(g.point) }));
  }
  if (!isEarly) index();
  const indexed = new Set(indexes.map(([name]) => name));
  // Before the changes, because the model follows them less well than the engine.
  for (let i = 0; i < 6; i++) steps.push(g.modelled());
  for (let i = 0; i < 8; i++) steps.push(g.change());
  steps.push({ do: "ask", kind: "scroll", body: { limit: 500 } });
  for (let i = 0; i < 40; i++) steps.push(g.question(indexed));
  return { config, steps };
}

const schemas: Body = {
  k: "keyword",
  n: "integer",
  f: "float",
  b: "bool",
  u: "uuid",
  at: "datetime",
  g: "geo",
  t: "text",
  "o[].a": "keyword",
  "o[].n": "integer",
};

const textSchema = (from: Random): Body => ({
  type: "text",
  tokenizer: pick(from, ["word", "whitespace", "prefix"]),
  lowercase: chance(from, 0.8),
  ...(chance(from, 0.3) && { min_token_len: 2 + from.below(2) }),
  ...(chance(from, 0.3) && { max_token_len: 4 + from.below(3) }),
  ...(chance(from, 0.5) && { phrase_matching: true }),
});

const write = (kind: string, method: string, path: string, body: Body): Step => ({ do: "write", kind, method, path, body });

function uuid(from: Random): string {
  const hex = Array.from({ length: 32 }, () => from.below(16).toString(16)).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function generator(from: Random, ids: readonly (number | string)[]) {
  const id = (): number | string => pick(from, ids);
  const uuids = Array.from({ length: 6 }, () => uuid(from));
  const row = (size: number): number[] => Array.from({ length: size }, () => decimal(from.normal()));
  const terms = (): Body => {
    const indices = [...new Set(some(from, 1, 6, () => from.below(20)))];
    return { indices, values: indices.map(() => decimal(0.1 + from.next())) };
  };
  const vector = (name: string): unknown => {
    if (name === "s" || name === "i") return terms();
    const size = sizes[name as keyof typeof sizes];
    if (name === "b") return Array.from({ length: size }, () => from.below(256));
    return name === "q" ? some(from, 1, 3, () => row(size)) : row(size);
  };
  const text = (): string =>
    some(from, 1, 5, () => (chance(from, 0.2) ? pick(from, words).toUpperCase() : pick(from, words))).join(
      pick(from, [" ", ", "]),
    );
  const place = (): Body => ({ lon: decimal(from.next() * 20 - 10), lat: decimal(from.next() * 20 - 10) });
  const time = (): string =>
    new Date(Date.UTC(2020 + from.below(5), from.below(12), 1 + from.below(28), from.below(24))).toISOString();
  const oneOrMany = <T>(make: () => T): T | T[] => (chance(from, 0.25) ? some(from, 0, 3, make) : make());
  const payload = (): Body => {
    const all: Body = {
      k: oneOrMany(() => pick(from, words)),
      n: oneOrMany(() => from.below(10)),
      f: oneOrMany(() => decimal(from.normal() * 3)),
      b: chance(from, 0.5),
      u: pick(from, uuids),
      at: time(),
      g: oneOrMany(place),
      t: oneOrMany(text),
      o: some(from, 0, 3, () => ({ a: pick(from, words), n: from.below(4), ...(chance(from, 0.2) && { z: null }) })),
      deep: { er: { x: from.below(3) } },
      nil: null,
    };
    return Object.fromEntries(Object.entries(all).filter(() => chance(from, 0.85)));
  };
  const point = (of: number | string): Body => ({
    id: of,
    vector: Object.fromEntries(
      ["v", "e", "m", "d", "h", "b", "q", "s", "i"]
        .filter((name) => name === "v" || chance(from, 0.9))
        .map((name) => [name, vector(name)]),
    ),
    payload: payload(),
  });

  const bounds = (value: () => number | string): Body => {
    const kind = from.below(4);
    if (kind === 0) return { gte: value() };
    if (kind === 1) return { lt: value() };
    const [low, high] = [value(), value()].sort((a, b) => (a < b ? -1 : 1)) as [number | string, number | string];
    return kind === 2 ? { gt: low, lte: high } : { gte: low, lt: high };
  };
  const leaf = (): Body => {
    const field = (key: string, test: Body): Body => ({ key, ...test });
    const kinds: (() => Body)[] = [
      () => field("k", { match: { value: pick(from, words) } }),
      () => field("k", { match: { any: some(from, 1, 3, () => pick(from, words)) } }),
      () => field("k", { match: { except: some(from, 1, 3, () => pick(from, words)) } }),
      () => field("n", { match: { value: from.below(10) } }),
      () => field("n", { match: { any: some(from, 1, 3, () => from.below(10)) } }),
      () => field("n", { match: { except: some(from, 1, 3, () => from.below(10)) } }),
      () => field("n", { range: bounds(() => from.below(10)) }),
      () => field("f", { range: bounds(() => decimal(from.normal() * 3)) }),
      () => field("u", { match: { value: pick(from, uuids) } }),
      () => field("at", { range: bounds(time) }),
      () => field("g", { geo_radius: { center: place(), radius: 1e5 + from.below(1e6) } }),
      () =>
        field("g", {
          geo_bounding_box: {
            top_left: { lon: -5 - from.next() * 5, lat: from.next() * 8 },
            bottom_right: { lon: from.next() * 8, lat: -5 },
          },
        }),
      () => field("g", { geo_polygon: polygon() }),
      () => field("t", { match: { text: some(from, 1, 2, () => pick(from, words)).join(" ") } }),
      () => field("t", { match: { text_any: some(from, 1, 3, () => pick(from, words)).join(" ") } }),
      () => field("t", { match: { phrase: some(from, 1, 2, () => pick(from, words)).join(" ") } }),
      () => field("k", { match: { prefix: pick(from, ["b", "bl", "r"]) } }),
      () => field(pick(from, ["k", "n", "o", "g", "nothing"]), { values_count: bounds(() => from.below(4)) }),
      () => ({ is_empty: { key: pick(from, ["k", "t", "nil", "nothing", "deep.er"]) } }),
      () => ({ is_null: { key: pick(from, ["k", "nil", "nothing"]) } }),
      () => ({ has_id: some(from, 1, 20, id) }),
      () => ({ has_vector: pick(from, ["e", "s", "q"]) }),
      () => ({ slice: { total: 3, index: from.below(3) } }),
      () => field("o[].a", { match: { value: pick(from, words) } }),
      () => field("deep.er.x", { match: { value: from.below(3) } }),
      () => ({
        nested: {
          key: "o",
          filter: { must: [field("a", { match: { value: pick(from, words) } }), field("n", { range: { gte: from.below(4) } })] },
        },
      }),
      () => ({ nested: { key: "o", filter: { must_not: [field("n", { match: { value: from.below(4) } })] } } }),
    ];
    return pick(from, kinds)();
  };
  const polygon = (): Body => {
    const [x, y, r] = [from.next() * 10 - 5, from.next() * 10 - 5, 2 + from.next() * 6];
    const ring = (radius: number): Body => {
      const points = Array.from({ length: 5 }, (_, i) => ({
        lon: x + radius * Math.cos(i * 1.2566),
        lat: y + radius * Math.sin(i * 1.2566),
      }));
      return { points: [...points, points[0]!] };
    };
    return { exterior: ring(r), ...(chance(from, 0.4) && { interiors: [ring(r / 3)] }) };
  };
  const filter = (depth = 0): Body => {
    const condition = (): Body => (depth < 1 && chance(from, 0.15) ? filter(depth + 1) : leaf());
    const parts: Body = {};
    if (chance(from, 0.7)) parts["must"] = some(from, 1, 2, condition);
    if (chance(from, 0.3)) parts["should"] = some(from, 1, 3, condition);
    if (chance(from, 0.25)) parts["must_not"] = some(from, 1, 2, condition);
    if (chance(from, 0.1)) parts["min_should"] = { conditions: some(from, 2, 4, condition), min_count: 1 + from.below(2) };
    return Object.keys(parts).length === 0 ? { must: [leaf()] } : parts;
  };
  const maybeFilter = (p: number): Body => (chance(from, p) ? { filter: filter() } : {});
  const target = (): Body => (chance(from, 0.5) ? { points: [...new Set(some(from, 1, 5, id))] } : { filter: filter() });

  const change = (): Step => {
    const kinds: (() => Step)[] = [
      () => write("upsert", "PUT", "/points", { points: [point(id())] }),
      () =>
        write("upsert", "PUT", "/points", {
          points: [point(id()), point(10_000 + from.below(50))],
          update_mode: pick(from, ["insert_only", "update_only"]),
        }),
      () => write("upsert", "PUT", "/points", { points: [point(id())], update_filter: filter() }),
      () => write("delete", "POST", "/points/delete", { points: [...new Set(some(from, 1, 3, id))] }),
      () => write("set_payload", "POST", "/points/payload", { payload: payload(), ...target() }),
      () => write("set_payload", "POST", "/points/payload", { payload: { x: from.below(9) }, key: "deep.er", ...target() }),
      () => write("overwrite_payload", "PUT", "/points/payload", { payload: payload(), ...target() }),
      () =>
        write("delete_payload", "POST", "/points/payload/delete", {
          keys: [pick(from, ["k", "n", "deep.er", "o[].a"])],
          ...target(),
        }),
      () => write("clear_payload", "POST", "/points/payload/clear", { points: [id()] }),
      () => write("delete_vectors", "POST", "/points/vectors/delete", { vector: [pick(from, ["e", "s", "q"])], ...target() }),
    ];
    return pick(from, kinds)();
  };

  /** The first points are never deleted's certain victims, but any may be: an unknown one is refused by all alike. */
  const near = (): Body => {
    const using = pick(from, ["v", "v", "e", "m", "d", "h", "b", "q", "s", "i"]);
    return { query: vector(using), using };
  };
  const threshold = (): Body => (chance(from, 0.15) ? { score_threshold: decimal(from.normal()) } : {});
  const limits = (): Body => ({ limit: 1 + from.below(12), ...(chance(from, 0.2) && { offset: from.below(5) }) });
  const example = (using: string): unknown => (using === "v" && chance(from, 0.5) ? id() : vector(using));
  const pairs = (using: string): Body[] => some(from, 1, 3, () => ({ positive: example(using), negative: example(using) }));
  const prefetches = (): Body[] =>
    some(from, 1, 3, () => ({ ...near(), ...maybeFilter(0.3), ...threshold(), limit: 5 + from.below(20) }));
  const formula = (depth = 0): unknown => {
    if (depth > 2 || chance(from, 0.3)) return pick(from, ["$score", "$score", "n", "f", decimal(from.next() * 4)]);
    const inner = (): unknown => formula(depth + 1);
    const kinds: (() => unknown)[] = [
      () => ({ sum: some(from, 1, 3, inner) }),
      () => ({ mult: some(from, 1, 3, inner) }),
      () => ({ neg: inner() }),
      () => ({ abs: inner() }),
      () => ({ sqrt: { abs: inner() } }),
      () => ({ div: { left: inner(), right: inner(), by_zero_default: 1 } }),
      () => ({ pow: { base: { abs: inner() }, exponent: 2 } }),
      () => ({ ln: { sum: [{ abs: inner() }, 1] } }),
      () => ({ [pick(from, ["lin_decay", "exp_decay", "gauss_decay"])]: { x: inner(), target: 1, scale: 2, midpoint: 0.4 } }),
      () => ({ key: "k", match: { any: [pick(from, words)] } }),
    ];
    return pick(from, kinds)();
  };

  /** What only the model can be asked: groups, and conditions on booleans, for which the engine's Python binding takes 1 and 0. */
  const modelled = (): Step => {
    const group = { group_by: pick(from, ["k", "n"]), group_size: 1 + from.below(3), limit: 1 + from.below(4) };
    const value = chance(from, 0.5);
    const isBoolean = chance(from, 0.3);
    if (isBoolean) return { do: "ask", kind: "count", body: { filter: { must: [{ key: "b", match: { value } }] } } };
    const using = pick(from, dense);
    const few = chance(from, 0.3) ? { filter: { must: [{ key: "f", range: bounds(() => decimal(from.normal() * 3)) }] } } : {};
    return { do: "ask", kind: "groups", body: { query: vector(using), using, ...group, ...few } };
  };

  const question = (indexed: ReadonlySet<string>): Step => {
    const using = pick(from, dense);
    const ordered = ["n", "f", "at"].filter((key) => indexed.has(key));
    const order_by = ordered.length === 0 ? undefined : { key: pick(from, ordered), direction: pick(from, ["asc", "desc"]) };
    const ask = (kind: Asked, body: Body): Step => ({ do: "ask", kind, body });
    const counted = ["k", "n", "b", "u"].filter((key) => indexed.has(key));
    const kinds: (() => Step)[] = [
      () => ask("count", { filter: filter() }),
      () => ask("count", { filter: filter() }),
      () => ask("scroll", { filter: filter(), limit: 5, ...(chance(from, 0.5) && { offset: id() }) }),
      () => ask("query", { ...near(), ...maybeFilter(0.5), ...threshold(), ...limits() }),
      () => ask("query", { ...near(), ...maybeFilter(0.5), ...threshold(), ...limits() }),
      () => ask("query", { query: id(), using: "v", ...maybeFilter(0.3), ...limits() }),
      () =>
        ask("query", {
          prefetch: prefetches(),
          query: near()["query"] === undefined ? null : vector(using),
          using,
          ...maybeFilter(0.3),
          ...limits(),
        }),
      () =>
        ask("query", {
          prefetch: prefetches(),
          query: { fusion: pick(from, ["rrf", "dbsf"]) },
          ...maybeFilter(0.3),
          ...limits(),
        }),
      () => {
        const prefetch = prefetches();
        return ask("query", {
          prefetch,
          query: { rrf: { k: 2 + from.below(20), weights: prefetch.map(() => 1 + from.below(3)) } },
          limit: 10,
        });
      },
      () => {
        const strategy = pick(from, ["average_vector", "best_score", "sum_scores"]);
        const recommend = {
          positive: some(from, 1, 3, () => example(using)),
          negative: some(from, 0, 2, () => example(using)),
          strategy,
        };
        return ask("query", { query: { recommend }, using, ...maybeFilter(0.3), ...limits() });
      },
      () =>
        ask("query", {
          query: { discover: { target: example(using), context: pairs(using) } },
          using,
          ...maybeFilter(0.3),
          ...limits(),
        }),
      () => ask("query", { query: { context: pairs(using) }, using, ...maybeFilter(0.3), ...limits() }),
      () =>
        ask("query", {
          query: { nearest: vector(using), mmr: { diversity: decimal(from.next()), candidates_limit: 15 } },
          using,
          limit: 6,
        }),
      () => ask("query", { prefetch: prefetches(), query: { formula: formula(), defaults: { n: 1, f: 0.5 } }, limit: 10 }),
      () => ask("query", { query: terms(), using: "i", params: { idf: { corpus: filter() } }, ...limits() }),
      ...(order_by
        ? [
            () => ask("scroll", { order_by, ...maybeFilter(0.4), limit: 8 }),
            () => ask("query", { query: { order_by }, ...maybeFilter(0.4), ...limits() }),
            () => ask("query", { prefetch: prefetches(), query: { order_by }, limit: 8 }),
          ]
        : []),
      ...(counted.length > 0 ? [() => ask("facet", { key: pick(from, counted), ...maybeFilter(0.4), limit: 20 })] : []),
    ];
    return pick(from, kinds)();
  };
  return { point, change, question, modelled };
}
