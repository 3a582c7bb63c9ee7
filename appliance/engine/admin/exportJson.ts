/**
 * The form of values in snapshots: an integer literal is an int64, a literal with a dot or an exponent is a float; bytes, and floats
 * that JSON cannot write, keep their marks.
 */
import { isPlainObject, toFloat, toInteger, toSpecial, type Json, type JsonObject } from "../codec/value.ts";

/** From a value in Convex's encoding to text in which every number says of which kind it is. */
export function toExportJson(value: Json): string {
  if (typeof value === "number") return floatText(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toExportJson).join(",")}]`;
  const special = isPlainObject(value) ? toSpecial(value) : undefined;
  if (special?.type === "int64") return String(special.value);
  if (special?.type === "float" && Object.is(special.value, -0)) return "-0.0";
  if (special) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}:${toExportJson(one)}`)
    .join(",")}}`;
}

/** The way back. `isTyped`: an integer literal is an int64; otherwise, as in files that people write, a number is a float. */
export function parseExportJson(text: string, isTyped: boolean): Json {
  return JSON.parse(text, (_key, value: Json, context?: { source: string }) => {
    if (isPlainObject(value)) return sorted(value);
    if (typeof value !== "number") return value;
    if (isTyped && /^-?\d+$/.test(context?.source ?? "")) return toInteger(BigInt(context?.source as string));
    return toFloat(value);
  }) as Json;
}

/** As Convex's own clients send objects. */
function sorted(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function floatText(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
