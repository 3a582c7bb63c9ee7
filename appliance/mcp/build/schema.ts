/**
 * Schemas of a document as those of a tool: only the words of JSON Schema that are understood, references to parts of the same document turned
 * into `$defs`, and texts made harmless. Cycles stay what they are, because references are not written out.
 */
import { poisonIn, toLine } from "./words.ts";
import { entriesOf, isObject, listOf, own, type Json } from "./json.ts";

export type Schemas = {
  /** `at` says where it stands, for what could not be understood. */
  clean(schema: unknown, at: string): Json;
  /** What cleaned schemas refer to, whole; empty when they refer to nothing. */
  readonly defs: Record<string, Json>;
};
export type SchemasOptions = {
  readonly root: Json;
  /** Hears of everything that was left out. */
  readonly told: (note: string) => void;
  /** Of requests, what only answers have is left out. */
  readonly isRequest: boolean;
};

const depthMax = 16;
const partsMax = 1_500;
const aboutCharsMax = 200;
const valuesMax = 100;

const numbers = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const counts = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
/** What validators know; others are said for people only. */
const formats = new Set("date-time date time duration email hostname ipv4 ipv6 uri uuid regex json-pointer".split(" "));
const types = new Set(["string", "number", "integer", "boolean", "object", "array", "null"]);

/** One for each tool: what it refers to stands inside its own schema. */
export function openSchemas({ root, told, isRequest }: SchemasOptions): Schemas {
  const defs: Record<string, Json> = {};
  const names = new Map<string, string>();
  let parts = 0;

  function clean(schema: unknown, at: string, depth = 0): Json {
    if (schema === true || schema === undefined) return {};
    if (schema === false) return { not: {} };
    if (!isObject(schema)) return {};
    parts += 1;
    if (depth > depthMax || parts > partsMax) {
      told(`${at}: what lies deeper is left open, because the schema is very large.`);
      return {};
    }
    const reference = own(schema, "$ref");
    if (typeof reference === "string") return refer(reference, schema, at);
    const cleaned: Record<string, unknown> = {};
    const type = typesOf(own(schema, "type"));
    if (type !== undefined) cleaned["type"] = type;
    for (const key of numbers) if (Number.isFinite(own(schema, key))) cleaned[key] = own(schema, key);
    for (const key of counts) if (isCount(own(schema, key))) cleaned[key] = own(schema, key);
    const format = own(schema, "format");
    if (typeof format === "string" && formats.has(format)) cleaned["format"] = format;
    const pattern = own(schema, "pattern");
    if (typeof pattern === "string" && isPattern(pattern)) cleaned["pattern"] = pattern;
    if (own(schema, "uniqueItems") === true) cleaned["uniqueItems"] = true;
    for (const key of ["enum", "const", "default"]) putValue(schema, key, cleaned, at);
    const about = toLine(own(schema, "description") ?? own(schema, "title"), aboutCharsMax, (why) =>
      told(`${at}: its description was left out, because it ${why}.`),
    );
    if (about !== undefined) cleaned["description"] = about;
    putObject(schema, cleaned, at, depth);
    const items = own(schema, "items");
    if (items !== undefined && !Array.isArray(items)) cleaned["items"] = clean(items, `${at}[]`, depth + 1);
    for (const key of ["allOf", "anyOf", "oneOf"]) {
      const list = listOf(own(schema, key)).slice(0, valuesMax);
      if (list.length > 0) cleaned[key] = list.map((one, index) => clean(one, `${at} (${key} ${index + 1})`, depth + 1));
    }
    return cleaned;
  }

  function putObject(schema: Json, cleaned: Record<string, unknown>, at: string, depth: number): void {
    const properties: Record<string, Json> = {};
    const hidden = new Set<string>();
    for (const [name, value] of entriesOf(own(schema, "properties"))) {
      if (name === "__proto__" || poisonIn(name).length > 0 || name.length > 100) {
        hidden.add(name);
        told(`${at}: a property was left out, because its name is no name.`);
      } else if (isRequest && own(value, "readOnly") === true) hidden.add(name);
      else properties[name] = clean(value, `${at}.${name}`, depth + 1);
    }
    if (Object.keys(properties).length > 0) cleaned["properties"] = properties;
    const required = listOf(own(schema, "required")).filter(
      (one): one is string => typeof one === "string" && one.length <= 100 && !hidden.has(one) && poisonIn(one).length === 0,
    );
    if (required.length > 0) cleaned["required"] = [...new Set(required)];
    const rest = own(schema, "additionalProperties");
    if (rest === false) cleaned["additionalProperties"] = false;
    else if (isObject(rest) && Object.keys(rest).length > 0) cleaned["additionalProperties"] = clean(rest, `${at}.*`, depth + 1);
  }

  /** Values a model reads and may be given: those that speak to it are left out whole. */
  function putValue(schema: Json, key: string, cleaned: Record<string, unknown>, at: string): void {
    if (!Object.hasOwn(schema, key)) return;
    const value = own(schema, key);
    const text = JSON.stringify(value) ?? "";
    if (text.length > 4_000 || (key === "enum" && !(Array.isArray(value) && value.length > 0 && value.length <= valuesMax)))
      return;
    const texts = [value, ...listOf(value)].map((one) => (typeof one === "string" ? one : (JSON.stringify(one) ?? "")));
    const poison = texts.flatMap(poisonIn);
    if (poison.length > 0) told(`${at}: its ${key} was left out, because it ${[...new Set(poison)].join("; ")}.`);
    else cleaned[key] = value;
  }

  function refer(reference: string, schema: Json, at: string): Json {
    if (!reference.startsWith("#/")) {
      told(`${at}: it points to another document (${reference.slice(0, 100)}), which is not fetched; anything is taken there.`);
      return {};
    }
    const known = names.get(reference);
    const name = known ?? nameOf(reference);
    if (known === undefined) {
      const target = find(root, reference);
      if (target === undefined) {
        told(`${at}: it points to ${reference.slice(0, 100)}, which is not there; anything is taken there.`);
        return {};
      }
      const onward = own(target, "$ref");
      if (typeof onward === "string" && onward.startsWith("#/") && !followed(root, target)) {
        told(`${at}: it points round in circles (${reference.slice(0, 100)}); anything is taken there.`);
        return {};
      }
      names.set(reference, name);
      // Here first, so that a cycle finds it.
      defs[name] = {};
      defs[name] = clean(target, name, 1);
    }
    const about = toLine(own(schema, "description"), aboutCharsMax, () => undefined);
    return { $ref: `#/$defs/${name}`, ...(about !== undefined && { description: about }) };
  }

  function nameOf(reference: string): string {
    const plain = (reference.split("/").at(-1) ?? "").replace(/[^A-Za-z0-9_]+/gu, "_").slice(0, 60) || "Part";
    let free = plain;
    for (let number = 2; Object.hasOwn(defs, free) || free === "__proto__"; number++) free = `${plain}_${number}`;
    return free;
  }

  return { clean: (schema, at) => clean(schema, at), defs };
}

/** What a reference inside a document points to; references that point on are followed, thirty at most. */
export function find(root: Json, reference: string): unknown {
  let at: unknown = root;
  for (const part of reference.slice(2).split("/")) {
    let key = part;
    try {
      key = decodeURIComponent(part);
    } catch {
      // As it stands.
    }
    at = own(at, key.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (at === undefined) return undefined;
  }
  return at;
}

/** The object itself, or what its `$ref` points to inside the document; undefined when that is elsewhere or goes round in circles. */
export function followed(root: Json, value: unknown): Json | undefined {
  let at = value;
  for (let steps = 0; steps < 30; steps++) {
    if (!isObject(at)) return undefined;
    const reference = own(at, "$ref");
    if (typeof reference !== "string") return at;
    if (!reference.startsWith("#/")) return undefined;
    at = find(root, reference);
  }
  return undefined;
}

function typesOf(value: unknown): string | string[] | undefined {
  if (typeof value === "string") return types.has(value) ? value : undefined;
  const known = [...new Set(listOf(value).filter((one): one is string => typeof one === "string" && types.has(one)))];
  return known.length === 0 ? undefined : known.length === 1 ? known[0] : known;
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** Short, and one that the validator can read. */
function isPattern(pattern: string): boolean {
  if (pattern.length > 300 || poisonIn(pattern).length > 0) return false;
  try {
    return new RegExp(pattern, "u") instanceof RegExp;
  } catch {
    return false;
  }
}
