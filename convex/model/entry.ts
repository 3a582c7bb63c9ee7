/**
 * What registries say of MCP servers, in one shape: `server.json` of the official registry (schema 2025-12-11, and the older one with
 * underscores), which private ones and Nika speak too. Pure. Nothing of it is believed before the package itself was looked at.
 */

/** Something the owner fills in: an environment variable, a header, an argument, a part of an address. */
export type Input = {
  readonly name: string;
  readonly description?: string;
  readonly isRequired: boolean;
  readonly isSecret: boolean;
  readonly fallback?: string;
  readonly choices?: readonly string[];
};

/** A text with `{name}` where inputs go; `fills` says which. */
export type Template = { readonly text: string; readonly fills: readonly Input[] };
/** After the program: a flag, a value, or both. One whose value the owner leaves out is left out whole. */
export type Argument = { readonly flag?: string; readonly value?: Template };
export type Field = { readonly name: string; readonly value: Template };

export const packageTypes = ["npm", "pypi", "oci", "nuget", "cargo", "mcpb"] as const;
export type PackageType = (typeof packageTypes)[number];
/** What Nika can fetch, verify and hold in a sandbox. */
export const isInstallable = (type: PackageType): type is "npm" | "pypi" => type === "npm" || type === "pypi";

export type PackageOffer = {
  readonly type: PackageType;
  readonly identifier: string;
  readonly version: string;
  /** Of the file, in hex; must be checked when present. */
  readonly sha256?: string;
  readonly transport: "stdio" | "http" | "sse";
  readonly args: readonly Argument[];
  readonly env: readonly Field[];
};
export type RemoteOffer = { readonly type: "http" | "sse"; readonly url: Template; readonly headers: readonly Field[] };

export type Entry = {
  /** As the registry has it: `io.github.owner/server`. */
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  readonly version: string;
  readonly status: "active" | "deprecated" | "deleted";
  readonly publishedAt?: number;
  readonly updatedAt?: number;
  readonly isLatest: boolean;
  readonly repository?: string;
  readonly website?: string;
  readonly packages: readonly PackageOffer[];
  readonly remotes: readonly RemoteOffer[];
};

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

const textCharsMax = 2_000;
const nameCharsMax = 200;
const itemsMax = 64;

/** Reads `camelCase` and the older `snake_case`. */
function read(of: Json, key: string): unknown {
  return of[key] ?? of[key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}
function textOf(of: Json, key: string, max = textCharsMax): string | undefined {
  const value = read(of, key);
  return typeof value === "string" && value !== "" ? value.slice(0, max) : undefined;
}
function timeOf(of: Json, key: string): number | undefined {
  const at = Date.parse(textOf(of, key) ?? "");
  return Number.isNaN(at) ? undefined : at;
}

/**
 * One item of a list, or the answer to a question about one server. Undefined when it is nothing that could be installed or named: a broken
 * item must not spoil the page it is on.
 */
export function toEntry(item: unknown): Entry | undefined {
  if (!isObject(item)) return undefined;
  const server = isObject(item["server"]) ? item["server"] : item;
  const meta = metaOf(item, server);
  const [name, version] = [textOf(server, "name"), textOf(server, "version")];
  if (name === undefined || version === undefined || name.length > nameCharsMax || version.length > nameCharsMax)
    return undefined;
  const status = textOf(meta, "status") ?? textOf(server, "status");
  const [publishedAt, updatedAt] = [timeOf(meta, "publishedAt"), timeOf(meta, "updatedAt")];
  const [title, website] = [textOf(server, "title"), linkOf(textOf(server, "websiteUrl"))];
  const repository = isObject(server["repository"]) ? linkOf(textOf(server["repository"], "url")) : undefined;
  return {
    name,
    version,
    description: textOf(server, "description") ?? "",
    status: status === "deprecated" || status === "deleted" ? status : "active",
    isLatest: read(meta, "isLatest") !== false,
    packages: listOf(server["packages"]).slice(0, itemsMax).flatMap(toPackage),
    remotes: listOf(server["remotes"]).slice(0, itemsMax).flatMap(toRemote),
    ...(title !== undefined && { title }),
    ...(website !== undefined && { website }),
    ...(repository !== undefined && { repository }),
    ...(publishedAt !== undefined && { publishedAt }),
    ...(updatedAt !== undefined && { updatedAt }),
  };
}

/** What the registry adds, under its own key. */
function metaOf(item: Json, server: Json): Json {
  for (const holder of [item["_meta"], server["_meta"]])
    if (isObject(holder))
      for (const [key, value] of Object.entries(holder))
        if (key.startsWith("io.modelcontextprotocol.registry/") && isObject(value)) return value;
  return {};
}

/** Only what a browser may be sent to. */
export function linkOf(text: string | undefined): string | undefined {
  const url = text === undefined ? null : URL.parse(text);
  return url && /^https?:$/.test(url.protocol) ? url.href : undefined;
}

function toPackage(raw: Json): PackageOffer[] {
  const type = textOf(raw, "registryType") ?? textOf(raw, "registryName");
  const [identifier, version] = [textOf(raw, "identifier") ?? textOf(raw, "name"), textOf(raw, "version")];
  const sha256 = textOf(raw, "fileSha256");
  if (identifier === undefined || !packageTypes.includes(type as PackageType)) return [];
  const transport = isObject(raw["transport"]) ? textOf(raw["transport"], "type") : undefined;
  return [
    {
      type: type as PackageType,
      identifier,
      // An image says its version in its name.
      version: version ?? "",
      transport: transport === "sse" ? "sse" : transport === undefined || transport === "stdio" ? "stdio" : "http",
      args: listOf(read(raw, "packageArguments")).slice(0, itemsMax).flatMap(toArguments),
      env: listOf(read(raw, "environmentVariables")).slice(0, itemsMax).flatMap(toField),
      ...(sha256 !== undefined && /^[0-9a-f]{64}$/i.test(sha256) && { sha256: sha256.toLowerCase() }),
    },
  ];
}

function toRemote(raw: Json): RemoteOffer[] {
  const [type, url] = [textOf(raw, "type") ?? textOf(raw, "transportType"), textOf(raw, "url")];
  if (url === undefined || !/^https?:\/\//i.test(url)) return [];
  const headers = listOf(raw["headers"]).slice(0, itemsMax).flatMap(toField);
  return [{ type: type === "sse" ? "sse" : "http", url: toTemplate(url, raw["variables"]), headers }];
}

/** `value` is fixed, and may have holes; without it the owner gives the whole. */
function toField(raw: Json): Field[] {
  const name = textOf(raw, "name", nameCharsMax);
  if (name === undefined || !/^[\w.-]+$/.test(name)) return [];
  const fixed = textOf(raw, "value");
  return [
    {
      name,
      value:
        fixed === undefined ? whole(toInput(name, raw)) : toTemplate(fixed, raw["variables"], read(raw, "isSecret") === true),
    },
  ];
}

function toArguments(raw: Json): Argument[] {
  const name = textOf(raw, "name", nameCharsMax);
  const isNamed = textOf(raw, "type") === "named";
  const fixed = textOf(raw, "value");
  const input = toInput(((isNamed ? name : (textOf(raw, "valueHint") ?? name)) ?? "argument").replace(/^-+/, ""), raw);
  const flag = isNamed && name !== undefined ? { flag: name } : {};
  if (fixed !== undefined) return [{ ...flag, value: toTemplate(fixed, raw["variables"], input.isSecret) }];
  // A flag that takes no value: it is there, or it is not.
  if (isNamed && textOf(raw, "format") === "boolean") return input.fallback === "true" ? [flag] : [];
  return [{ ...flag, value: whole(input) }];
}

function toInput(name: string, raw: Json): Input {
  const [description, fallback] = [textOf(raw, "description"), textOf(raw, "default")];
  const choices = raw["choices"];
  return {
    name: name.slice(0, nameCharsMax),
    isRequired: read(raw, "isRequired") === true,
    isSecret: read(raw, "isSecret") === true,
    ...(description !== undefined && { description }),
    ...(fallback !== undefined && { fallback }),
    ...(Array.isArray(choices) && { choices: choices.filter((one) => typeof one === "string").slice(0, itemsMax) }),
  };
}

const whole = (input: Input): Template => ({ text: `{${input.name}}`, fills: [input] });

function toTemplate(text: string, variables: unknown, isSecret = false): Template {
  const known = isObject(variables) ? variables : {};
  const fills = [...text.matchAll(/\{([\w.-]+)\}/g)].map(([, name = ""]): Input => {
    const raw = known[name];
    const input = toInput(name, isObject(raw) ? raw : { isRequired: true });
    return isSecret ? { ...input, isSecret } : input;
  });
  return { text, fills };
}

// --- what the owner is asked

export type Offer =
  | { readonly type: "package"; readonly of: PackageOffer }
  | { readonly type: "remote"; readonly of: RemoteOffer };

/** What Nika takes of it: a package it can hold in a sandbox, else an address. Undefined when there is neither. */
export function pickOffer(entry: Pick<Entry, "packages" | "remotes">, wish?: "package" | "remote"): Offer | undefined {
  const found = entry.packages.find(
    ({ type, transport, version }) => isInstallable(type) && transport === "stdio" && version !== "",
  );
  const remote = entry.remotes.find(({ type }) => type === "http") ?? entry.remotes[0];
  if (found && wish !== "remote") return { type: "package", of: found };
  if (remote && wish !== "package") return { type: "remote", of: remote };
  return undefined;
}

/** Each once, in the order in which they are asked for. */
export function inputsOf(offer: Offer): Input[] {
  const templates =
    offer.type === "package"
      ? [...offer.of.env.map(({ value }) => value), ...offer.of.args.flatMap(({ value }) => value ?? [])]
      : [offer.of.url, ...offer.of.headers.map(({ value }) => value)];
  return [...new Map(templates.flatMap(({ fills }) => fills).map((input) => [input.name, input])).values()];
}

/** Where a secret of a server is kept; what is not allowed in names of secrets becomes a hyphen. */
export const secretNameOf = (alias: string, input: string): string =>
  `${alias.replace(/^[^a-z]/i, "s$&")}.${input.replace(/[^A-Za-z0-9._-]/g, "-")}`.slice(0, 64);

/** From a registry's name to one that can be part of tools' names: the last part, without what says only that it is a server. */
export function aliasOf(name: string): string {
  const last = name.split(/[/:]/).findLast((part) => part !== "") ?? name;
  const plain = last
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^(?:mcp-server|server|mcp)-|-(?:mcp-server|server|mcp)$/g, "")
    .slice(0, 20)
    .replace(/^-+|-+$/g, "");
  return plain === "" ? "server" : plain;
}

// --- said by us, in the words of the API

const inputJson = ({ isRequired, isSecret, fallback, choices, description }: Input): object => ({
  isRequired,
  isSecret,
  ...(description !== undefined && { description }),
  ...(fallback !== undefined && { default: fallback }),
  ...(choices && { choices }),
});

/** A value with holes, or the hole itself where it is nothing else. */
function templateJson({ text, fills }: Template): object {
  const [only] = fills;
  if (fills.length === 1 && only && text === `{${only.name}}`) return inputJson(only);
  return {
    value: text,
    ...(fills.length > 0 && { variables: Object.fromEntries(fills.map((one) => [one.name, inputJson(one)])) }),
  };
}
const fieldJson = ({ name, value }: Field): object => ({ name, ...templateJson(value) });

/** An item of a list as registries give it. `more` is what ours adds under its own key. */
export function fromEntry(entry: Entry, more: Readonly<Record<string, unknown>> = {}): object {
  const { name, title, description, version, status, publishedAt, updatedAt, isLatest, repository, website, packages, remotes } =
    entry;
  const at = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : new Date(ms).toISOString());
  return {
    server: {
      $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
      name,
      ...(title !== undefined && { title }),
      description,
      version,
      ...(repository !== undefined && {
        repository: { url: repository, source: URL.parse(repository)?.host.split(".")[0] ?? "git" },
      }),
      ...(website !== undefined && { websiteUrl: website }),
      ...(packages.length > 0 && {
        packages: packages.map(({ type, identifier, version: its, sha256, transport, args, env }) => ({
          registryType: type,
          identifier,
          version: its,
          ...(sha256 !== undefined && { fileSha256: sha256 }),
          transport: { type: transport === "http" ? "streamable-http" : transport },
          ...(args.length > 0 && {
            packageArguments: args.map(({ flag, value }) => ({
              type: flag === undefined ? "positional" : "named",
              ...(flag === undefined ? value?.fills[0] && { valueHint: value.fills[0].name } : { name: flag }),
              ...(value ? templateJson(value) : { format: "boolean", default: "true" }),
            })),
          }),
          ...(env.length > 0 && { environmentVariables: env.map(fieldJson) }),
        })),
      }),
      ...(remotes.length > 0 && {
        remotes: remotes.map(({ type, url, headers }) => ({
          type: type === "http" ? "streamable-http" : "sse",
          url: url.text,
          ...(url.fills.length > 0 && { variables: Object.fromEntries(url.fills.map((one) => [one.name, inputJson(one)])) }),
          ...(headers.length > 0 && { headers: headers.map(fieldJson) }),
        })),
      }),
    },
    _meta: {
      "io.modelcontextprotocol.registry/official": { status, publishedAt: at(publishedAt), updatedAt: at(updatedAt), isLatest },
      ...more,
    },
  };
}
