/** What one example says of its kind. */
import type { Body } from "./api.ts";
import type { CurlRequest } from "./curl.ts";
import { isObject, type Json } from "./json.ts";

export const toBody = (json: unknown): Body => ({
  mediaType: "application/json",
  isRequired: true,
  description: "",
  schema: schemaOf(json),
  example: json,
});

export function bodyOf({ body, parts, headers }: CurlRequest): Body | undefined {
  if (parts.length > 0) {
    const properties = Object.fromEntries(
      parts
        .filter(({ name }) => /^[\w.-]{1,60}$/u.test(name))
        .map(({ name, isFile }) => [name, { type: "string", ...(isFile && { format: "binary" }) }]),
    );
    return { mediaType: "multipart/form-data", isRequired: true, description: "", schema: { type: "object", properties } };
  }
  if (body === undefined || body.startsWith("@")) return undefined;
  const json = jsonIn(body);
  if (json !== undefined) return toBody(json);
  if ((headers.get("content-type") ?? "").includes("json") || !/^[\w.-]{1,60}=/u.test(body)) return undefined;
  const properties = Object.fromEntries(
    [...new URLSearchParams(body).keys()]
      .filter((name) => /^[\w.-]{1,60}$/u.test(name))
      .map((name) => [name, { type: "string" }]),
  );
  return {
    mediaType: "application/x-www-form-urlencoded",
    isRequired: true,
    description: "",
    schema: { type: "object", properties },
  };
}

/** The JSON a text is, also below the lines of an HTTP answer; undefined when it is none. */
export function jsonIn(text: string): unknown {
  if (text.length > 50_000) return undefined;
  const plain = text.replace(/^HTTP\/[\s\S]*?\n\s*\n/u, "").trim();
  if (!/^[{[]/u.test(plain)) return undefined;
  try {
    const value: unknown = JSON.parse(plain, (key, inner: unknown) => (key === "__proto__" ? undefined : inner));
    return value;
  } catch {
    return undefined;
  }
}

/** What one example says of its kind: nothing is required, because one example cannot tell. */
export function schemaOf(value: unknown, depth = 0): Json {
  if (depth > 8 || value === null) return {};
  if (Array.isArray(value)) return { type: "array", items: value.length > 0 ? schemaOf(value[0], depth + 1) : {} };
  if (isObject(value))
    return {
      type: "object",
      properties: Object.fromEntries(Object.entries(value).map(([key, one]) => [key, schemaOf(one, depth + 1)])),
    };
  return { type: typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value };
}
