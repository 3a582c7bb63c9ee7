/** From a service to a plan: which tools, with which names and rights, and what the owner should know. */
import { fromJsonSchema } from "@modelcontextprotocol/server";
import { NikaError } from "../../../convex/model/error.ts";
import { toAlias, type ToolClass } from "../../../convex/model/server.ts";
import type { Api, Operation, Parameter } from "./api.ts";
import { bodyExample, bodyOf, bodySchema, toPlannedBody } from "./body.ts";
import { listOf, own, type Json } from "./json.ts";
import { styles, type LeftGroup, type Plan, type PlannedParameter, type PlannedTool } from "./plan.ts";
import { sampleOf } from "./sample.ts";
import { openSchemas } from "./schema.ts";
import { isOfAuth, isScope, toAuth, warningsAbout, waysOf, type Ways } from "./ways.ts";
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
