/** From a service to a plan: which tools, with which names and rights, and what the owner should know. */
import { fromJsonSchema } from "@modelcontextprotocol/server";
import { NikaError } from "../../../convex/model/error.ts";
import { toAlias, type ToolClass } from "../../../convex/model/server.ts";
import type { Api, Operation, Parameter, Scheme } from "./api.ts";
import { isObject, listOf, own, type Json } from "./json.ts";
import {
  styles,
  type Auth,
  type LeftGroup,
  type Plan,
  type PlannedBody,
  type PlannedParameter,
  type PlannedTool,
} from "./plan.ts";
import { sampleOf } from "./sample.ts";
import { openSchemas } from "./schema.ts";
import { isServicePath, namesOnce, poisonIn, toArgument, toLine, toSnake } from "./words.ts";

export type PlanWishes = {
  /** Otherwise made of the document's title. */
  readonly name?: string | undefined;
  /** The service's address, in the place of the document's. */
  readonly server?: string | undefined;
  /** Only operations of these groups. */
  readonly tags?: readonly string[] | undefined;
  readonly toolsMax?: number | undefined;
};
export type Origin = { readonly from: string; readonly sha256: string };

/** More tools than this crowd a model's view; the rest is shown by group. */
export const toolsMaxDefault = 40;
const limits = { callsPerMinute: 60, timeoutMs: 20_000, answerBytes: 256 * 1024 };
const inputCharsMax = 60_000;
const notesMax = 100;
const destroys =
  /(?:^|_)(?:delete|destroy|remove|purge|erase|drop|wipe|revoke|cancel|terminate|supprimer|effacer|annuler)(?:_|$)/u;

/** Fails with `invalid` when nothing can be made of it: no operation that is understood, no address, no usable name. */
export function makePlan(api: Api, origin: Origin, wishes: PlanWishes): Plan {
  const notes = new Set<string>();
  const told = (note: string): void => void notes.add(note);
  for (const note of api.notes) told(note);
  const name = nameOf(api, wishes.name);
  const base = baseOf(api, wishes.server);
  const chosen = choose(api.operations, wishes);
  const auth = toAuth(api, name, chosen.taken, told);
  const once = namesOnce();
  const tools = chosen.taken.flatMap((operation) => toTool(operation, { api, auth, base, once, told }) ?? []);
  if (tools.length === 0)
    throw new NikaError(
      "invalid",
      "Nothing in the document could be made into a tool; it names no operation that is understood.",
    );
  for (const note of warningsAbout(base, auth)) told(note);
  const title = toLine(api.title, 80, (why) => told(`Its title was left out, because it ${why}.`)) ?? name;
  const about = toLine(api.about, 300, (why) => told(`What it says of itself was left out, because it ${why}.`)) ?? "";
  const shown = [...notes];
  return {
    version: 1,
    name,
    title,
    about,
    source: { kind: api.kind, ...origin },
    baseUrl: base.href.replace(/\/+$/u, ""),
    egress: [`${base.hostname.replace(/^\[|\]$/gu, "")}:${base.port || (base.protocol === "https:" ? "443" : "80")}`],
    limits: { ...limits, ...(api.perMinute !== undefined && { callsPerMinute: Math.min(api.perMinute, 6_000) }) },
    auth: auth.all.filter(({ id }) => tools.some((tool) => tool.auth.includes(id))),
    tools,
    left: { count: chosen.leftCount, groups: chosen.left },
    notes: shown.length > notesMax ? [...shown.slice(0, notesMax), `… and ${shown.length - notesMax} more.`] : shown,
  };
}

function nameOf({ title }: Api, wished: string | undefined): string {
  const said = toSnake(title).split("_");
  const telling = said.filter((word) => !/^(?:the|a|an|of|for|de|la|le|les|du|des|d|l|api|rest|service)$/u.test(word));
  const words = telling.length > 0 ? telling : said;
  let made = words.shift()?.slice(0, 20) ?? "";
  // Whole words, as many as there is room for.
  for (const word of words)
    if (`${made}-${word}`.length <= 20) made += `-${word}`;
    else break;
  const name = toAlias(wished ?? (made || "service"));
  if (name === undefined)
    throw new NikaError(
      "invalid",
      `"${(wished ?? "").slice(0, 40)}" cannot be part of a tool's name; use 1 to 20 letters, digits and hyphens.`,
    );
  return name;
}

function baseOf({ servers }: Api, wished: string | undefined): URL {
  const text = wished ?? servers[0];
  if (text === undefined)
    throw new NikaError("invalid", "The document does not say where the service is; say it with --server https://HOST/PATH.");
  const url = URL.parse(text);
  if (!url || !/^https?:$/u.test(url.protocol))
    throw new NikaError("invalid", `"${text.slice(0, 100)}" is no http or https address.`);
  if (url.username !== "" || url.password !== "")
    throw new NikaError("invalid", "The service's address holds a name or password; keep those with `nika secrets set`.");
  if (url.hostname.startsWith("["))
    throw new NikaError("invalid", "An address in brackets cannot be allowed to a sandbox; use a host's name.");
  url.search = "";
  url.hash = "";
  return url;
}

type Chosen = { readonly taken: readonly Operation[]; readonly left: readonly LeftGroup[]; readonly leftCount: number };

/** Whole groups, in the document's order, as long as they fit; of the first that does not, as many as do. */
function choose(operations: readonly Operation[], { tags, toolsMax = toolsMaxDefault }: PlanWishes): Chosen {
  const wanted = tags && new Set(tags.map(toSnake));
  const known = new Set(operations.map(({ group }) => toSnake(group)));
  for (const tag of tags ?? [])
    if (!known.has(toSnake(tag)))
      throw new NikaError("missing", `There is no group "${tag.slice(0, 60)}" in the document; it has ${namesSome(operations)}.`);
  const groups = Map.groupBy(operations, ({ group }) => group);
  const taken: Operation[] = [];
  const left: LeftGroup[] = [];
  for (const [group, members] of groups) {
    const isWanted = wanted === undefined || wanted.has(toSnake(group));
    const count = isWanted ? Math.max(0, Math.min(members.length, toolsMax - taken.length)) : 0;
    taken.push(...members.slice(0, count));
    const rest = members.slice(count);
    if (rest.length > 0)
      left.push({
        group: toLine(group, 60, () => undefined) ?? "other",
        count: rest.length,
        some: rest.slice(0, 5).flatMap(({ method, path }) => toLine(`${method} ${path}`, 120, () => undefined) ?? []),
      });
  }
  return { taken, left: left.slice(0, 200), leftCount: left.reduce((sum, { count }) => sum + count, 0) };
}

const namesSome = (operations: readonly Operation[]): string =>
  [...new Set(operations.map(({ group }) => toSnake(group)))].slice(0, 12).join(", ");

type Ways = {
  readonly all: readonly Auth[];
  readonly byScheme: ReadonlyMap<string, Auth>;
  readonly schemes: ReadonlyMap<string, Scheme>;
};

function toAuth({ schemes }: Api, name: string, operations: readonly Operation[], told: (note: string) => void): Ways {
  const once = namesOnce();
  const byScheme = new Map<string, Auth>();
  const used = new Set(operations.flatMap(({ security }) => security.flatMap((all) => all.map(({ scheme }) => scheme))));
  for (const [key, scheme] of schemes) {
    if (!used.has(key)) continue;
    if (scheme.kind === "unknown") {
      told(`The way in "${toSnake(key)}" (${scheme.what}) is not understood.`);
      continue;
    }
    if (scheme.kind === "apiKey" && !/^[\w!#$%&'*+.^`|~-]{1,100}$/u.test(scheme.parameter)) {
      told(`The way in "${toSnake(key)}" was left out, because the name of its ${scheme.in} is none.`);
      continue;
    }
    const id = once(toSnake(key) || "auth");
    const stem = `${name.replaceAll("-", "_")}_${id}`.toUpperCase();
    const { kind } = scheme;
    const common = { id, secret: `${name}.${id}`.slice(0, 64), variable: /^\d/u.test(stem) ? `API_${stem}` : stem };
    if (kind === "apiKey") byScheme.set(key, { ...common, kind, in: scheme.in, parameter: scheme.parameter });
    else if (kind === "oauth2") {
      const { authorizationUrl, tokenUrl, scopes } = scheme;
      const isSafe = [authorizationUrl, tokenUrl].every((url) => url === undefined || isSecure(new URL(url)));
      if (!isSafe) told(`The way in "${id}" asks for tokens without encryption; a token of yours is taken instead.`);
      if (isSafe && authorizationUrl !== undefined) {
        const used = scopesOf(operations, key).filter((scope) => scopes.length === 0 || scopes.includes(scope));
        byScheme.set(key, {
          ...common,
          kind,
          authorizationUrl,
          tokenUrl,
          scopes: used.length > 0 ? used : scopes.filter(isScope).slice(0, 50),
        });
      } else {
        if (isSafe) told(`The way in "${id}" is OAuth without a page where you say yes; a token of yours is taken instead.`);
        byScheme.set(key, { ...common, kind: "bearer" });
      }
    } else byScheme.set(key, { ...common, kind });
  }
  return { all: [...byScheme.values()], byScheme, schemes };
}

const isScope = (scope: string): boolean => /^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/u.test(scope) && poisonIn(scope).length === 0;

/** Only what the chosen tools need. */
const scopesOf = (operations: readonly Operation[], key: string): string[] => [
  ...new Set(
    operations
      .flatMap(({ security }) => security.flat().flatMap(({ scheme, scopes }) => (scheme === key ? scopes : [])))
      .filter(isScope),
  ),
];

/** Encrypted, or on this very machine. */
const isSecure = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" || hostname === "localhost" || /^127\.|^\[::1\]$/u.test(hostname);

type Making = {
  readonly api: Api;
  readonly auth: Ways;
  readonly base: URL;
  readonly once: (name: string) => string;
  readonly told: (note: string) => void;
};

/** Undefined, and told why, when the operation cannot be called as its document says. */
function toTool(operation: Operation, { api, auth, base, once, told }: Making): PlannedTool | undefined {
  const { method } = operation;
  const [path = ""] = operation.path.split(/[?#]/u);
  const said = toLine(`${method} ${operation.path}`, 120, () => undefined) ?? method;
  const leave = (why: string): undefined => told(`${said} was left out: ${why}.`) as undefined;
  if (!isServicePath(path, base)) return leave("its path is none");
  if (operation.server !== undefined && new URL(operation.server).host !== base.host)
    return leave("it is at another server than the rest");
  const ways = waysOf(operation, auth);
  if (ways === undefined) return leave("the way in is not understood");
  const schemas = openSchemas({ root: api.root, told: (note) => told(`${said}: ${note}`), isRequest: true });
  const properties: Record<string, Json> = {};
  const required: string[] = [];
  const parameters: PlannedParameter[] = [];
  const argumentOnce = namesOnce();
  const examples: Record<string, unknown> = {};
  const withAuth = operation.parameters.filter(
    (one) =>
      !ways.some((id) =>
        isOfAuth(
          one,
          auth.all.find((way) => way.id === id),
        ),
      ),
  );
  for (const parameter of [...withAuth, ...unsaid(path, withAuth)]) {
    const style = styles.find((one) => one === parameter.style);
    const plain = poisonIn(parameter.name).length === 0 ? toArgument(parameter.name) : undefined;
    const isNamed = plain !== undefined && (parameter.in !== "header" || /^[\w!#$%&'*+.^`|~-]{1,100}$/u.test(parameter.name));
    if (style === undefined || !isNamed) {
      if (parameter.isRequired) return leave(`its parameter "${toSnake(parameter.name)}" cannot be written`);
      told(`${said}: the parameter "${toSnake(parameter.name)}" was left out, because it cannot be written.`);
      continue;
    }
    if (parameter.in === "path" && !path.includes(`{${parameter.name}}`)) continue;
    const argument = argumentOnce(plain);
    const about = toLine(parameter.description, 200, (why) =>
      told(`${said}: what it says of "${argument}" was left out, because it ${why}.`),
    );
    const cleaned = schemas.clean(parameter.schema, argument);
    properties[argument] = { ...cleaned, ...(about !== undefined && { description: about }) };
    if (parameter.isRequired) required.push(argument);
    parameters.push({
      name: parameter.name,
      in: parameter.in,
      argument,
      style,
      explode: parameter.isExploded,
      json: parameter.isJson,
    });
    const example = harmless(parameter.example ?? sampleOf(parameter.schema, api.root), cleaned, schemas.defs);
    if (example !== null && example !== undefined) examples[argument] = example;
  }
  const placed = [...path.matchAll(/\{([^{}]+)\}/gu)].map(([, name = ""]) => name);
  const missing = placed.find((name) => !parameters.some((one) => one.in === "path" && one.name === name));
  if (missing !== undefined) return leave(`nothing is said of "${toSnake(missing)}" in its path`);
  const body = operation.body && toPlannedBody(operation.body.mediaType, operation.body.schema, api.root, argumentOnce);
  if (operation.body && body) {
    const cleaned = bodySchema(body, schemas.clean(bodyOf(operation.body.schema, api.root, body), body.argument), schemas.defs);
    const about = toLine(operation.body.description, 200, () => undefined);
    properties[body.argument] = { ...cleaned, ...(about !== undefined && { description: about }) };
    if (operation.body.isRequired) required.push(body.argument);
    examples[body.argument] = bodyExample(body, harmless(operation.body.example, cleaned, schemas.defs));
  }
  const input: Json = {
    type: "object",
    properties,
    ...(required.length > 0 && { required }),
    additionalProperties: false,
    ...(Object.keys(schemas.defs).length > 0 && { $defs: schemas.defs }),
  };
  if (JSON.stringify(input).length > inputCharsMax) return leave("what it takes is too large for a tool");
  if (fits(input, examples) === undefined) return leave("what it takes is described by a schema that cannot be used");
  const name = once((poisonIn(operation.id ?? "").length === 0 && toSnake(operation.id ?? "")) || pathName(method, path));
  const toolClass = classOf(method, name);
  const page = pageOf(parameters);
  const example = exampleFor(operation, { input, examples, api });
  if (!example) told(`${said}: no arguments that fit could be made up, so no contract test calls it.`);
  const title = toLine(operation.summary, 80, (why) => told(`${said}: its title was left out, because it ${why}.`));
  return {
    name,
    group: toSnake(poisonIn(operation.group).length === 0 ? operation.group : "") || "other",
    title: title ?? name.replaceAll("_", " "),
    description: describe(operation, { title, page, said, told }),
    class: toolClass,
    approval: toolClass === "destructive" ? "ask" : "never",
    method,
    path,
    parameters,
    ...(body && { body }),
    auth: ways,
    scopes: [
      ...new Set(
        operation.security
          .flat()
          .flatMap(({ scopes }) => scopes)
          .filter(isScope),
      ),
    ],
    input,
    ...(page !== undefined && { page }),
    ...(example && { example }),
  };
}

/** The first alternative whose every way is understood; one that needs nothing only when there is no other. */
function waysOf({ security }: Operation, { byScheme }: Ways): readonly string[] | undefined {
  if (security.length === 0) return [];
  const known = security.filter((all) => all.every(({ scheme }) => byScheme.has(scheme)));
  const chosen = known.find((all) => all.length > 0) ?? known[0];
  return chosen?.flatMap(({ scheme }) => byScheme.get(scheme)?.id ?? []);
}

/** Documents often list the key among the parameters, too; it is never an argument. */
const isOfAuth = ({ in: place, name }: Parameter, way: Auth | undefined): boolean =>
  way !== undefined &&
  ((way.kind === "apiKey" && way.in === place && way.parameter?.toLowerCase() === name.toLowerCase()) ||
    (way.kind !== "apiKey" && place === "header" && name.toLowerCase() === "authorization"));

/** What stands in the path and is described nowhere is a text. */
const unsaid = (path: string, parameters: readonly Parameter[]): Parameter[] =>
  [...new Set([...path.matchAll(/\{([^{}]+)\}/gu)].map(([, name = ""]) => name))]
    .filter((name) => !parameters.some((one) => one.in === "path" && one.name === name))
    .map((name) => ({
      name,
      in: "path",
      isRequired: true,
      description: "",
      schema: { type: "string" },
      style: "simple",
      isExploded: false,
      isJson: false,
    }));

function toPlannedBody(mediaType: string, schema: unknown, root: Json, once: (name: string) => string): PlannedBody {
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

function bodyOf(schema: unknown, root: Json, { kind, files }: PlannedBody): unknown {
  if (kind !== "multipart" || files.length === 0) return schema;
  // Written out at its top, so that files can take their own shape.
  const top = resolve(schema, root);
  return isObject(top) ? top : {};
}

function bodySchema({ kind, files }: PlannedBody, cleaned: Json, defs: Record<string, Json>): Json {
  if (kind === "text") return { type: "string" };
  if (kind === "bytes") return { type: "string", description: "The bytes, in base64." };
  if (kind === "json") return cleaned;
  const target = typeof own(cleaned, "$ref") === "string" ? defs[String(own(cleaned, "$ref")).slice("#/$defs/".length)] : cleaned;
  const properties: Record<string, unknown> = { ...(own(target, "properties") as object | undefined) };
  for (const name of files)
    properties[name] = own(own(properties, name), "type") === "array" ? { type: "array", items: fileSchema } : fileSchema;
  return { ...target, type: "object", properties };
}

function bodyExample({ kind, files }: PlannedBody, example: unknown): unknown {
  if (kind === "text") return typeof example === "string" ? example : "text";
  if (kind === "bytes") return "ZXhhbXBsZQ==";
  if (kind !== "multipart" || !isObject(example)) return example;
  const value: Record<string, unknown> = { ...example };
  for (const name of files) value[name] = Array.isArray(own(value, name)) ? [fileExample] : fileExample;
  return value;
}

function classOf(method: string, name: string): ToolClass {
  if (method === "DELETE" || destroys.test(name)) return "destructive";
  return ["GET", "HEAD", "OPTIONS"].includes(method) ? "read" : "write";
}

const pathName = (method: string, path: string): string =>
  toSnake(`${method.toLowerCase()} ${path.replace(/\{([^{}]+)\}/gu, "by $1")}`) || "call";

/** The argument that asks for more, when there is one. */
function pageOf(parameters: readonly PlannedParameter[]): string | undefined {
  const known = [
    "cursor",
    "next_token",
    "page_token",
    "starting_after",
    "after",
    "offset",
    "start",
    "page",
    "page_number",
    "skip",
  ];
  const found = known.map((name) => parameters.find((one) => one.in === "query" && toSnake(one.name) === name)).find(Boolean);
  return found?.argument;
}

type Described = {
  readonly title: string | undefined;
  readonly page: string | undefined;
  readonly said: string;
  readonly told: (note: string) => void;
};

function describe(operation: Operation, { title, page, said, told }: Described): string {
  const about = toLine(operation.description, 300, (why) => told(`${said}: its description was left out, because it ${why}.`));
  const isSaidTwice =
    about !== undefined && title !== undefined && about.toLowerCase().startsWith(title.toLowerCase().replace(/\.$/u, ""));
  const sentences = [
    ...(title !== undefined && !isSaidTwice ? [`${title.replace(/[.…]$/u, "")}.`] : []),
    ...(about !== undefined ? [about] : []),
    ...(operation.isDeprecated ? ["The service calls this outdated."] : []),
    ...(page !== undefined ? [`Answers come in pages; "${page}" asks for another.`] : []),
    `(${said})`,
  ];
  return sentences.join(" ");
}

/** The document's example, or one made of the cleaned schema where that has none or speaks to models. */
const harmless = (example: unknown, schema: Json, defs: Json): unknown =>
  example === undefined ||
  example === null ||
  poisonIn(typeof example === "string" ? example : JSON.stringify(example)).length > 0
    ? sampleOf(schema, { $defs: defs })
    : example;

type Exampled = { readonly input: Json; readonly examples: Json; readonly api: Api };

/** Whether arguments fit a schema; undefined when the schema itself cannot be used. */
function fits(input: Json, args: Json): boolean | undefined {
  try {
    const verdict = fromJsonSchema(input as Parameters<typeof fromJsonSchema>[0])["~standard"].validate(args);
    return !(verdict instanceof Promise) && verdict.issues === undefined;
  } catch {
    return undefined;
  }
}

function exampleFor(operation: Operation, { input, examples, api }: Exampled): PlannedTool["example"] {
  const required = new Set(listOf(own(input, "required")));
  const isFitting = (args: Json): boolean => fits(input, args) === true;
  // An example of the document may not fit its own schema; then fewer are given.
  const least = Object.fromEntries(Object.entries(examples).filter(([key]) => required.has(key)));
  const args = [examples, least].find(isFitting);
  if (!args || JSON.stringify(args).length > 20_000) return undefined;
  const { answer } = operation;
  const status = answer?.status ?? 200;
  const isEmpty =
    status === 204 || status === 205 || answer?.mediaType === "" || answer === undefined || operation.method === "HEAD";
  if (isEmpty) return { arguments: args, answer: { status, mediaType: "", body: null } };
  const isJson = /[/+]json$/u.test(answer.mediaType);
  const body = answer.example ?? sampleOf(answer.schema, api.root);
  const text = typeof body === "string" ? body : JSON.stringify(body ?? "text");
  const kept =
    JSON.stringify(body ?? null).length > 20_000 || poisonIn(JSON.stringify(body ?? "")).length > 0
      ? { example: true }
      : (body ?? null);
  return {
    arguments: args,
    answer: isJson
      ? { status, mediaType: "application/json", body: kept }
      : { status, mediaType: "text/plain", body: text.slice(0, 2_000) },
  };
}

function* warningsAbout(base: URL, { all }: Ways): Generator<string> {
  if (base.protocol === "http:" && all.length > 0 && !isSecure(base))
    yield `The service is reached without encryption (${base.origin}): what you sign in with can be read on its way.`;
  if (
    /^(?:localhost$|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.)/u.test(base.hostname) ||
    base.hostname.endsWith(".local")
  )
    yield `The service is on this machine or network (${base.host}): a sandbox reaches it only because it is on the list.`;
}
