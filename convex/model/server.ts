/** MCP servers as the owner declares them, in the shapes that other programs write too. Pure: files are read elsewhere. */
import { NikaError } from "./error.ts";

export type StdioTransport = {
  readonly type: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
};
export type HttpTransport = {
  /** `sse` is the transport of before 2025-03-26. */
  readonly type: "http" | "sse";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly oauth?: OAuthWish;
};
/** What its sign-in needs that cannot be found out: as whom Nika is registered there already. Keys are references until they are used. */
export type OAuthWish = {
  /**
   * Who signs in: the owner in a browser; a program by its own key; whom the firm's sign-in knows (`idToken`, exchanged there); a workload by what its
   * platform says of it (`assertion`).
   */
  readonly grant: "authorization_code" | "client_credentials" | "enterprise" | "workload";
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** Signs in the place of a secret, in PEM, with `algorithm` (ES256 unless said). */
  readonly privateKey?: string;
  readonly algorithm?: string;
  /** The one sign-in that keys and words are shown to; without it, whichever the server names. */
  readonly issuer?: string;
  /** Of `enterprise`: the firm's sign-in (or where it gives tokens, when it does not say so itself), as whom Nika is known there, and its word on who asks. */
  readonly idpUrl?: string;
  readonly idpTokenUrl?: string;
  readonly idpClientId?: string;
  readonly idpClientSecret?: string;
  readonly idToken?: string;
  /** Of `workload`: a JWT that the platform signed. */
  readonly assertion?: string;
  readonly scope?: string;
};

/** What its sandbox allows. Sizes in bytes. */
export type SandboxWish = {
  readonly runtime: "auto" | "runc" | "gvisor" | "kata";
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly processesMax: number;
  readonly tmpBytes: number;
  /** Of a folder that outlives it, /data; none when absent. */
  readonly storageBytes?: number;
  /** Exact `host:port`. */
  readonly egress: readonly string[];
  /** Folders or files it may read, at the same path inside. */
  readonly mounts: readonly string[];
};

export const toolClasses = ["read", "write", "destructive"] as const;
export type ToolClass = (typeof toolClasses)[number];
export type ToolPolicy = {
  readonly class?: ToolClass;
  readonly approval?: "never" | "ask" | "refuse";
  /** What its results are; see taint.ts. */
  readonly labels?: readonly ("private" | "untrusted")[];
  /** What becomes of a call that could carry private content out for somebody else; `ask` unless said. */
  readonly tainted?: "never" | "ask" | "refuse";
};

export type ServerConfig = {
  /** Part of its tools' names: at most 20 of `a-z0-9-`. */
  readonly name: string;
  /** The file that says so. */
  readonly origin: string;
  readonly transport: StdioTransport | HttpTransport;
  readonly sandbox: SandboxWish;
  /** Longest a call may take without a sign of life, and in all. */
  readonly callMs: number;
  readonly callMsMax: number;
  /** False: its tools keep their own names. */
  readonly isPrefixed: boolean;
  /** Each conversation of the era with handshakes has one to itself, also when it can answer no questions. */
  readonly hasOwnSessions: boolean;
  /** By the tool's own name; `*` is for the rest. */
  readonly policy: Readonly<Record<string, ToolPolicy>>;
  readonly callsPerHour: number | undefined;
  /** A larger answer is not handed on. */
  readonly resultBytesMax: number;
  /** What a call costs, by the tool's own name; `*` is for the rest. In whatever the owner counts in. */
  readonly price: Readonly<Record<string, number>>;
  /** Whether what it answers is kept, to be answered again without it. */
  readonly isRecorded: boolean;
};

/** What is wrong with a file, or with one of its servers; `key` says where in it. */
export type ConfigProblem = {
  readonly file: string;
  readonly key: string;
  readonly server: string | undefined;
  readonly message: string;
};
/** Declared, and turned off by its owner. */
export type OffServer = { readonly name: string; readonly origin: string };
export type ParsedServers = {
  readonly servers: readonly ServerConfig[];
  readonly problems: readonly ConfigProblem[];
  readonly off: readonly OffServer[];
};

const mebibyte = 1024 * 1024;
/** A Node server takes some 80 MB; 256 MiB is what the sandboxes of others give. */
export const sandboxDefault: SandboxWish = {
  runtime: "auto",
  memoryBytes: 256 * mebibyte,
  cpus: 0.5,
  processesMax: 128,
  tmpBytes: 64 * mebibyte,
  egress: [],
  mounts: [],
};
export const callMsDefault = 30_000;
/** What a server over a pipe can say at once is 10 MB; a model reads far less. */
export const resultBytesDefault = 4 * mebibyte;
const callMsCeiling = 60 * 60_000;
export const aliasCharsMax = 20;

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads one file's text. Both `{"mcpServers": {...}}` and the flat `{"name": {...}}` are understood. A file that is no JSON is one
 * problem under the key ""; a server with a mistake is left out, and each mistake is told with its key.
 */
export function parseServers(text: string, file: string): ParsedServers {
  const servers: ServerConfig[] = [];
  const problems: ConfigProblem[] = [];
  const off: OffServer[] = [];
  const byAlias = new Map<string, string>();
  for (const [key, value] of entriesOf(text, file, problems)) {
    const path = key;
    const name = toAlias(key);
    const problem = (at: string, message: string): undefined => {
      problems.push({ file, key: at === "" ? path : `${path}.${at}`, server: name, message });
    };
    if (name === undefined) {
      problem("", `"${key}" cannot be part of a tool's name; use 1 to ${aliasCharsMax} letters, digits and hyphens.`);
      continue;
    }
    const taken = byAlias.get(name);
    if (taken !== undefined) {
      problem("", `"${key}" and "${taken}" would both be "${name}"; rename one.`);
      continue;
    }
    byAlias.set(name, key);
    if (!isObject(value)) {
      problem("", "A server is an object with a command or a url.");
      continue;
    }
    if (value["disabled"] === true || value["enabled"] === false) {
      off.push({ name, origin: file });
      continue;
    }
    const before = problems.length;
    const config = toConfig(value, { name, origin: file, problem });
    if (config && problems.length === before) servers.push(config);
  }
  return { servers, problems, off };
}

/** Files in order, the later ones win. What a later file says wrongly about a server does not bring the earlier one's back. */
export function joinServers(files: readonly ParsedServers[]): ParsedServers {
  const servers = new Map<string, ServerConfig>();
  const off = new Map<string, OffServer>();
  for (const parsed of files) {
    for (const { server } of parsed.problems) if (server !== undefined) servers.delete(server);
    for (const one of parsed.servers) {
      servers.set(one.name, one);
      off.delete(one.name);
    }
    // An earlier file's declaration of one that is turned off here stands: who wrote it did not turn it off.
    for (const one of parsed.off) if (!servers.has(one.name)) off.set(one.name, one);
  }
  return { servers: [...servers.values()], problems: files.flatMap(({ problems }) => problems), off: [...off.values()] };
}

export type ReloadPlan = {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly kept: readonly string[];
};

/** What has to happen to come from one set of servers to another, by hashes. Servers in `broken` stay as they are. */
export function planReload(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  broken: ReadonlySet<string>,
): ReloadPlan {
  const plan = { added: [] as string[], changed: [] as string[], removed: [] as string[], kept: [] as string[] };
  for (const [name, hash] of after) {
    const old = before.get(name);
    (old === undefined ? plan.added : old === hash ? plan.kept : plan.changed).push(name);
  }
  for (const name of before.keys()) if (!after.has(name)) (broken.has(name) ? plan.kept : plan.removed).push(name);
  return plan;
}

/** Lower case, with hyphens; undefined when nothing usable is left. */
export function toAlias(key: string): string | undefined {
  const alias = key
    .toLowerCase()
    .replace(/[\s._/@]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(alias) && alias.length <= aliasCharsMax ? alias : undefined;
}

function entriesOf(text: string, file: string, problems: ConfigProblem[]): [string, unknown][] {
  if (text.trim() === "") return [];
  let root: unknown;
  try {
    root = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    problems.push({ file, key: "", server: undefined, message: `It is not JSON: ${message}` });
    return [];
  }
  if (!isObject(root)) {
    problems.push({ file, key: "", server: undefined, message: "It must be an object of servers." });
    return [];
  }
  const nested = root["mcpServers"];
  if (nested === undefined) return Object.entries(root).filter(([key]) => !key.startsWith("$"));
  if (isObject(nested)) return Object.entries(nested);
  problems.push({ file, key: "mcpServers", server: undefined, message: "It must be an object of servers." });
  return [];
}

/** Returns undefined, so that it can end a reading. */
type Problem = (key: string, message: string) => undefined;

function toConfig(
  value: Json,
  { name, origin, problem }: { readonly name: string; readonly origin: string; readonly problem: Problem },
): ServerConfig | undefined {
  const transport = toTransport(value, problem);
  if (!transport) return undefined;
  const sandbox = toSandbox(value["sandbox"], problem);
  const resources = isObject(value["sandbox"]) && isObject(value["sandbox"]["resources"]) ? value["sandbox"]["resources"] : {};
  const timeout =
    value["timeout"] ?? (isObject(value["sandbox"]) ? value["sandbox"]["timeout"] : undefined) ?? resources["timeout"];
  const callMs = timeout === undefined ? callMsDefault : toMs(timeout);
  if (callMs === undefined || callMs < 100 || callMs > callMsCeiling)
    problem("timeout", 'It must be a time such as "30s" or a number of milliseconds, an hour at most.');
  const callsPerHour = isObject(value["budget"]) ? value["budget"]["callsPerHour"] : undefined;
  if (callsPerHour !== undefined && !(Number.isInteger(callsPerHour) && (callsPerHour as number) > 0))
    problem("budget.callsPerHour", "It must be a whole number from 1.");
  const resultBytes = isObject(value["budget"]) ? value["budget"]["resultBytes"] : undefined;
  const resultBytesMax = resultBytes === undefined ? resultBytesDefault : toBytes(resultBytes);
  if (resultBytesMax === undefined || resultBytesMax < 1024) problem("budget.resultBytes", 'It must be a size such as "4Mi".');
  if (value["record"] !== undefined && typeof value["record"] !== "boolean") problem("record", "It must be true or false.");
  if (![undefined, "own", "shared"].includes(value["sessions"] as undefined))
    problem("sessions", 'It must be "own" or "shared".');
  const expose = isObject(value["expose"]) ? value["expose"] : {};
  return {
    name,
    origin,
    transport,
    sandbox,
    callMs: callMs ?? callMsDefault,
    callMsMax: Math.max(10 * 60_000, callMs ?? 0),
    isPrefixed: expose["prefix"] !== false,
    hasOwnSessions: value["sessions"] === "own",
    policy: toPolicy(value["policy"], problem),
    callsPerHour: callsPerHour as number | undefined,
    resultBytesMax: resultBytesMax ?? resultBytesDefault,
    price: toPrice(value["price"], problem),
    isRecorded: value["record"] === true,
  };
}

function toPrice(value: unknown, problem: Problem): Record<string, number> {
  if (value === undefined) return {};
  const prices = typeof value === "number" ? { "*": value } : isObject(value) ? value : { "*": value };
  const isPrice = (one: unknown): one is number => typeof one === "number" && Number.isFinite(one) && one >= 0;
  const entries = Object.entries(prices);
  if (!entries.every(([, one]) => isPrice(one))) {
    problem("price", 'It must be what a call costs, such as 0.01, or by tool: {"search": 0.01}.');
    return {};
  }
  return Object.fromEntries(entries) as Record<string, number>;
}

function toTransport(value: Json, problem: Problem): ServerConfig["transport"] | undefined {
  const { command, url, type } = value;
  if (type !== undefined && !["stdio", "http", "streamable-http", "streamableHttp", "sse"].includes(type as string))
    return problem("type", `${JSON.stringify(type)} is no transport Nika speaks; it is stdio, http or sse.`);
  if (typeof url === "string" && command === undefined) {
    const headers = toTexts(value["headers"], "headers", problem);
    const parsed = URL.parse(url.replace(/\$\{[^}]*\}/g, "x"));
    if (!parsed || !/^https?:$/.test(parsed.protocol)) problem("url", `"${url}" is no http or https address.`);
    if (parsed && (parsed.username !== "" || parsed.password !== ""))
      problem("url", "It holds a name or password; put them into a header as ${VAR} or ${secret:NAME}.");
    for (const [key, text] of parsed?.searchParams ?? [])
      if (isSecretName(key) && text !== "x") problem("url", `The parameter "${key}" looks like a secret; write \${VAR} instead.`);
    noSecretReference(url, "url", problem);
    for (const [key, text] of Object.entries(headers)) checkLiteral({ key: `headers.${key}`, name: key, text }, problem);
    const oauth = toOAuth(value["oauth"], problem);
    return { type: type === "sse" ? "sse" : "http", url, headers, ...(oauth && { oauth }) };
  }
  if (typeof command !== "string" || command.trim() === "") return problem("command", "It has neither a command nor a url.");
  if (url !== undefined) return problem("url", "It has both a command and a url; only one can be meant.");
  const args = value["args"] ?? [];
  if (!Array.isArray(args) || !args.every((one): one is string => typeof one === "string"))
    return problem("args", "It must be a list of texts.");
  const env = toTexts(value["env"], "env", problem);
  const { cwd } = value;
  if (cwd !== undefined && typeof cwd !== "string") problem("cwd", "It must be a text.");
  noSecretReference(command, "command", problem);
  args.forEach((text, index) => {
    noSecretReference(text, `args[${index}]`, problem);
    const [flag, inline] = text.split("=", 2);
    const before = args[index - 1] ?? "";
    const named = inline === undefined ? (before.startsWith("-") ? before : "") : (flag ?? "");
    checkLiteral({ key: `args[${index}]`, name: named, text: inline ?? text }, problem);
  });
  for (const [key, text] of Object.entries(env)) checkLiteral({ key: `env.${key}`, name: key, text }, problem);
  return { type: "stdio", command, args, env, ...(typeof cwd === "string" && { cwd }) };
}

const oauthSecrets = ["clientSecret", "privateKey", "idpClientSecret", "idToken", "assertion"];
const oauthKeys = ["grant", "clientId", "algorithm", "issuer", "idpUrl", "idpTokenUrl", "idpClientId", "scope", ...oauthSecrets];
/** What signing in without anybody at a browser takes. */
const oauthNeeds: Readonly<Record<OAuthWish["grant"], readonly string[]>> = {
  authorization_code: [],
  client_credentials: ["clientId"],
  enterprise: ["clientId", "clientSecret", "idpClientId", "idToken"],
  workload: ["clientId", "assertion"],
};
const isGrant = (text: string): text is OAuthWish["grant"] => Object.hasOwn(oauthNeeds, text);

function toOAuth(value: unknown, problem: Problem): OAuthWish | undefined {
  if (value === undefined) return undefined;
  const wish = toTexts(value, "oauth", problem);
  const { grant = "authorization_code" } = wish;
  const unknown = Object.keys(wish).find((key) => !oauthKeys.includes(key));
  if (unknown !== undefined) return problem(`oauth.${unknown}`, `It is none of ${oauthKeys.join(", ")}.`);
  if (!isGrant(grant)) return problem("oauth.grant", `It must be one of ${Object.keys(oauthNeeds).join(", ")}.`);
  const missing = oauthNeeds[grant].filter((key) => wish[key] === undefined);
  if (missing.length > 0) return problem("oauth", `To sign in as ${grant} it needs ${missing.join(", ")} too.`);
  if (grant === "client_credentials" && (wish["clientSecret"] ?? wish["privateKey"]) === undefined)
    return problem("oauth", "To sign in by itself it needs a clientId and a clientSecret or privateKey.");
  if (grant === "enterprise" && (wish["idpUrl"] ?? wish["idpTokenUrl"]) === undefined)
    return problem("oauth", "To sign in as enterprise it needs the idpUrl of the firm's sign-in, or its idpTokenUrl.");
  for (const key of ["issuer", "idpUrl", "idpTokenUrl"])
    if (wish[key] !== undefined && !/^https?:$/.test(URL.parse(wish[key])?.protocol ?? ""))
      return problem(`oauth.${key}`, "It must be the address of a sign-in.");
  for (const key of oauthSecrets) {
    const text = wish[key];
    if (text !== undefined && text.replace(referencePattern, "") !== "")
      problem(`oauth.${key}`, "Write ${VAR} or ${secret:NAME} here, and keep the secret itself out of the file.");
  }
  noSecretReference(wish["clientId"] ?? "", "oauth.clientId", problem);
  return { ...wish, grant };
}

function toTexts(value: unknown, key: string, problem: Problem): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) {
    problem(key, "It must be an object of texts.");
    return {};
  }
  const texts: Record<string, string> = {};
  for (const [name, text] of Object.entries(value)) {
    if (typeof text === "string") texts[name] = text;
    else if (typeof text === "number" || typeof text === "boolean") texts[name] = String(text);
    else problem(`${key}.${name}`, "It must be a text.");
  }
  return texts;
}

const runtimes = ["auto", "runc", "gvisor", "kata"] as const;

function toSandbox(value: unknown, problem: Problem): SandboxWish {
  if (value === undefined) return sandboxDefault;
  if (!isObject(value)) {
    problem("sandbox", "It must be an object.");
    return sandboxDefault;
  }
  const network = isObject(value["network"]) ? value["network"] : {};
  const resources = isObject(value["resources"]) ? value["resources"] : {};
  const filesystem = isObject(value["filesystem"]) ? value["filesystem"] : {};
  if (network["allow_outbound"] === true)
    problem(
      "sandbox.network.allow_outbound",
      'Nothing may reach everything; list what it may reach, such as "api.github.com:443".',
    );
  if (filesystem["read_only"] === false)
    problem(
      "sandbox.filesystem.read_only",
      "A sandbox's files are always read-only; it writes to /tmp, and with `storage` to /data.",
    );
  const runtime = value["runtime"] ?? "auto";
  if (!runtimes.includes(runtime as SandboxWish["runtime"]))
    problem("sandbox.runtime", `It must be one of ${runtimes.join(", ")}, not ${JSON.stringify(runtime)}.`);
  const egress = value["egress"] ?? network["allowlist"] ?? [];
  if (!isTextList(egress) || !egress.every((one) => /^[a-z0-9.-]+:\d{1,5}$/i.test(one)))
    problem("sandbox.egress", 'It must be a list of "host:port".');
  const mounts = value["mounts"] ?? [];
  if (!isTextList(mounts) || !mounts.every((one) => one.startsWith("/") || one.startsWith("${")))
    problem("sandbox.mounts", "It must be a list of whole paths.");
  const size = (key: string, raw: unknown, fallback: number): number => {
    const bytes = raw === undefined ? fallback : toBytes(raw);
    if (bytes === undefined || bytes < mebibyte) problem(`sandbox.${key}`, 'It must be a size such as "256Mi".');
    return bytes ?? fallback;
  };
  const cpus = value["cpus"] ?? resources["cpu_limit"] ?? sandboxDefault.cpus;
  if (typeof cpus !== "number" || !(cpus > 0 && cpus <= 64))
    problem("sandbox.cpus", "It must be a number of processors such as 0.5.");
  const processesMax = value["pids"] ?? sandboxDefault.processesMax;
  if (!Number.isInteger(processesMax) || (processesMax as number) < 1)
    problem("sandbox.pids", "It must be a whole number from 1.");
  const storage = value["storage"];
  return {
    runtime: runtime as SandboxWish["runtime"],
    memoryBytes: size("memory", value["memory"] ?? resources["memory_limit"], sandboxDefault.memoryBytes),
    cpus: cpus as number,
    processesMax: processesMax as number,
    tmpBytes: size("tmp", value["tmp"], sandboxDefault.tmpBytes),
    ...(storage !== undefined && { storageBytes: size("storage", storage, mebibyte) }),
    egress: isTextList(egress) ? egress : [],
    mounts: isTextList(mounts) ? mounts : [],
  };
}

function toPolicy(value: unknown, problem: Problem): Record<string, ToolPolicy> {
  if (value === undefined) return {};
  const tools = isObject(value) && isObject(value["tools"]) ? value["tools"] : value;
  const policy: Record<string, ToolPolicy> = {};
  if (!isObject(tools)) {
    problem("policy", 'It must be an object such as {"delete_file": {"approval": "ask"}}.');
    return policy;
  }
  for (const [tool, wish] of Object.entries(tools)) {
    const { class: toolClass, approval, labels, tainted } = isObject(wish) ? wish : {};
    if (!isObject(wish)) problem(`policy.${tool}`, "It must be an object.");
    else if (toolClass !== undefined && !toolClasses.includes(toolClass as ToolClass))
      problem(`policy.${tool}.class`, `It must be one of ${toolClasses.join(", ")}.`);
    else if (approval !== undefined && !["never", "ask", "refuse"].includes(approval as string))
      problem(`policy.${tool}.approval`, "It must be never, ask or refuse.");
    else if (tainted !== undefined && !["never", "ask", "refuse"].includes(tainted as string))
      problem(`policy.${tool}.tainted`, "It must be never, ask or refuse.");
    else if (labels !== undefined && !(isTextList(labels) && labels.every((one) => one === "private" || one === "untrusted")))
      problem(`policy.${tool}.labels`, 'It must be a list of "private" and "untrusted", or empty.');
    else policy[tool] = wish;
  }
  return policy;
}

// --- secrets and references

export type Reference = { readonly type: "variable" | "secret"; readonly name: string; readonly fallback: string | undefined };
const referencePattern = /\$\{(?:(secret):)?([A-Za-z_][\w./-]*)(?::-([^}]*))?\}/g;

/** What a text refers to. */
export function referencesIn(text: string): Reference[] {
  return [...text.matchAll(referencePattern)].map(([, secret, name = "", fallback]) => ({
    type: secret === undefined ? ("variable" as const) : ("secret" as const),
    name,
    fallback,
  }));
}

/** Puts values in the place of references. Fails with `missing` and the name of the first that has none. */
export function resolveText(text: string, valueOf: (reference: Reference) => string | undefined): string {
  return text.replace(referencePattern, (_whole, secret: string | undefined, name: string, fallback: string | undefined) => {
    const type = secret === undefined ? ("variable" as const) : ("secret" as const);
    const value = valueOf({ type, name, fallback }) ?? fallback;
    if (value !== undefined) return value;
    if (type === "secret") throw new NikaError("missing", `There is no secret named "${name}".`);
    throw new NikaError("missing", `The variable ${name} is not set in the environment Nika was started in.`);
  });
}

const secretName =
  /(?:^|[_\-.])(?:api[_-]?key|key|token|secret|password|passwd|pwd|pat|credentials?|auth|authorization|bearer|cookie)$/i;
const camelSecretName = /(?:[aA]piKey|[tT]oken|[sS]ecret|[pP]assword)$/;
/** Shapes that only secrets have. */
export const secretShapes: readonly RegExp[] = [
  /\bsk-[\w-]{16,}/,
  /\bgh[pousr]_\w{20,}/,
  /\bgithub_pat_\w{20,}/,
  /\bglpat-[\w-]{16,}/,
  /\bxox[abpors]-[\w-]{10,}/,
  /\bA[KS]IA[0-9A-Z]{16}\b/,
  /\bAIza[\w-]{30,}/,
  /\bnpm_\w{30,}/,
  /\bnkb_[\w-]{30,}/,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\bBearer\s+(?!\$\{)\S{8,}/i,
  /:\/\/[^/\s:@]+:(?!\$\{)[^/\s@]{3,}@/,
];

export const isSecretName = (name: string): boolean => secretName.test(name.replace(/^-+/, "")) || camelSecretName.test(name);

function checkLiteral(literal: { readonly key: string; readonly name: string; readonly text: string }, problem: Problem): void {
  const { key, name, text } = literal;
  // What a reference falls back to is as visible as any other text.
  const plain = text
    .replace(referencePattern, (_whole, _secret, _name, fallback: string | undefined) => fallback ?? "")
    .replace(/^\s*(?:Bearer|Basic|Token)\s*$/i, "");
  const isNamed = isSecretName(name) && plain.trim().length >= 4 && !/^(?:true|false|none|null|\d{1,5})$/i.test(plain.trim());
  if (isNamed || secretShapes.some((shape) => shape.test(text)))
    problem(key, "This looks like a secret. Write ${VAR} or ${secret:NAME} here, and keep the secret itself out of the file.");
}

function noSecretReference(text: string, key: string, problem: Problem): void {
  if (referencesIn(text).some(({ type }) => type === "secret"))
    problem(key, "A secret would be seen by everybody here; it may stand in env or headers.");
}

// --- small readings

/** "256Mi", "1GB", "512m" or bytes. */
function toBytes(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value > 0 ? Math.round(value) : undefined;
  const [, digits = "", unit = "", isBinary = ""] = /^(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?$/i.exec(String(value)) ?? [];
  if (digits === "") return undefined;
  const base = isBinary === "" ? 1000 : 1024;
  return Math.round(Number(digits) * base ** ["", "k", "m", "g"].indexOf(unit.toLowerCase()));
}

/** "30s", "2m", "500ms" or milliseconds. */
function toMs(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(String(value)) ?? [];
  if (digits === "") return undefined;
  return Number(digits) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1);
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const isTextList = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === "string");
