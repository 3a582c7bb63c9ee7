/** An endpoint as prose tells of it, bit by bit, until it is an operation. */
import type { Answer, Body, Operation, Parameter, Scheme } from "./api.ts";
import { isObject, type Json } from "./json.ts";

export type Draft = {
  readonly method: string;
  readonly path: string;
  readonly server: string | undefined;
  summary: string;
  description: string;
  group: string;
  readonly parameters: Map<string, Parameter>;
  readonly fields: Map<string, { readonly schema: Json; readonly isRequired: boolean }>;
  body: Body | undefined;
  answer: Answer | undefined;
  isPublic: boolean;
};

/** A path with `{name}` for what changes, and what its address has for a query. */
export function toPath(address: string) {
  const plain = address.replace(/[.,;:]+$/u, "");
  const isWhole = /^https?:/u.test(plain);
  const [, server = "", rest = ""] = isWhole
    ? (/^(https?:\/\/[^/?#]+)([^#]*)$/u.exec(plain) ?? [])
    : ["", "", plain.split("#")[0] ?? ""];
  if (isWhole && !URL.canParse(server.replace(/[{}]/gu, "x"))) return undefined;
  const [path = "", query = ""] = rest.split("?", 2);
  const named = decode(path)
    .replace(/\/:([A-Za-z_]\w*)/gu, "/{$1}")
    .replace(/<([A-Za-z_][\w-]*)>/gu, "{$1}")
    .replace(/\{\{([^{}]+)\}\}/gu, "{$1}")
    .replace(/\/(?:YOUR_)?([A-Z][A-Z0-9]*_(?:ID|KEY|NAME|SLUG))(?=\/|$)/gu, (_whole, name: string) => `/{${name.toLowerCase()}}`);
  return { path: named === "" ? "/" : named, server: server === "" ? undefined : server, query: [...new URLSearchParams(query)] };
}

export function decode(text: string): string {
  try {
    return text.includes("%7B") || text.includes("%7b") ? decodeURI(text.replace(/%7b/giu, "{").replace(/%7d/giu, "}")) : text;
  } catch {
    return text;
  }
}

/** Two ways of writing one endpoint: names of what changes do not matter. */
export const shapeOf = (path: string): string => path.replace(/\{[^{}]*\}/gu, "{}").replace(/(?<=.)\/+$/u, "");

type Field = {
  readonly name: string;
  readonly type: string;
  readonly about: string;
  readonly isRequired: boolean;
  readonly fallback: string;
};

export function addField(
  draft: Draft,
  { name, type, about, isRequired, fallback }: Field,
  place: Parameter["in"] | "body" | undefined,
): void {
  const schema: Json = { type: typeOf(type) ?? "string", description: about, ...choicesIn(about, type) };
  if (schema["type"] === "array") (schema as Record<string, unknown>)["items"] = {};
  const value = fallback === "" || schema["type"] !== "integer" ? undefined : Number(fallback);
  const isInPath = draft.path.includes(`{${name}}`);
  const where = isInPath
    ? "path"
    : place === "path"
      ? undefined
      : (place ?? (["POST", "PUT", "PATCH"].includes(draft.method) ? "body" : "query"));
  if (where === undefined) return;
  if (where === "body" && !["GET", "HEAD"].includes(draft.method)) draft.fields.set(name, { schema, isRequired });
  else
    addParameter(draft, {
      name,
      in: where === "body" ? "query" : where,
      isRequired: isRequired || isInPath,
      description: about,
      schema: { ...schema, ...(Number.isSafeInteger(value) && { default: value }) },
    });
}

type Said = Pick<Parameter, "name" | "in" | "isRequired" | "description" | "schema">;

function addParameter(draft: Draft, said: Said): void {
  const isForm = said.in === "query" || said.in === "cookie";
  draft.parameters.set(`${said.in} ${said.name}`, {
    ...said,
    style: isForm ? "form" : "simple",
    isExploded: isForm,
    isJson: false,
  });
}

export function addQuery(draft: Draft, name: string, value: string): void {
  if (
    !/^[\w.[\]-]{1,60}$/u.test(name) ||
    /^(?:api[_-]?key|key|token|access[_-]?token)$/iu.test(name) ||
    draft.parameters.has(`query ${name}`)
  )
    return;
  const isNumber = /^-?\d{1,9}$/u.test(value);
  addParameter(draft, {
    name,
    in: "query",
    isRequired: false,
    description: "",
    schema: { type: isNumber ? "integer" : "string" },
  });
}

export function typeOf(text: string): string | undefined {
  if (/\b(?:array|list|liste|tableau)\b|\[\]/iu.test(text)) return "array";
  if (/\b(?:int|integer|entier|long)\b/iu.test(text)) return "integer";
  if (/\b(?:number|float|double|decimal|nombre|d[ée]cimal)\b/iu.test(text)) return "number";
  if (/\b(?:bool|boolean|bool[ée]en)\b/iu.test(text)) return "boolean";
  if (/\b(?:object|json|map|objet)\b/iu.test(text)) return "object";
  return /\b(?:string|text|str|uuid|date|datetime|email|url|enum|cha[îi]ne|texte)\b/iu.test(text) ? "string" : undefined;
}

/** "one of `red`, `blue`" is a choice. */
function choicesIn(about: string, type: string): { enum?: string[] } {
  if (typeOf(type) !== undefined && typeOf(type) !== "string") return {};
  const [, list = ""] = /\b(?:one of|either|parmi|l['’]un de|valeurs)\s*:?\s+([\w ,|/`"'-]{3,200})/iu.exec(about) ?? [];
  const found = list
    .split(/\s*(?:,|\||\/|\bor\b|\bou\b)\s*/u)
    .map((one) => one.replace(/[`"']/gu, "").trim())
    .filter((one) => /^[\w-]{1,40}$/u.test(one));
  return found.length > 1 ? { enum: [...new Set(found)] } : {};
}

/** Without such words: the host that commands name most, with what its paths begin with where endpoints leave that out ("/api", "/v2"). */
export function prefixOf(servers: readonly string[], drafts: readonly Draft[]): string | undefined {
  const [server] = servers;
  if (server === undefined) return undefined;
  const relative = new Set(drafts.filter((one) => one.server === undefined).map(({ path }) => path.split("/")[1] ?? ""));
  for (const { server: host, path } of drafts) {
    const [, prefix, first] = /^((?:\/(?:api|rest|services?|v\d[\d.]*))+)\/([^/?]+)/iu.exec(path) ?? [];
    if (host === server && first !== undefined && relative.has(first)) return server + prefix;
  }
  return server;
}

/** Below the service's address, each endpoint once. Examples name values where templates name places: "/pets/7" is "/pets/{id}" when both are there. */
export function merged(found: readonly Draft[], server: string | undefined): Draft[] {
  const prefix = server === undefined ? "" : (URL.parse(server)?.pathname ?? "").replace(/\/+$/u, "");
  const drafts = new Map<string, Draft>();
  for (const one of found) {
    // An address written out has the base in it already.
    const path = prefix !== "" && one.path.startsWith(`${prefix}/`) ? one.path.slice(prefix.length) : one.path;
    const key = `${one.method} ${shapeOf(path)}`;
    const known = drafts.get(key);
    if (known) fill(known, one);
    else drafts.set(key, { ...one, path });
  }
  const templates = [...drafts.values()]
    .filter(({ path }) => path.includes("{"))
    .map((draft) => ({
      draft,
      pattern: new RegExp(`^${escaped(shapeOf(draft.path)).replaceAll(String.raw`\{\}`, "[^/]+")}$`, "u"),
    }));
  return [...drafts.values()].flatMap((one) => {
    // "/pets/search" and "/pets/{id}" are two; values have a digit or an @ in them.
    const isValue = !one.path.includes("{") && /[\d@]/u.test(one.path.replace(/\/v\d+(?=\/)/u, ""));
    if (!isValue) return [one];
    const template = templates.find(
      ({ draft, pattern }) => draft.method === one.method && pattern.test(shapeOf(one.path)),
    )?.draft;
    if (!template)
      return [
        { ...one, path: one.path.replace(/\/([A-Za-z][\w-]*)\/(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=\/|$)/gu, "/$1/{$1_id}") },
      ];
    fill(template, one);
    return [];
  });
}

/** What one mention of an endpoint leaves out, another may say. */
function fill(known: Draft, more: Draft): void {
  known.summary ||= more.summary;
  known.description ||= more.description;
  known.body ??= more.body;
  known.answer ??= more.answer;
  known.isPublic ||= more.isPublic;
  for (const [key, parameter] of more.parameters) if (!known.parameters.has(key)) known.parameters.set(key, parameter);
  for (const [name, field] of more.fields) if (!known.fields.has(name)) known.fields.set(name, field);
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`);

export function toOperation(draft: Draft, server: string | undefined, schemes: ReadonlyMap<string, Scheme>): Operation {
  return {
    method: draft.method,
    path: draft.path,
    id: undefined,
    group: draft.group,
    summary: draft.summary,
    description: draft.description,
    isDeprecated: /\b(?:deprecated|obsol[èe]te|d[ée]pr[ée]ci[ée])\b/iu.test(draft.summary),
    parameters: [...draft.parameters.values()],
    body: withFields(draft),
    // One way in is enough, as prose that names two usually offers both.
    security: draft.isPublic ? [] : [...schemes.keys()].slice(0, 1).map((scheme) => [{ scheme, scopes: [] }]),
    answer: draft.answer,
    ...(draft.server !== undefined &&
      server !== undefined &&
      new URL(draft.server).host !== URL.parse(server)?.host && { server: draft.server }),
  };
}

/** A table of fields says more than an example: both together are the body. */
function withFields({ fields, body, method }: Draft): Body | undefined {
  if (fields.size === 0 || ["GET", "HEAD"].includes(method)) return body;
  const known = body && isObject(body.schema) && isObject(body.schema["properties"]) ? body.schema["properties"] : {};
  const properties: Record<string, unknown> = { ...known };
  for (const [name, { schema }] of fields)
    properties[name] = isObject(known[name]) && known[name]["format"] === "binary" ? known[name] : schema;
  const required = [...fields].filter(([, { isRequired }]) => isRequired).map(([name]) => name);
  return {
    mediaType: body?.mediaType ?? "application/json",
    isRequired: true,
    description: "",
    schema: { type: "object", properties, ...(required.length > 0 && { required }) },
    ...(body?.example !== undefined && { example: body.example }),
  };
}
