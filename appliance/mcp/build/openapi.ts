/** An OpenAPI 3.1 document as a service. Nothing is fetched: what points elsewhere is told and left out. */
import { findRate, places, type Answer, type Api, type Body, type Operation, type Parameter, type Scheme } from "./api.ts";
import type { ApiDocument } from "./document.ts";
import { entriesOf, isObject, listOf, own, textOf, type Json } from "./json.ts";
import { followed } from "./schema.ts";

const methods = ["get", "head", "post", "put", "patch", "delete", "options"] as const;
/** Beyond this nobody reads the plan. */
const operationsMax = 20_000;
const notesMax = 200;
/** Which way of writing a body is taken where there are several. */
const bodyOrder = [
  /^application\/json/u,
  /^application\/[\w.+-]*json/u,
  /^application\/x-www-form-urlencoded/u,
  /^multipart\/form-data/u,
  /^text\//u,
  /./u,
];

/** `from` is where the document stands, for relative addresses; undefined for one that was pasted. */
export function toApi({ root, was }: Extract<ApiDocument, { type: "openapi" }>, from: URL | undefined): Api {
  const notes = new Set<string>();
  const told = (note: string): void => void (notes.size < notesMax && notes.add(note));
  const info = own(root, "info");
  const servers = serversOf(own(root, "servers"), from, told);
  const schemes = schemesOf(root, from, told);
  const operations: Operation[] = [];
  for (const [path, raw] of entriesOf(own(root, "paths"))) {
    const item = followed(root, raw);
    if (!item) {
      told(`${path.slice(0, 100)}: it stands in another document, which is not fetched.`);
      continue;
    }
    for (const method of methods) {
      const operation = own(item, method);
      if (!isObject(operation)) continue;
      if (operations.length >= operationsMax) {
        told(`More than ${operationsMax} operations; the rest was not read.`);
        break;
      }
      const made = toOperation({ root, item, operation, path, method, from, told });
      if (made) operations.push(made);
    }
  }
  if (isObject(own(root, "webhooks"))) told("Its webhooks are calls the service makes; tools are for calls to it.");
  return {
    kind: was.startsWith("2") ? "swagger" : "openapi",
    title: textOf(own(info, "title")) ?? "",
    about: textOf(own(info, "summary")) ?? textOf(own(info, "description")) ?? "",
    version: textOf(own(info, "version")) ?? "",
    servers,
    schemes,
    operations,
    perMinute: findRate(textOf(own(info, "description")) ?? ""),
    notes: [...notes],
    root,
  };
}

type Told = (note: string) => void;

/** Variables take their default, as the specification has it. */
function serversOf(value: unknown, from: URL | undefined, told: Told): string[] {
  const found: string[] = [];
  for (const server of listOf(value).slice(0, 20)) {
    const template = textOf(own(server, "url"));
    if (template === undefined || template.length > 500) continue;
    const filled = template.replace(/\{([^{}]{1,60})\}/gu, (_whole, name: string) => {
      const variable = own(own(server, "variables"), name);
      const fallback = own(variable, "default") ?? listOf(own(variable, "enum"))[0];
      return typeof fallback === "string" || typeof fallback === "number" ? String(fallback) : "";
    });
    const url = URL.parse(filled, from?.href);
    if (url && /^https?:$/u.test(url.protocol)) {
      if (template !== filled) told(`The server's address ${template} was taken as ${url.href}; say another with --server.`);
      found.push(url.href);
    } else told(`The server's address ${template.slice(0, 100)} is not whole; say one with --server.`);
  }
  return found;
}

function schemesOf(root: Json, from: URL | undefined, told: Told): Map<string, Scheme> {
  const schemes = new Map<string, Scheme>();
  for (const [name, raw] of entriesOf(own(own(root, "components"), "securitySchemes")).slice(0, 50)) {
    const scheme = followed(root, raw);
    if (scheme) schemes.set(name, toScheme(scheme, { name, from, told }));
  }
  return schemes;
}

function toScheme(
  scheme: Json,
  { name, from, told }: { readonly name: string; readonly from: URL | undefined; readonly told: Told },
): Scheme {
  const type = own(scheme, "type");
  if (type === "apiKey") {
    const at = own(scheme, "in");
    const parameter = textOf(own(scheme, "name"));
    if (parameter !== undefined && (at === "header" || at === "query" || at === "cookie"))
      return { kind: "apiKey", in: at, parameter };
  }
  if (type === "http") {
    const way = String(own(scheme, "scheme")).toLowerCase();
    if (way === "bearer" || way === "basic") return { kind: way };
    return { kind: "unknown", what: `HTTP ${way.slice(0, 30)}` };
  }
  if (type === "oauth2") {
    const flows = own(scheme, "flows");
    const code = own(flows, "authorizationCode");
    // The implicit flow is given up by OAuth 2.1; its page usually takes codes as well, but where tokens come from it does not say.
    const flow = isObject(code) ? code : (own(flows, "clientCredentials") ?? own(flows, "password"));
    const tokenUrl = addressOf(own(flow, "tokenUrl"), from);
    if (tokenUrl !== undefined)
      return {
        kind: "oauth2",
        authorizationUrl: isObject(code) ? addressOf(own(code, "authorizationUrl"), from) : undefined,
        tokenUrl,
        scopes: entriesOf(own(flow, "scopes")).map(([scope]) => scope),
      };
    told(`The way in "${name.slice(0, 60)}" is OAuth without an address for tokens; a token of yours is taken instead.`);
    return { kind: "bearer" };
  }
  if (type === "openIdConnect") {
    told(
      `The way in "${name.slice(0, 60)}" is OpenID Connect, whose addresses are elsewhere; a token of yours is taken instead.`,
    );
    return { kind: "bearer" };
  }
  return { kind: "unknown", what: String(type).slice(0, 30) };
}

function addressOf(value: unknown, from: URL | undefined): string | undefined {
  const url = typeof value === "string" ? URL.parse(value, from?.href) : null;
  return url && /^https?:$/u.test(url.protocol) ? url.href : undefined;
}

type Found = {
  readonly root: Json;
  readonly item: Json;
  readonly operation: Json;
  readonly path: string;
  readonly method: string;
  readonly from: URL | undefined;
  readonly told: Told;
};

function toOperation({ root, item, operation, path, method, from, told }: Found): Operation | undefined {
  const at = `${method.toUpperCase()} ${path.slice(0, 100)}`;
  const parameters = new Map<string, Parameter>();
  for (const raw of [...listOf(own(item, "parameters")), ...listOf(own(operation, "parameters"))].slice(0, 200)) {
    const parameter = followed(root, raw);
    const name = textOf(own(parameter, "name"));
    const place = places.find((one) => one === own(parameter, "in"));
    if (!parameter || name === undefined || place === undefined) {
      told(`${at}: a parameter was left out, because it stands elsewhere or has no name or place.`);
      continue;
    }
    // What OpenAPI says elsewhere does not count here.
    if (place === "header" && /^(?:accept|content-type|authorization)$/iu.test(name)) continue;
    parameters.set(`${place} ${name}`, toParameter(root, parameter, { name, place }));
  }
  const raw = own(operation, "requestBody");
  const body =
    raw === undefined || method === "get" || method === "head" ? undefined : toBody(root, followed(root, raw), at, told);
  const security = own(operation, "security") ?? own(root, "security");
  const server = serversOf(own(operation, "servers") ?? own(item, "servers"), from, told)[0];
  return {
    method: method.toUpperCase(),
    path,
    ...(server !== undefined && { server }),
    id: textOf(own(operation, "operationId")),
    group: textOf(listOf(own(operation, "tags"))[0]) ?? groupOf(path),
    summary: textOf(own(operation, "summary")) ?? textOf(own(item, "summary")) ?? "",
    description: textOf(own(operation, "description")) ?? textOf(own(item, "description")) ?? "",
    isDeprecated: own(operation, "deprecated") === true,
    parameters: [...parameters.values()],
    body,
    security: listOf(security).map((one) =>
      entriesOf(one).map(([scheme, scopes]) => ({ scheme, scopes: listOf(scopes).filter((scope) => typeof scope === "string") })),
    ),
    answer: toAnswer(root, own(operation, "responses")),
  };
}

/** The first part of a path that says something: "/api/v2/pets/{id}" is about pets. */
export function groupOf(path: string): string {
  const isTelling = (part: string): boolean => part !== "" && !part.includes("{") && !/^(?:api|v\d[\d.]*|rest)$/iu.test(part);
  return path.split("/").find(isTelling) ?? "other";
}

function toParameter(
  root: Json,
  parameter: Json,
  { name, place }: { readonly name: string; readonly place: Parameter["in"] },
): Parameter {
  const [media] = entriesOf(own(parameter, "content"));
  const style = textOf(own(parameter, "style")) ?? (place === "query" || place === "cookie" ? "form" : "simple");
  const explode = own(parameter, "explode");
  const example = exampleOf(root, parameter) ?? (media && exampleOf(root, media[1]));
  return {
    name,
    in: place,
    isRequired: place === "path" || own(parameter, "required") === true,
    description: textOf(own(parameter, "description")) ?? "",
    schema: own(parameter, "schema") ?? (media && own(media[1], "schema")) ?? {},
    style,
    isExploded: typeof explode === "boolean" ? explode : style === "form",
    isJson: media !== undefined && media[0].includes("json"),
    ...(example !== undefined && { example }),
  };
}

function toBody(root: Json, body: Json | undefined, at: string, told: Told): Body | undefined {
  const kinds = entriesOf(own(body, "content"));
  const chosen = bodyOrder.map((order) => kinds.find(([mediaType]) => order.test(mediaType.toLowerCase()))).find(Boolean);
  if (!body || !chosen) {
    told(`${at}: what it is to be sent could not be understood.`);
    return undefined;
  }
  const [mediaType, media] = chosen;
  const example = exampleOf(root, media);
  return {
    mediaType: (mediaType.split(";")[0] ?? "").trim().toLowerCase(),
    isRequired: own(body, "required") === true,
    description: textOf(own(body, "description")) ?? "",
    schema: own(media, "schema") ?? {},
    ...(example !== undefined && { example }),
  };
}

function toAnswer(root: Json, responses: unknown): Answer | undefined {
  const [status, raw] =
    entriesOf(responses).find(([code]) => /^2\d\d$/u.test(code)) ??
    entriesOf(responses).find(([code]) => /^2XX$/iu.test(code)) ??
    [];
  if (status === undefined) return undefined;
  const response = followed(root, raw);
  const kinds = entriesOf(own(response, "content"));
  const [mediaType, media] = kinds.find(([kind]) => kind.includes("json")) ?? kinds[0] ?? ["", undefined];
  const example = exampleOf(root, media);
  return {
    status: /^\d+$/u.test(status) ? Number(status) : 200,
    mediaType: (mediaType.split(";")[0] ?? "").trim().toLowerCase(),
    schema: own(media, "schema"),
    ...(example !== undefined && { example }),
  };
}

function exampleOf(root: Json, holder: unknown): unknown {
  const plain = own(holder, "example");
  if (plain !== undefined) return plain;
  const [first] = entriesOf(own(holder, "examples"));
  return first === undefined ? undefined : own(followed(root, first[1]), "value");
}
