/** Scores by arithmetic over the scores of prefetches, payload values and conditions. */
import { isAbsent, refuseOthers, toArray, toNumber, toObject, toText, type Json } from "../body.ts";
import { toMicros } from "../filter/datetime.ts";
import { parseCondition, type Condition } from "../filter/filter.ts";
import { distanceMetres, findGeoPoint, toGeoPoint, type GeoPoint } from "../filter/geo.ts";
import { parsePath, type Path } from "../filter/payloadPath.ts";
import { badFormat, badRequest, invalid, unsupported } from "../refusal.ts";

/** What a formula may ask about the point it scores. */
export type Subject = {
  /** In the prefetch of this number; undefined when the point is not in it. */
  score(prefetch: number): number | undefined;
  /** The value at the path, several as an array; undefined when there is none. */
  value(path: Path): unknown;
  holds(condition: Condition): boolean;
};

type Expression = (subject: Subject) => number;
export type Formula = { readonly conditions: readonly Condition[]; readonly evaluate: Expression };
type Scope = { readonly conditions: Condition[]; readonly defaults: Json };

const depthMax = 32;

/** `{formula, defaults}`. Evaluating it fails when a value is missing without a default, is of the wrong type, or is not finite. */
export function parseFormula(query: Json): Formula {
  const scope: Scope = { conditions: [], defaults: toObject(query["defaults"] ?? {}, "query.defaults") };
  const expression = parse(query["formula"], scope, 0);
  const evaluate = (subject: Subject): number => finite(Math.fround(expression(subject)), "the formula as a 32-bit float");
  return { conditions: scope.conditions, evaluate };
}

function parse(value: unknown, scope: Scope, depth: number): Expression {
  if (depth > depthMax) throw invalid("query.formula", `nested deeper than ${depthMax}`);
  if (typeof value === "number") return () => value;
  if (typeof value === "string") return variable(value, scope);
  const body = toObject(value, "query.formula");
  const [kind, ...others] = Object.keys(body);
  if (kind === undefined || others.length > 0 || !Object.hasOwn(operations, kind)) return condition(body, scope);
  return operations[kind as keyof typeof operations](body[kind], (inner) => parse(inner, scope, depth + 1), scope);
}

const scoreForm = /^\$score(?:\[(\d+)\])?$/;

function variable(name: string, { defaults }: Scope): Expression {
  if (name.startsWith("$")) {
    const found = scoreForm.exec(name);
    if (!found) throw badFormat(`query.formula: Invalid reserved variable: ${name}`);
    const at = Number(found[1] ?? 0);
    const otherwise = defaults[name] ?? (at === 0 ? (defaults["$score"] ?? defaults["$score[0]"]) : undefined);
    return (subject) => subject.score(at) ?? (typeof otherwise === "number" ? otherwise : 0);
  }
  const get = payloadValue(name, defaults, "number");
  return (subject) => {
    const value = get(subject);
    if (typeof value !== "number") throw wrongType(name, "number", "Value is not a number");
    return value;
  };
}

function condition(body: Json, { conditions }: Scope): Expression {
  const parsed = parseCondition(body, 0);
  conditions.push(parsed);
  return (subject) => (subject.holds(parsed) ? 1 : 0);
}

function payloadValue(name: string, defaults: Json, type: string): (subject: Subject) => unknown {
  const path = parsePath(name);
  return (subject) => {
    const value = subject.value(path) ?? defaults[name];
    if (value === undefined) throw wrongType(name, type, "No value found in a payload nor defaults");
    return value;
  };
}

const wrongType = (name: string, type: string, why: string) =>
  badRequest(`Expected ${type} value for ${name} in the payload and/or in the formula defaults. Error: ${why}`);

function finite(value: number, what: string): number {
  if (!Number.isFinite(value)) throw badRequest(`The expression ${what} produced a non-finite number`);
  return value;
}

type Read = (value: unknown) => Expression;
type Operation = (value: unknown, read: Read, scope: Scope) => Expression;

const one =
  (name: string, compute: (x: number) => number): Operation =>
  (value, read) => {
    const x = read(value);
    return (subject) => finite(compute(x(subject)), name);
  };

/** Seconds since the epoch. */
const seconds = (text: unknown, name: string): number => {
  const micros = typeof text === "string" ? toMicros(text) : undefined;
  if (micros === undefined) throw wrongType(name, "datetime", "not an RFC 3339 time");
  return micros / 1e6;
};

const operations = {
  mult(value, read) {
    const factors = toArray(value, "mult").map(read);
    return (subject) => {
      let product = 1;
      for (const factor of factors) {
        const x = factor(subject);
        // What comes after a zero is not asked for, and so may be missing.
        if (x === 0) return 0;
        product *= x;
      }
      return product;
    };
  },
  sum(value, read) {
    const terms = toArray(value, "sum").map(read);
    return (subject) => terms.reduce((sum, term) => sum + term(subject), 0);
  },
  neg: one("neg", (x) => -x),
  abs: one("abs", Math.abs),
  sqrt: one("sqrt", Math.sqrt),
  exp: one("exp", Math.exp),
  log10: one("log10", Math.log10),
  ln: one("ln", Math.log),
  div(value, read) {
    const body = toObject(value, "div");
    refuseOthers(body, ["left", "right", "by_zero_default"], "div");
    const left = read(body["left"]);
    const right = read(body["right"]);
    const otherwise = isAbsent(body["by_zero_default"]) ? undefined : toNumber(body["by_zero_default"], "div.by_zero_default");
    return (subject) => {
      const a = left(subject);
      if (a === 0) return 0;
      const b = right(subject);
      return b === 0 && otherwise !== undefined ? otherwise : finite(a / b, `${a}/${b}`);
    };
  },
  pow(value, read) {
    const body = toObject(value, "pow");
    refuseOthers(body, ["base", "exponent"], "pow");
    const base = read(body["base"]);
    const exponent = read(body["exponent"]);
    return (subject) => finite(base(subject) ** exponent(subject), "pow");
  },
  geo_distance(value, _read, { defaults }) {
    const body = toObject(value, "geo_distance");
    const origin = toGeoPoint(body["origin"], "geo_distance.origin");
    const name = toText(body["to"], "geo_distance.to");
    const get = payloadValue(name, defaults, "geo point");
    return (subject) => {
      const point: GeoPoint | undefined = findGeoPoint(get(subject));
      if (!point) throw wrongType(name, "geo point", "not a place");
      return distanceMetres(origin, point);
    };
  },
  datetime(value) {
    const at = seconds(value, "datetime");
    return () => at;
  },
  datetime_key(value, _read, { defaults }) {
    const name = toText(value, "datetime_key");
    const get = payloadValue(name, defaults, "datetime");
    return (subject) => seconds(get(subject), name);
  },
  lin_decay: decay("lin_decay", (midpoint, scale) => {
    const slope = (1 - midpoint) / scale;
    return (distance) => Math.max(0, 1 - slope * distance);
  }),
  exp_decay: decay("exp_decay", (midpoint, scale) => (distance) => Math.exp((Math.log(midpoint) / scale) * distance)),
  gauss_decay: decay(
    "gauss_decay",
    (midpoint, scale) => (distance) => Math.exp((Math.log(midpoint) / scale ** 2) * distance * distance),
  ),
  max: refused("max"),
  min: refused("min"),
  acosh: refused("acosh"),
} as const satisfies Record<string, Operation>;

/** Newer than the server that is imitated. */
function refused(name: string): Operation {
  return () => {
    throw unsupported(`\`${name}\` in a formula`);
  };
}

/** 1 at the target, `midpoint` at `scale` from it. */
function decay(name: string, shape: (midpoint: number, scale: number) => (distance: number) => number): Operation {
  return (value, read) => {
    const body = toObject(value, name);
    refuseOthers(body, ["x", "target", "scale", "midpoint"], name);
    const midpoint = isAbsent(body["midpoint"]) ? 0.5 : toNumber(body["midpoint"], `${name}.midpoint`);
    const scale = isAbsent(body["scale"]) ? 1 : toNumber(body["scale"], `${name}.scale`);
    const isOpen = name === "lin_decay" ? midpoint >= 0 && midpoint <= 1 : midpoint > 0 && midpoint < 1;
    if (!isOpen) throw invalid(`${name}.midpoint`, `must be between 0.0 and 1.0, got ${midpoint}`);
    if (scale <= 0) throw invalid(`${name}.scale`, `must be larger than 0.0, got ${scale}`);
    const x = read(body["x"]);
    const target = isAbsent(body["target"]) ? () => 0 : read(body["target"]);
    const curve = shape(Math.fround(midpoint), Math.fround(scale));
    return (subject) => curve(Math.abs(x(subject) - target(subject)));
  };
}

/** Several values at a path are one array, as they are for Qdrant. */
export const single = (values: readonly unknown[]): unknown => (values.length > 1 ? values : values[0]);
