/**
 * A README or any prose as a service: its endpoints, where headings, tables, code and curl commands name them, with the tables and examples
 * that follow. By rules alone, in English and French; no model is asked. What is not said in such a form is not found.
 */
import { markdownBlocks } from "../../../ml/parse/markdown.ts";
import type { Block } from "../../../ml/parse/block.ts";
import { findRate, type Answer, type Api, type Body, type Operation, type Parameter, type Scheme } from "./api.ts";
import { curlsIn, type CurlRequest } from "./curl.ts";
import { isObject, type Json } from "./json.ts";
import { groupOf } from "./openapi.ts";

const operationsMax = 2_000;
const methodWord = "GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS";
/** "GET /pets/{id}", "`POST https://api.example.com/v1/pets`". */
const endpoint = new RegExp(
  `(?:^|[^A-Za-z])(${methodWord})[\`\\s:|*]+((?:https?://[^\\s\`"'<>|)]{1,300})|(?:/[^\\s\`"'|)]{0,300}))`,
  "u",
);
const columns = {
  method: /^(?:http\s*)?(?:method|verb|m[ée]thode|verbe)$/iu,
  path: /^(?:path|endpoint|url|uri|route|resource|chemin|ressource|point d['’]acc[èe]s|adresse)$/iu,
  name: /^(?:name|parameters?|params?|field|key|argument|attribute|property|nom|param[èe]tres?|champ|cl[ée]|attribut|propri[ée]t[ée])$/iu,
  type: /^(?:types?|format)$/iu,
  required: /^(?:required|mandatory|optional|requise?|obligatoire|facultatif|optionnel)\??$/iu,
  place: /^(?:in|location|where|place|dans|emplacement|o[ùu])$/iu,
  about: /^(?:description|meaning|notes?|details?|purpose|signification|d[ée]tails?|r[ôo]le|explication)$/iu,
  fallback: /^(?:default|d[ée]faut|valeur par d[ée]faut)$/iu,
};
type Column = keyof typeof columns;

type Draft = {
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

/** `from` is where it stands, for a service whose address it never says in whole. */
export async function toApi(text: string, from: URL | undefined): Promise<Api> {
  // A place written <id> would be taken for a tag.
  const { blocks, title } = await markdownBlocks(text.replace(/(?<=\w\/|\s\/|[`"']\/)<([A-Za-z_][\w-]{0,40})>/gu, "{$1}"));
  const drafts = new Map<string, Draft>();
  const servers = new Map<string, number>();
  const notes = new Set<string>();
  let current: Draft | undefined;
  let said = "";
  let place: Parameter["in"] | "body" | undefined;
  const headings: string[] = [];

  const open = (method: string, address: string, about: string): Draft | undefined => {
    const made = toPath(address);
    if (!made || drafts.size >= operationsMax) return undefined;
    if (made.server !== undefined) servers.set(made.server, (servers.get(made.server) ?? 0) + 1);
    const key = `${method} ${shapeOf(made.path)}`;
    const draft: Draft = drafts.get(key) ?? {
      method,
      path: made.path,
      server: made.server,
      summary: about,
      description: "",
      group: headings.findLast((one) => !endpoint.test(one)) ?? groupOf(made.path),
      parameters: new Map(),
      fields: new Map(),
      body: undefined,
      answer: undefined,
      isPublic: false,
    };
    drafts.set(key, draft);
    for (const [name, value] of made.query) addQuery(draft, name, value);
    return draft;
  };

  for (const block of blocks) {
    switch (block.type) {
      case "heading": {
        const found = endpoint.exec(block.text);
        headings.length = Math.min(headings.length, Math.max(0, block.level - 1));
        if (found) current = open(found[1] ?? "", found[2] ?? "", without(block.text, found[0])) ?? current;
        // A heading of another subject ends what was said of the last endpoint.
        else if (block.level <= 2) current = undefined;
        headings[block.level - 1] = block.text;
        said = block.text;
        place = placeIn(block.text);
        break;
      }
      case "paragraph": {
        const found = endpoint.exec(block.text);
        const isMention = found !== null && (found.index < 40 || /^\W*(?:http|endpoint|route)/iu.test(block.text));
        if (found && isMention) {
          const about = without(block.text, found[0]) || (endpoint.test(said) ? "" : said);
          current = open(found[1] ?? "", found[2] ?? "", about) ?? current;
        } else if (current && current.description === "" && !isLabel(block.text) && !/:\s*$/u.test(block.text))
          current.description = block.text;
        if (
          current &&
          /\b(?:no auth|without authentication|public endpoint|sans authentification|point d['’]acc[èe]s public)\b/iu.test(
            block.text,
          )
        )
          current.isPublic = true;
        said = block.text;
        place = placeIn(block.text) ?? place;
        break;
      }
      case "list":
        for (const item of block.items) {
          const found = endpoint.exec(item.text);
          if (found && found.index < 10) current = open(found[1] ?? "", found[2] ?? "", without(item.text, found[0])) ?? current;
          else if (current) addListed(current, item.text, place);
        }
        break;
      case "table":
        current = readTable(block, current, { open, place: placeIn(block.caption ?? "") ?? place });
        break;
      case "code":
        current = readCode(block.text, current, { said, open, servers });
        break;
      case "record":
      case "figure":
      case "footnote":
        break;
      default:
        block satisfies never;
    }
  }
  const base = baseIn(text);
  const schemes = schemesIn(text);
  const ranked = [...servers].toSorted(([, left], [, right]) => right - left).map(([server]) => server);
  const known = base ?? prefixOf(ranked, [...drafts.values()]);
  if (known === undefined && from !== undefined) notes.add("It does not say where the service is.");
  notes.add("It is prose, read by rules: compare each tool with the document before you say yes.");
  const server = known === undefined ? undefined : known.replace(/\/+$/u, "");
  return {
    kind: "markdown",
    title: title ?? "",
    about: blocks.find((block) => block.type === "paragraph")?.text ?? "",
    version: "",
    servers: server === undefined ? [] : [server],
    schemes,
    operations: merged([...drafts.values()], server).map((draft) => toOperation(draft, server, schemes)),
    perMinute: findRate(text),
    notes: [...notes],
    root: {},
  };
}

type Opened = (method: string, address: string, about: string) => Draft | undefined;

/** A path with `{name}` for what changes, and what its address has for a query. */
function toPath(address: string) {
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

function decode(text: string): string {
  try {
    return text.includes("%7B") || text.includes("%7b") ? decodeURI(text.replace(/%7b/giu, "{").replace(/%7d/giu, "}")) : text;
  } catch {
    return text;
  }
}

/** Two ways of writing one endpoint: names of what changes do not matter. */
const shapeOf = (path: string): string => path.replace(/\{[^{}]*\}/gu, "{}").replace(/(?<=.)\/+$/u, "");

const without = (text: string, part: string): string =>
  text
    .replace(part, " ")
    .replace(/^[\s:.\-–—`#*|>]+|[\s:\-–—`(|]+$/gu, "")
    .trim();

/** "Response:" and the like say what follows, not what it is about. */
const isLabel = (text: string): boolean =>
  text.length < 60 &&
  /^\W*(?:example|sample|response|request|returns|body|output|result|usage|curl|param|query|headers?|exemple|r[ée]ponse|requ[êe]te|corps|r[ée]sultat|en-t[êe]tes?)/iu.test(
    text,
  );

/** What stands before code, when it says what the code is about. */
const aboutCode = (said: string): string =>
  isLabel(said) || endpoint.test(said) ? "" : said.replace(/\s*:\s*$/u, "").slice(0, 120);

function placeIn(text: string): Parameter["in"] | "body" | undefined {
  if (text.length > 120) return undefined;
  if (/\b(?:query|url parameters|requ[êe]te \(query\)|cha[îi]ne de requ[êe]te)\b/iu.test(text)) return "query";
  if (/\b(?:path|chemin)\b/iu.test(text) && /param/iu.test(text)) return "path";
  if (/\b(?:headers?|en-t[êe]tes?)\b/iu.test(text)) return "header";
  return /\b(?:body|payload|json|corps)\b/iu.test(text) ? "body" : undefined;
}

/** Adds what a table says: endpoints, or parameters of the one before it. */
function readTable(
  table: Extract<Block, { type: "table" }>,
  current: Draft | undefined,
  { open, place }: { readonly open: Opened; readonly place: Parameter["in"] | "body" | undefined },
): Draft | undefined {
  const at = (kind: Column): number => table.columns.findIndex((name) => columns[kind].test(name.trim()));
  const cell = (row: readonly string[], kind: Column): string => (at(kind) === -1 ? "" : (row[at(kind)] ?? "").trim());
  if (at("path") !== -1 || table.rows.some((row) => row.some((one) => endpoint.test(one)))) {
    let last = current;
    for (const row of table.rows) {
      const whole = row.map((one) => endpoint.exec(one)).find(Boolean);
      const method = cell(row, "method").toUpperCase().replaceAll("`", "");
      const path = cell(row, "path").replaceAll("`", "");
      const about = cell(row, "about") || (row.findLast((one) => one !== method && one !== path && !endpoint.test(one)) ?? "");
      if (whole) last = open(whole[1] ?? "", whole[2] ?? "", about) ?? last;
      else if (new RegExp(`^(?:${methodWord})$`, "u").test(method) && /^(?:\/|https?:)/u.test(path))
        last = open(method, path, about) ?? last;
    }
    return last;
  }
  if (!current || at("name") === -1) return current;
  for (const row of table.rows) {
    const name = cell(row, "name").replaceAll("`", "").replace(/\*+$/u, "");
    if (!/^[\w.[\]-]{1,60}$/u.test(name)) continue;
    const word = `${cell(row, "required")} ${at("required") === -1 ? cell(row, "about") : ""}`;
    const isOptionalColumn = /^(?:optional|facultatif|optionnel)/iu.test(table.columns[at("required")] ?? "");
    const isYes = /^\s*(?:yes|y|true|required|mandatory|oui|vrai|obligatoire|requise?|✓|✔|x)\b|[✓✔✅]/iu.test(word);
    const isRequired =
      at("required") === -1 ? /\b(?:required|mandatory|obligatoire|requise?)\b/iu.test(word) : isYes !== isOptionalColumn;
    addField(
      current,
      { name, type: cell(row, "type"), about: cell(row, "about"), isRequired, fallback: cell(row, "fallback") },
      placeIn(cell(row, "place")) ?? plainPlace(cell(row, "place")) ?? place,
    );
  }
  return current;
}

const plainPlace = (text: string): Parameter["in"] | undefined =>
  (["path", "query", "header", "cookie"] as const).find((one) => text.toLowerCase().includes(one)) ??
  (/chemin/iu.test(text) ? "path" : /requ[êe]te/iu.test(text) ? "query" : undefined);

type Field = {
  readonly name: string;
  readonly type: string;
  readonly about: string;
  readonly isRequired: boolean;
  readonly fallback: string;
};

/** "limit (integer, required): how many". */
function addListed(draft: Draft, text: string, place: Parameter["in"] | "body" | undefined): void {
  const found = /^[`*]*([A-Za-z_][\w.-]{0,59})[`*]*\s*\(([^()]{1,60})\)\s*[:–—-]?\s*(.*)$/su.exec(text);
  if (!found) return;
  const [, name = "", marks = "", about = ""] = found;
  if (typeOf(marks) === undefined) return;
  const isRequired = /\b(?:required|obligatoire|requise?)\b/iu.test(marks);
  addField(draft, { name, type: marks, about, isRequired, fallback: "" }, place);
}

function addField(
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

function addQuery(draft: Draft, name: string, value: string): void {
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

function typeOf(text: string): string | undefined {
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

type Coding = { readonly said: string; readonly open: Opened; readonly servers: Map<string, number> };

/** Code names endpoints itself (curl, raw HTTP), or is an example of what the last one takes or answers. */
function readCode(code: string, current: Draft | undefined, { said, open }: Coding): Draft | undefined {
  let last = current;
  const curls = curlsIn(code);
  for (const curl of curls) {
    const draft = open(curl.method, decode(curl.url.href), aboutCode(said));
    if (!draft) continue;
    last = draft;
    draft.body ??= bodyOf(curl);
  }
  if (curls.length > 0) return last;
  const json = jsonIn(code);
  const lines = code.slice(0, 20_000).split("\n");
  const named = lines
    .map((line) => new RegExp(`^\\s*(${methodWord})\\s+((?:https?://|/)\\S*)`, "u").exec(line))
    .filter((one) => one !== null);
  if (named.length > 0 && !code.trimStart().startsWith("{")) {
    for (const found of named) last = open(found[1] ?? "", found[2] ?? "", aboutCode(said)) ?? last;
    const below = jsonIn(code.slice(code.search(/[\r\n]\s*[{[]/u)));
    if (last && named.length === 1 && below !== undefined) last.body ??= toBody(below);
    return last;
  }
  if (!last || json === undefined) return last;
  const isAnswer =
    /\b(?:respon[sd]|returns?|answer|output|result|r[ée]ponse|retourne|renvoie|r[ée]sultat)/iu.test(said) ||
    /^HTTP\/\d/u.test(code.trim());
  const isRequest = /\b(?:request|body|payload|send|corps|requ[êe]te|envoyer|param)/iu.test(said) && !isAnswer;
  const takes = ["POST", "PUT", "PATCH"].includes(last.method);
  if (takes && !last.body && (isRequest || (!isAnswer && !last.answer))) last.body = toBody(json);
  else last.answer ??= { status: 200, mediaType: "application/json", schema: schemaOf(json), example: json };
  return last;
}

const toBody = (json: unknown): Body => ({
  mediaType: "application/json",
  isRequired: true,
  description: "",
  schema: schemaOf(json),
  example: json,
});

function bodyOf({ body, parts, headers }: CurlRequest): Body | undefined {
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
function jsonIn(text: string): unknown {
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
function schemaOf(value: unknown, depth = 0): Json {
  if (depth > 8 || value === null) return {};
  if (Array.isArray(value)) return { type: "array", items: value.length > 0 ? schemaOf(value[0], depth + 1) : {} };
  if (isObject(value))
    return {
      type: "object",
      properties: Object.fromEntries(Object.entries(value).map(([key, one]) => [key, schemaOf(one, depth + 1)])),
    };
  return { type: typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value };
}

/** What the text calls the address of its service. */
function baseIn(text: string): string | undefined {
  const found =
    /(?:base[\s_-]*(?:url|uri|path)|api[\s_-]*(?:root|endpoint|url|host)|root url|url de base|adresse de base|racine(?: de l['’]api)?)[^\n]{0,60}?[\s:`|*(<"=]*(https?:\/\/[^\s`"'<>|)*]{3,200})/iu.exec(
      text,
    ) ?? /(?:base[\s_-]*(?:url|uri)|url de base)[^\n]*\n+(?:```\w*\n)?\s*(https?:\/\/[^\s`"'<>|)*]{3,200})/iu.exec(text);
  return found?.[1]?.replace(/[.,;]+$/u, "");
}

/** Without such words: the host that commands name most, with what its paths begin with where endpoints leave that out ("/api", "/v2"). */
function prefixOf(servers: readonly string[], drafts: readonly Draft[]): string | undefined {
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
function merged(found: readonly Draft[], server: string | undefined): Draft[] {
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

function schemesIn(text: string): Map<string, Scheme> {
  const schemes = new Map<string, Scheme>();
  if (/\bAuthorization:\s*Bearer\b|\bbearer (?:token|auth)|jeton (?:d['’]acc[èe]s|porteur|bearer)/iu.test(text))
    schemes.set("bearer", { kind: "bearer" });
  const header =
    /\b(X-[A-Za-z-]*(?:Key|Token)|Api-?Key|Apikey)\b\s*[:=`]/iu.exec(text)?.[1] ??
    /\b(X-[A-Za-z-]*(?:Key|Token))\b/iu.exec(text)?.[1];
  if (header !== undefined) schemes.set("api_key", { kind: "apiKey", in: "header", parameter: header });
  else {
    const parameter = /[?&](api[_-]?key|apikey|access_token|token|key)=/iu.exec(text)?.[1];
    if (parameter !== undefined && schemes.size === 0) schemes.set("api_key", { kind: "apiKey", in: "query", parameter });
  }
  if (
    schemes.size === 0 &&
    (/\b(?:HTTP )?Basic (?:auth|authentication)\b|authentification (?:HTTP )?basi(?:c|que)|Authorization:\s*Basic/iu.test(text) ||
      curlsIn(text).some(({ hasUser }) => hasUser))
  )
    schemes.set("basic", { kind: "basic" });
  return schemes;
}

function toOperation(draft: Draft, server: string | undefined, schemes: ReadonlyMap<string, Scheme>): Operation {
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
