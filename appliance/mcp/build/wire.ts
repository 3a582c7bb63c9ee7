/**
 * The request that a document promises for a tool's example, worked out by itself: the contract tests compare it with what the made server really
 * sends, which other code puts together.
 */
import { isObject, own, type Json } from "./json.ts";
import type { Auth, PlannedBody, PlannedParameter, PlannedTool } from "./plan.ts";

export type Wire = {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json;
};

/** What the made tests sign in with. */
const secrets = { plain: "example-secret", basic: "somebody:example" };

/** The path is below the service's address. */
export function toWire(tool: PlannedTool, ways: readonly Auth[]): Wire {
  const args = tool.example?.arguments ?? {};
  const given = (place: PlannedParameter["in"]): (PlannedParameter & { value: unknown })[] =>
    tool.parameters
      .filter((one) => one.in === place && own(args, one.argument) !== undefined && own(args, one.argument) !== null)
      .map((one) => ({ ...one, value: own(args, one.argument) }));
  const path = given("path").reduce(
    (text, one) => text.split(`{${one.name}}`).join(membersOf(one).map(encodeURIComponent).join(",")),
    tool.path,
  );
  const query = given("query").flatMap(pairsOf);
  const headers: Record<string, string> = {};
  for (const one of given("header")) headers[one.name.toLowerCase()] = membersOf(one).join(",");
  const cookies = given("cookie")
    .flatMap(pairsOf)
    .map(([name, text]) => `${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
  for (const way of ways) {
    if (way.kind === "basic") headers["authorization"] = `Basic ${Buffer.from(secrets.basic).toString("base64")}`;
    else if (way.kind !== "apiKey") headers["authorization"] = `Bearer ${secrets.plain}`;
    else if (way.in === "query") query.push([way.parameter ?? "", secrets.plain]);
    else if (way.in === "cookie") cookies.push(`${way.parameter}=${secrets.plain}`);
    else headers[(way.parameter ?? "").toLowerCase()] = secrets.plain;
  }
  if (cookies.length > 0) headers["cookie"] = cookies.join("; ");
  const body = tool.body === undefined ? undefined : own(args, tool.body.argument);
  if (tool.body && body !== undefined && tool.body.kind !== "multipart") headers["content-type"] = tool.body.mediaType;
  return {
    method: tool.method,
    path,
    query,
    headers,
    body: tool.body && body !== undefined ? bodyOf(tool.body, body) : { kind: "none" },
  };
}

const plain = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value ?? ""));

/** Of a path segment or a header. */
function membersOf({ value, json, explode }: PlannedParameter & { value: unknown }): string[] {
  if (json) return [JSON.stringify(value)];
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return [plain(value)];
  return explode
    ? Object.entries(value).map(([key, one]) => `${key}=${plain(one)}`)
    : Object.entries(value).flatMap(([key, one]) => [key, plain(one)]);
}

/** Decoded, as a server would read them. */
function pairsOf({ name, value, json, style, explode }: PlannedParameter & { value: unknown }): [string, string][] {
  if (json) return [[name, JSON.stringify(value)]];
  if (isObject(value)) {
    if (style === "deepObject")
      return Object.entries(value).flatMap(([key, one]) =>
        (Array.isArray(one) ? one : [one]).map((each): [string, string] => [`${name}[${key}]`, plain(each)]),
      );
    return explode
      ? Object.entries(value).map(([key, one]) => [key, plain(one)])
      : [
          [
            name,
            Object.entries(value)
              .flatMap(([key, one]) => [key, plain(one)])
              .join(","),
          ],
        ];
  }
  if (!Array.isArray(value)) return [[name, plain(value)]];
  if (explode) return value.map((one) => [name, plain(one)]);
  return [[name, value.map(plain).join(style === "spaceDelimited" ? " " : style === "pipeDelimited" ? "|" : ",")]];
}

function bodyOf({ kind, files }: PlannedBody, value: unknown): Json {
  if (kind === "json") return { kind, value };
  if (kind === "text") return { kind, text: plain(value) };
  if (kind === "bytes") return { kind, base64: value };
  const fields = Object.entries(value ?? {}).flatMap(([name, one]: [string, unknown]) =>
    (Array.isArray(one) ? one : [one]).map((each): [string, string] => [
      name,
      files.includes(name) ? Buffer.from(String(own(each, "base64")), "base64").toString() : plain(each),
    ]),
  );
  return { kind: "fields", fields };
}
