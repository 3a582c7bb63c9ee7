/** What somebody handed in to make a server from: a text, told apart as an OpenAPI document or as prose. */
import { upgrade } from "@scalar/openapi-upgrader";
import { parse as parseYaml, YAMLParseError } from "yaml";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import { isObject, own, type Json } from "./json.ts";

export type ApiDocument =
  /** Upgraded to OpenAPI 3.1, whatever it was. */
  { readonly type: "openapi"; readonly was: string; readonly root: Json } | { readonly type: "markdown"; readonly text: string };

/** The largest public documents (those of clouds) have some 12 MB. */
export const documentBytesMax = 20 * 1024 * 1024;
/** Deeper is an attack: what reads it further on is recursive. */
const depthMax = 200;
const valuesMax = 2_000_000;
/** YAML may say the same thing again by name; so often at most. */
const aliasesMax = 1_000;

/**
 * Tells what a text is, and reads it. Fails with `invalid` and a sentence on what is neither prose nor a document that can be read, on
 * one nested too deep, and on versions nobody knows; with `full` on one that is too large.
 */
export function readDocument(text: string): ApiDocument {
  if (text.length > documentBytesMax)
    throw new NikaError("full", `The document has more than ${documentBytesMax / 1024 / 1024} MB.`);
  const plain = text.replace(/^\uFEFF/u, "");
  if (plain.trim() === "") throw new NikaError("invalid", "The document is empty.");
  const isJson = /^\s*[{[]/u.test(plain);
  const isYaml = !isJson && /^(?:---\s*\n)?(?:#[^\n]*\n|\s*\n)*["']?(?:openapi|swagger)["']?\s*:/mu.test(plain.slice(0, 20_000));
  if (!isJson && !isYaml) return { type: "markdown", text: plain };
  const parsed = isJson ? fromJson(plain) : fromYaml(plain);
  mustBeBounded(parsed);
  if (!isObject(parsed)) throw new NikaError("invalid", "The document is a list; an OpenAPI document is an object.");
  return toOpenApi(parsed);
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NikaError("invalid", `The document begins like JSON and is none: ${why}.`, { cause });
  }
}

function fromYaml(text: string): unknown {
  try {
    return parseYaml(text, { maxAliasCount: aliasesMax, prettyErrors: true, logLevel: "error" }) as unknown;
  } catch (cause) {
    const why =
      cause instanceof YAMLParseError || cause instanceof ReferenceError
        ? (cause.message.split("\n")[0] ?? "")
        : "it cannot be read";
    throw new NikaError("invalid", `The document is no YAML: ${why.replace(/[:.]$/u, "")}.`, { cause });
  }
}

/** Without recursion, because it guards what is recursive. Takes `__proto__` out on its way: no document means it. */
function mustBeBounded(root: unknown): void {
  const waiting: { readonly value: object; readonly depth: number }[] = [];
  let values = 0;
  const look = (value: unknown, depth: number): void => {
    values += 1;
    if (values > valuesMax) throw new NikaError("full", "The document says too much: it has more than two million values.");
    if (typeof value !== "object" || value === null) return;
    if (depth > depthMax) throw new NikaError("invalid", `The document is nested deeper than ${depthMax} levels.`);
    waiting.push({ value, depth });
  };
  look(root, 0);
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (Object.hasOwn(next.value, "__proto__")) Reflect.deleteProperty(next.value, "__proto__");
    for (const inner of Object.values(next.value)) look(inner, next.depth + 1);
  }
}

function toOpenApi(root: Json): ApiDocument {
  const version = own(root, "openapi") ?? own(root, "swagger");
  if (typeof version !== "string" && typeof version !== "number")
    throw new NikaError("invalid", 'The document does not say which OpenAPI it is: it has neither "openapi" nor "swagger".');
  const was = String(version);
  if (!/^(?:2\.0|3\.[012](?:\.\d+)?)$/u.test(was))
    throw new NikaError("invalid", `The document is OpenAPI "${was.slice(0, 20)}"; 2.0 and 3.0 to 3.2 are understood.`);
  if (!isObject(own(root, "paths"))) throw new NikaError("invalid", "The document has no paths, so there is nothing to make.");
  // 3.2 only adds to 3.1; what it adds is not read.
  if (/^3\.[12]/u.test(was)) return { type: "openapi", was, root };
  try {
    // YAML 2 is read as a number where nobody quoted it.
    const upgraded = upgrade({ ...root, ...(was === "2.0" && { swagger: "2.0" }) }, "3.1");
    return { type: "openapi", was, root: upgraded as unknown as Json };
  } catch (error) {
    if (isNikaError(error)) throw error;
    throw new NikaError("invalid", `The document says it is OpenAPI ${was} and cannot be read as such.`, { cause: error });
  }
}
