/**
 * The "json" format: values as plain JSON, for callers without Convex's encoding. Integers become decimal text, bytes base64, and
 * numbers that JSON cannot write become their names.
 */

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** From JSON text in Convex's encoding to plain JSON text. */
export function toCleanJson(encoded: string): string {
  // Nothing in Convex's encoding differs from plain JSON without one of its marks.
  return encoded.includes('"$') ? JSON.stringify(clean(JSON.parse(encoded) as Json)) : encoded;
}

function clean(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map(clean);
  const entries = Object.entries(value);
  const [name, inner] = entries.length === 1 ? (entries[0] ?? []) : [];
  if (typeof inner === "string") {
    if (name === "$bytes") return inner;
    if (name === "$integer") return String(Buffer.from(inner, "base64").readBigInt64LE());
    if (name === "$float") return floatOf(Buffer.from(inner, "base64").readDoubleLE());
  }
  return Object.fromEntries(entries.map(([key, one]) => [key, clean(one)]));
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function floatOf(number: number): Json {
  return Number.isFinite(number) ? number : String(number);
}
