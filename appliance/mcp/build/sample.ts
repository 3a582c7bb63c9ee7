/** A value that fits a schema, the same each time: what the document gives as an example, else something made up. */
import { entriesOf, isObject, listOf, own, type Json } from "./json.ts";

const depthMax = 8;
const made: Readonly<Record<string, string>> = {
  "date-time": "2026-01-15T09:30:00Z",
  date: "2026-01-15",
  time: "09:30:00Z",
  duration: "P1D",
  email: "somebody@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uri: "https://example.com/",
  uuid: "7f0c9a52-1f6e-4c1b-9a39-2f4d8f6f2c11",
  regex: "^a$",
  "json-pointer": "/a",
};

/** `root` is what the schema's references point into: a document, or a schema with `$defs`. Cycles end with the shortest value. */
export function sampleOf(schema: unknown, root: Json, depth = 0): unknown {
  if (!isObject(schema)) return null;
  const reference = own(schema, "$ref");
  if (typeof reference === "string") {
    if (!reference.startsWith("#/")) return null;
    const target = reference
      .slice(2)
      .split("/")
      .reduce((at: unknown, key) => own(at, key.replaceAll("~1", "/").replaceAll("~0", "~")), root);
    return depth > depthMax ? null : sampleOf(target, root, depth + 1);
  }
  for (const key of ["example", "const", "default"]) if (own(schema, key) !== undefined) return own(schema, key);
  for (const key of ["examples", "enum"]) if (listOf(own(schema, key)).length > 0) return listOf(own(schema, key))[0];
  const parts = listOf(own(schema, "allOf"));
  if (parts.length > 0) return together(schema, parts, root, depth);
  for (const key of ["oneOf", "anyOf"]) {
    const [first] = listOf(own(schema, key));
    if (first === undefined) continue;
    const chosen = sampleOf(first, root, depth + 1);
    const rest = ofType(schema, root, depth);
    return isObject(chosen) && isObject(rest) ? { ...rest, ...chosen } : chosen;
  }
  return ofType(schema, root, depth);
}

function together(schema: Json, parts: readonly unknown[], root: Json, depth: number): unknown {
  const samples = [...parts.map((part) => sampleOf(part, root, depth + 1)), ofType(schema, root, depth)];
  const objects = samples.filter(isObject);
  return objects.length > 0 ? Object.assign({}, ...objects) : (samples.find((one) => one !== null) ?? null);
}

function ofType(schema: Json, root: Json, depth: number): unknown {
  const said = own(schema, "type");
  const type = Array.isArray(said) ? said.find((one) => one !== "null") : said;
  if (type === "object" || (type === undefined && isObject(own(schema, "properties")))) {
    const required = new Set(listOf(own(schema, "required")));
    const value: Record<string, unknown> = {};
    for (const [name, inner] of entriesOf(own(schema, "properties")))
      // Deep down only what must be there, so that it ends.
      if (required.has(name) || depth < 3) value[name] = sampleOf(inner, root, depth + 1);
    return value;
  }
  if (type === "array") {
    const count = Math.min(10, Math.max(depth < 3 ? 1 : 0, numberOf(schema, "minItems") ?? 0));
    return Array.from({ length: count }, () => sampleOf(own(schema, "items"), root, depth + 1));
  }
  if (type === "integer" || type === "number") return toNumber(schema, type);
  if (type === "boolean") return true;
  if (type === "string") return toText(schema);
  return type === undefined ? "text" : null;
}

function toNumber(schema: Json, type: string): number {
  const step = numberOf(schema, "multipleOf") ?? (type === "integer" ? 1 : 0);
  const low = numberOf(schema, "minimum") ?? plus(numberOf(schema, "exclusiveMinimum"), step || 0.5);
  const high = numberOf(schema, "maximum") ?? plus(numberOf(schema, "exclusiveMaximum"), -(step || 0.5));
  let value = Math.min(Math.max(7, low ?? 7), high ?? Number.POSITIVE_INFINITY);
  if (step > 0) value = Math.ceil(value / step) * step;
  return high !== undefined && value > high ? value - step : value;
}

const plus = (value: number | undefined, more: number): number | undefined => (value === undefined ? undefined : value + more);

function toText(schema: Json): string {
  const format = own(schema, "format");
  if (typeof format === "string" && Object.hasOwn(made, format)) return made[format] ?? "";
  const length = Math.min(1_000, numberOf(schema, "minLength") ?? 0);
  const text = "text".padEnd(length, "x");
  const longest = numberOf(schema, "maxLength");
  return longest === undefined ? text : text.slice(0, Math.max(longest, 0));
}

function numberOf(schema: Json, key: string): number | undefined {
  const value = own(schema, key);
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
