/** Reading untrusted JSON: every reader takes the value and the path that an error shall name. */
import { badFormat, invalid, unsupported } from "./refusal.ts";

export type Json = Readonly<Record<string, unknown>>;

export const isAbsent = (value: unknown): value is undefined | null => value === undefined || value === null;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function toObject(value: unknown, path: string): Json {
  if (!isObject(value)) throw badFormat(`${path}: expected an object`);
  return value;
}

export function toArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw badFormat(`${path}: expected an array`);
  return value;
}

export function toText(value: unknown, path: string): string {
  if (typeof value !== "string") throw badFormat(`${path}: expected a string`);
  return value;
}

export function toNumber(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw badFormat(`${path}: expected a number`);
  return value;
}

/** A whole number of at least `min`; `otherwise` when it is absent. */
export function toCount(value: unknown, path: string, { min, otherwise }: { min: number; otherwise: number }): number {
  if (isAbsent(value)) return otherwise;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw badFormat(`${path}: expected an unsigned integer`);
  if (value < min) throw invalid(path, `value ${value} invalid, must be ${min} or larger`);
  return value;
}

/** One or many, as Qdrant allows for most lists. */
export function toList(value: unknown): readonly unknown[] {
  if (isAbsent(value)) return [];
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

/**
 * Refuses by name every key that is neither read nor harmless to ignore. Silently dropping a key we do not know would answer
 * another question than the one asked.
 */
export function refuseOthers(object: Json, known: readonly string[], where: string): void {
  for (const key of Object.keys(object)) {
    if (!known.includes(key) && !isAbsent(object[key])) throw unsupported(`\`${key}\` in ${where}`);
  }
}
