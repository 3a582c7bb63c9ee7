/** The body of a request as an argument of a tool: by kind, with files as base64. */
import { isObject, own, type Json } from "./json.ts";
import type { PlannedBody } from "./plan.ts";

export function toPlannedBody(mediaType: string, schema: unknown, root: Json, once: (name: string) => string): PlannedBody {
  const argument = once("body");
  const is = (pattern: RegExp): boolean => pattern.test(mediaType);
  const kind = is(/[/+]json$/u)
    ? "json"
    : is(/^application\/x-www-form-urlencoded$/u)
      ? "form"
      : is(/^multipart\/form-data$/u)
        ? "multipart"
        : is(/^text\/|[/+](?:xml|yaml|graphql)$/u)
          ? "text"
          : "bytes";
  const files = kind === "multipart" ? filesOf(schema, root) : [];
  const plain = /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/u.test(mediaType) ? mediaType : "application/octet-stream";
  return { argument, kind, mediaType: plain, files };
}

function filesOf(schema: unknown, root: Json): string[] {
  const at = resolve(schema, root);
  const isFile = (value: unknown): boolean => {
    const one = resolve(value, root);
    return (
      own(one, "format") === "binary" || own(one, "contentMediaType") !== undefined || own(one, "contentEncoding") !== undefined
    );
  };
  return Object.entries((own(at, "properties") as object | undefined) ?? {}).flatMap(([name, value]: [string, unknown]) =>
    isFile(value) || isFile(own(resolve(value, root), "items")) ? [name] : [],
  );
}

function resolve(schema: unknown, root: Json): unknown {
  let at = schema;
  for (let steps = 0; steps < 10 && typeof own(at, "$ref") === "string"; steps++)
    at = String(own(at, "$ref"))
      .slice(2)
      .split("/")
      .reduce((inner: unknown, key) => own(inner, key.replaceAll("~1", "/").replaceAll("~0", "~")), root);
  return at;
}

/** Bytes travel in arguments as base64, a file with its name. */
const fileSchema = {
  type: "object",
  properties: {
    name: { type: "string", description: "File name." },
    type: { type: "string", description: "Media type, such as image/png." },
    base64: { type: "string", description: "The bytes, in base64." },
  },
  required: ["name", "base64"],
  additionalProperties: false,
};
const fileExample = { name: "example.txt", type: "text/plain", base64: "ZXhhbXBsZQ==" };

export function bodyOf(schema: unknown, root: Json, { kind, files }: PlannedBody): unknown {
  if (kind !== "multipart" || files.length === 0) return schema;
  // Written out at its top, so that files can take their own shape.
  const top = resolve(schema, root);
  return isObject(top) ? top : {};
}

export function bodySchema({ kind, files }: PlannedBody, cleaned: Json, defs: Record<string, Json>): Json {
  if (kind === "text") return { type: "string" };
  if (kind === "bytes") return { type: "string", description: "The bytes, in base64." };
  if (kind === "json") return cleaned;
  const target = typeof own(cleaned, "$ref") === "string" ? defs[String(own(cleaned, "$ref")).slice("#/$defs/".length)] : cleaned;
  const properties: Record<string, unknown> = { ...(own(target, "properties") as object | undefined) };
  for (const name of files)
    properties[name] = own(own(properties, name), "type") === "array" ? { type: "array", items: fileSchema } : fileSchema;
  return { ...target, type: "object", properties };
}

export function bodyExample({ kind, files }: PlannedBody, example: unknown): unknown {
  if (kind === "text") return typeof example === "string" ? example : "text";
  if (kind === "bytes") return "ZXhhbXBsZQ==";
  if (kind !== "multipart" || !isObject(example)) return example;
  const value: Record<string, unknown> = { ...example };
  for (const name of files) value[name] = Array.isArray(own(value, name)) ? [fileExample] : fileExample;
  return value;
}
