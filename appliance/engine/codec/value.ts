/** Convex values in their JSON encoding: what the engine stores and sends. Realms decode it; the engine itself never needs to. */
import { limits } from "./limits.ts";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** The developer's mistake: its message goes to the client. `data` is the decoded payload of a ConvexError. */
export class DeveloperError extends Error {
  readonly data: Json | undefined;

  constructor(message: string, data?: Json) {
    super(message);
    this.data = data;
  }
}

export type Special =
  | { readonly type: "int64"; readonly value: bigint }
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "bytes"; readonly value: Uint8Array }
  | { readonly type: "undefined" }
  | { readonly type: "commitTs" };

/** What a `{"$…": …}` object stands for; undefined when the object is an ordinary one. */
export function toSpecial(value: JsonObject): Special | undefined {
  let key: string | undefined;
  for (const one in value) {
    if (key !== undefined || one.charCodeAt(0) !== 36) return undefined;
    key = one;
  }
  if (key === undefined) return undefined;
  const inner = value[key];
  if (key === "$integer") return { type: "int64", value: eightBytes(inner, key).readBigInt64LE() };
  if (key === "$float") return { type: "float", value: eightBytes(inner, key).readDoubleLE() };
  if (key === "$bytes" && typeof inner === "string") return { type: "bytes", value: Buffer.from(inner, "base64") };
  if (key === "$undefined") return { type: "undefined" };
  if (key === "$commitTs") return { type: "commitTs" };
  return undefined;
}

function eightBytes(text: Json | undefined, key: string): Buffer {
  const bytes = typeof text === "string" ? Buffer.from(text, "base64") : undefined;
  if (bytes?.length !== 8) throw new DeveloperError(`Malformed ${key} field.`);
  return bytes;
}

export function toInteger(value: bigint): JsonObject {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return { $integer: bytes.toString("base64") };
}

/** A number in Convex's JSON: the few that JSON cannot write travel as bytes. */
export function toFloat(value: number): Json {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return { $float: bytes.toString("base64") };
}

export function isPlainObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Size as Convex counts it. Fails on what may not be stored: names, nesting, lengths. */
export function checkedSize(value: Json, nestingMax: number = limits.valueNestingMax): number {
  return sizeAt(value, 0, nestingMax);
}

function sizeAt(value: Json, depth: number, nestingMax: number): number {
  if (value === null || typeof value === "boolean") return 1;
  if (typeof value === "number") return 9;
  if (typeof value === "string") return 2 + Buffer.byteLength(value);
  if (depth >= nestingMax) throw new DeveloperError(`Value is too deeply nested (maximum nesting ${nestingMax}).`);
  if (Array.isArray(value)) {
    if (value.length > limits.arrayLengthMax)
      throw new DeveloperError(`Array length is too long (${value.length} > maximum length ${limits.arrayLengthMax})`);
    let size = 2;
    for (const one of value) size += sizeAt(one, depth + 1, nestingMax);
    return size;
  }
  const special = toSpecial(value);
  if (special) return special.type === "bytes" ? 2 + special.value.length : 9;
  let size = 2;
  let fields = 0;
  for (const key in value) {
    checkFieldName(key);
    fields++;
    size += key.length + 1 + sizeAt(value[key] as Json, depth + 1, nestingMax);
  }
  if (fields > limits.objectFieldsMax)
    throw new DeveloperError(`Object has too many fields (${fields} > maximum number ${limits.objectFieldsMax})`);
  return size;
}

/** Fails on what may not name a field. */
export function checkFieldName(name: string): void {
  if (name.length > limits.fieldNameLengthMax)
    throw new DeveloperError(`Field name ${name} exceeds maximum field name length ${limits.fieldNameLengthMax}.`);
  if (name.charCodeAt(0) === 36) throw new DeveloperError(`Field name ${name} starts with a '$', which is reserved.`);
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code < 32 || code >= 127)
      throw new DeveloperError(
        `Field name ${name} has invalid character '${name[at]}': Field names can only contain non-control ASCII characters`,
      );
  }
}

/** The field at a dotted path; undefined when any step is missing or no object. */
export function fieldAt(document: Json, path: string): Json | undefined {
  if (!path.includes(".")) return ownField(document, path);
  let value: Json | undefined = document;
  for (const part of path.split(".")) {
    value = ownField(value, part);
    if (value === undefined) return undefined;
  }
  return value;
}

function ownField(value: Json | undefined, key: string): Json | undefined {
  return isPlainObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** What should be a string, for a message or a look-up that will find nothing when it is none. */
export function asText(value: Json | undefined): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined");
}

/** As error messages write a value. */
export function describeValue(value: Json): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return Number.isInteger(value) ? `${value}.0` : String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(describeValue).join(", ")}]`;
  const special = toSpecial(value);
  if (special?.type === "int64") return `${special.value}n`;
  if (special?.type === "float") return Object.is(special.value, -0) ? "-0.0" : String(special.value);
  if (special?.type === "bytes") return `[${[...special.value.subarray(0, 32)].join(", ")}]`;
  if (special) return special.type;
  const fields = Object.entries(value).map(([key, one]) => `${fieldName(key)}: ${describeValue(one)}`);
  return `{${fields.join(", ")}}`;
}

export function fieldName(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key);
}
