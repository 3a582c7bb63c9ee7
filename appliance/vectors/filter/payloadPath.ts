/** Paths into a payload, `a.b`, `a[].b`, `a[0].b`, with "quoted keys" that may hold dots. */
import { isObject, type Json } from "../body.ts";
import { badFormat } from "../refusal.ts";

type Step =
  | { readonly type: "key"; readonly key: string }
  | { readonly type: "each" }
  | { readonly type: "at"; readonly at: number };
export type Path = { readonly text: string; readonly steps: readonly Step[] };

const stepForm = /(?:^|\.)(?:"([^"]+)"|([^.[\]"]+))|\[(\d*)\]/y;

export function parsePath(text: unknown): Path {
  if (typeof text !== "string") throw badFormat("a payload key must be a string");
  const steps: Step[] = [];
  stepForm.lastIndex = 0;
  while (stepForm.lastIndex < text.length) {
    const match = stepForm.exec(text);
    if (!match || (steps.length === 0 && match[3] !== undefined)) throw badFormat(`\`${text}\` is not a valid payload key`);
    const [, quoted, plain, index] = match;
    if (index === undefined) steps.push({ type: "key", key: (quoted ?? plain)! });
    else steps.push(index === "" ? { type: "each" } : { type: "at", at: Number(index) });
  }
  if (steps.length === 0) throw badFormat("a payload key must not be empty");
  return { text, steps };
}

/** Every value at the path; an array at its end is one value. Empty when the path leads nowhere. */
export function valuesAt(payload: Json, path: Path): unknown[] {
  let values: unknown[] = [payload];
  for (const step of path.steps) {
    const next: unknown[] = [];
    for (const value of values) {
      if (step.type === "key") {
        if (isObject(value) && Object.hasOwn(value, step.key)) next.push(value[step.key]);
      } else if (Array.isArray(value)) {
        if (step.type === "each") for (const element of value as unknown[]) next.push(element);
        else if (step.at < value.length) next.push(value[step.at]);
      }
    }
    values = next;
  }
  return values;
}

/** The same with arrays at the end opened: what conditions are tested against. */
export function elementsAt(payload: Json, path: Path): unknown[] {
  const values = valuesAt(payload, path);
  return values.some(Array.isArray) ? values.flat(1) : values;
}

/**
 * Merges `patch` into the object at `path`, making it when it is absent; null takes a key away. Where an array stands in the way of a key,
 * nothing changes.
 */
export function mergeAt(payload: Json, path: Path | undefined, patch: Json): Json {
  const merge = (value: unknown, steps: readonly Step[]): unknown => {
    const [step, ...rest] = steps;
    if (!step) {
      const merged = { ...(isObject(value) ? value : {}), ...patch };
      return Object.fromEntries(Object.entries(merged).filter(([key]) => patch[key] !== null));
    }
    if (step.type !== "key") {
      if (!Array.isArray(value)) return value;
      return value.map((element: unknown, i) => (step.type === "each" || step.at === i ? merge(element, rest) : element));
    }
    const object = isObject(value) ? value : {};
    return { ...object, [step.key]: merge(object[step.key], rest) };
  };
  return merge(payload, path?.steps ?? []) as Json;
}

export function withoutKey(payload: Json, path: Path): Json {
  const drop = (value: unknown, steps: readonly Step[]): unknown => {
    const [step, ...rest] = steps;
    if (!step) return value;
    if (step.type !== "key") {
      if (!Array.isArray(value)) return value;
      if (rest.length === 0) return step.type === "each" ? [] : value.filter((_, i) => i !== step.at);
      return value.map((element: unknown, i) => (step.type === "each" || step.at === i ? drop(element, rest) : element));
    }
    if (!isObject(value) || !Object.hasOwn(value, step.key)) return value;
    const { [step.key]: inner, ...others } = value;
    return rest.length === 0 ? others : { ...value, [step.key]: drop(inner, rest) };
  };
  return drop(payload, path.steps) as Json;
}

/** The payload reduced to what the paths lead to. */
export function keepOnly(payload: Json, paths: readonly Path[]): Json {
  const reduce = (value: unknown, ways: readonly (readonly Step[])[]): unknown => {
    if (ways.some((way) => way.length === 0)) return value;
    if (Array.isArray(value)) {
      const inner = (i: number) => ways.filter(([step]) => step?.type === "each" || (step?.type === "at" && step.at === i));
      return value.flatMap((element: unknown, i) => {
        const on = inner(i).map((way) => way.slice(1));
        return on.length > 0 ? [reduce(element, on)] : [];
      });
    }
    if (!isObject(value)) return value;
    const kept: [string, unknown][] = [];
    for (const [key, inner] of Object.entries(value)) {
      const on = ways.filter(([step]) => step?.type === "key" && step.key === key).map((way) => way.slice(1));
      if (on.length > 0) kept.push([key, reduce(inner, on)]);
    }
    return Object.fromEntries(kept);
  };
  return reduce(
    payload,
    paths.map((path) => path.steps),
  ) as Json;
}
