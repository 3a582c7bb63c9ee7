/** Functions that the owner wrote: what one may say of itself, and what is known of its runs. No clock, no database. */
import { v, type Infer } from "convex/values";
import { NikaError } from "./error.ts";

export const vLanguage = v.union(v.literal("node"), v.literal("python"));
export type FunctionLanguage = Infer<typeof vLanguage>;

/** How a delivery shows that it comes from whom it should. */
export const vWebhook = v.object({
  /** `none`: anybody may; then it is only bounded. */
  verify: v.union(v.literal("hmac-sha256"), v.literal("none")),
  /** Which header carries the signature; lower case. */
  header: v.string(),
  /** What is signed: id, time and body as Standard Webhooks have it, or the body alone as GitHub does. */
  signs: v.union(v.literal("id.timestamp.body"), v.literal("body")),
  /** The name of its secret. The secret itself never leaves the appliance's keys. */
  secret: v.string(),
  /** How far the sender's clock may be off. */
  toleranceMs: v.number(),
  /** Accepted deliveries a minute. */
  perMinuteMax: v.number(),
});
export type Webhook = Infer<typeof vWebhook>;

/** What one function may have, and how it is called. */
export const vManifest = v.object({
  language: vLanguage,
  /** The file with the handler, relative to its folder. */
  entry: v.string(),
  memoryMiB: v.number(),
  /** Of one processor; 0.5 is half of one. */
  cpus: v.number(),
  /** Processes and threads together. */
  processesMax: v.number(),
  /** One call. */
  timeLimitMs: v.number(),
  /** Exact `host:port`; none is no network at all. */
  egress: v.array(v.string()),
  /** When it runs by itself, in plain words. */
  schedule: v.optional(v.string()),
  webhook: v.optional(vWebhook),
  /** Calls at the same time. */
  concurrency: v.number(),
  /** Without a call for so long its sandboxes end. */
  idleMs: v.number(),
  /** Tries of a call that may fail, the first included. */
  attemptsMax: v.number(),
});
export type Manifest = Infer<typeof vManifest>;

/** Room for Node itself and a little work. */
const defaults = { memoryMiB: 256, cpus: 1, processes: 64, timeLimitMs: 30_000 } as const;
const entries: Readonly<Record<string, FunctionLanguage>> = {
  "index.ts": "node",
  "index.js": "node",
  "index.mjs": "node",
  "main.py": "python",
};

/** The text of an input or output that stays with its row; what is longer goes to file storage. */
export const inlineCharsMax = 8_000;
export const inputBytesMax = 256 * 1024;
export const outputBytesMax = 1024 * 1024;
/** Kept of what one call said. */
export const logCharsMax = 16_000;
export const functionsMax = 100;
/** Kept of each function. */
export const invocationsKeptMax = 300;
/** The durations that its p50 and p95 are of. */
export const recentMax = 100;
/** A delivery of this age may come again and is known to have come. */
export const deliveriesKeptMs = 7 * 24 * 3_600_000;

const known = ["name", "language", "entry", "limits", "egress", "schedule", "webhook", "concurrency", "idleMs", "attempts"];
const namePattern = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/u;
const nameCharsMax = 40;

export const isFunctionName = (text: string): boolean => text.length <= nameCharsMax && namePattern.test(text);

/** A function's name: letters, digits and single hyphens, small. Fails with `invalid`. */
export function toFunctionName(text: string): string {
  if (!isFunctionName(text))
    throw new NikaError(
      "invalid",
      `A function's name is up to ${nameCharsMax} small letters, digits and hyphens, such as "daily-report", not "${text.slice(0, 60)}".`,
    );
  return text;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * What function.json says, completed with safe defaults: no network, 256 MiB, half a minute. `files` are the paths in the function's
 * folder. Fails with `invalid` and what to change.
 */
export function toManifest(name: string, given: unknown, files: readonly string[]): Manifest {
  const fields = objectOf(given ?? {}, "function.json");
  onlyKnown(fields, "function.json", known);
  if (fields["name"] !== undefined && fields["name"] !== name)
    throw wrong(`"name" says ${show(fields["name"])}, but its folder is called "${name}"`);
  const entry = entryOf(fields["entry"], files);
  const language = languageOf(fields["language"], entry);
  const limits = objectOf(fields["limits"] ?? {}, `"limits"`);
  onlyKnown(limits, `"limits"`, ["memoryMiB", "cpus", "processes", "timeLimitMs"]);
  const webhook = fields["webhook"] === undefined ? undefined : toWebhook(name, fields["webhook"]);
  const schedule = scheduleOf(fields["schedule"]);
  return {
    language,
    entry,
    memoryMiB: numberOf(limits, "memoryMiB", { from: 64, to: 4_096, otherwise: defaults.memoryMiB, isWhole: true }),
    cpus: numberOf(limits, "cpus", { from: 0.1, to: 8, otherwise: defaults.cpus }),
    processesMax: numberOf(limits, "processes", { from: 16, to: 512, otherwise: defaults.processes, isWhole: true }),
    timeLimitMs: numberOf(limits, "timeLimitMs", {
      from: 100,
      to: 3_600_000,
      otherwise: defaults.timeLimitMs,
      isWhole: true,
    }),
    egress: egressOf(fields["egress"]),
    ...(schedule !== undefined && { schedule }),
    ...(webhook && { webhook }),
    concurrency: numberOf(fields, "concurrency", { from: 1, to: 16, otherwise: 2, isWhole: true }),
    idleMs: numberOf(fields, "idleMs", { from: 0, to: 24 * 3_600_000, otherwise: 5 * 60_000, isWhole: true }),
    attemptsMax: numberOf(fields, "attempts", { from: 1, to: 7, otherwise: 3, isWhole: true }),
  };
}

function entryOf(given: unknown, files: readonly string[]): string {
  if (given === undefined) {
    const found = Object.keys(entries).find((name) => files.includes(name));
    if (found === undefined) throw wrong(`there is none of ${Object.keys(entries).join(", ")}; name another file in "entry"`);
    return found;
  }
  if (typeof given !== "string" || !files.includes(given)) throw wrong(`"entry" names ${show(given)}, which is no file of it`);
  return given;
}

function languageOf(given: unknown, entry: string): FunctionLanguage {
  const byName = /\.(?:ts|mts|js|mjs|cjs|cts)$/u.test(entry) ? "node" : entry.endsWith(".py") ? "python" : undefined;
  if (given === undefined && byName) return byName;
  if (given !== "node" && given !== "python")
    throw wrong(
      `"language" must be "node" or "python"${given === undefined ? ` (${entry} does not tell)` : `, not ${show(given)}`}`,
    );
  return given;
}

function egressOf(given: unknown): string[] {
  if (given === undefined) return [];
  if (!Array.isArray(given) || given.length > 50) throw wrong(`"egress" must be a list of at most 50 "host:port"`);
  return given.map((one: unknown) => {
    const [, host, port] = (typeof one === "string" ? /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})$/u.exec(one) : null) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
      throw wrong(`"egress" lists ${show(one)}; it must be a host and a port, such as "api.example.com:443"`);
    return `${host}:${Number(port)}`;
  });
}

function scheduleOf(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== "string" || given.trim() === "" || given.length > 500)
    throw wrong(`"schedule" must be words that say when, such as "every Monday at 8 AM"`);
  return given.trim();
}

const headerPattern = /^[a-z0-9-]{1,64}$/u;

function toWebhook(name: string, given: unknown): Webhook {
  const fields = objectOf(given, `"webhook"`);
  onlyKnown(fields, `"webhook"`, ["verify", "header", "signs", "secret", "toleranceMs", "perMinute"]);
  const verify = fields["verify"] ?? "hmac-sha256";
  if (verify !== "hmac-sha256" && verify !== "none")
    throw wrong(`"verify" must be "hmac-sha256", or "none" for a hook that anybody may call, not ${show(verify)}`);
  const signs = fields["signs"] ?? "id.timestamp.body";
  if (signs !== "id.timestamp.body" && signs !== "body")
    throw wrong(`"signs" must be "id.timestamp.body" or "body", not ${show(signs)}`);
  const header = fields["header"] ?? (signs === "body" ? "x-hub-signature-256" : "webhook-signature");
  if (typeof header !== "string" || !headerPattern.test(header.toLowerCase()))
    throw wrong(`"header" must be the name of a header, not ${show(header)}`);
  const secret = fields["secret"] ?? name;
  if (typeof secret !== "string" || secret.length > nameCharsMax || !namePattern.test(secret))
    throw wrong(`"secret" is the name of a secret (small letters, digits and hyphens), never the secret itself`);
  return {
    verify,
    header: header.toLowerCase(),
    signs,
    secret,
    toleranceMs: numberOf(fields, "toleranceMs", { from: 1_000, to: 3_600_000, otherwise: 300_000, isWhole: true }),
    perMinuteMax: numberOf(fields, "perMinute", { from: 1, to: 6_000, otherwise: verify === "none" ? 30 : 600, isWhole: true }),
  };
}

type Range = { readonly from: number; readonly to: number; readonly otherwise: number; readonly isWhole?: true };

function numberOf(fields: Fields, key: string, { from, to, otherwise, isWhole }: Range): number {
  const given = fields[key];
  if (given === undefined) return otherwise;
  if (typeof given !== "number" || !(given >= from && given <= to) || (isWhole && !Number.isInteger(given)))
    throw wrong(`"${key}" must be a ${isWhole ? "whole " : ""}number from ${from} to ${to}, not ${show(given)}`);
  return given;
}

function objectOf(given: unknown, what: string): Fields {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return given as Fields;
  throw wrong(`${what} must be an object in braces`);
}

function onlyKnown(fields: Fields, where: string, names: readonly string[]): void {
  const other = Object.keys(fields).find((key) => !names.includes(key));
  if (other !== undefined) throw wrong(`${where} has ${show(other)}, which means nothing; known are ${names.join(", ")}`);
}

const show = (given: unknown): string => (JSON.stringify(given) ?? "nothing").slice(0, 80);
const wrong = (what: string): NikaError => new NikaError("invalid", `The function cannot be read: ${what}.`);

/** serving: a version answers. broken: none could be loaded. refused: there is nothing on this machine that may run it. */
export const vFunctionState = v.union(v.literal("checking"), v.literal("serving"), v.literal("broken"), v.literal("refused"));

/** What the appliance found in the function's folder. */
export const vFunctionReport = v.object({
  name: v.string(),
  state: vFunctionState,
  /** The version that answers, and the one that lies in the folder: hashes of all their bytes. */
  version: v.optional(v.string()),
  sourceVersion: v.string(),
  /** Why the latter does not answer, when it does not. */
  problem: v.optional(v.string()),
  /** It answers without a sandbox. */
  isBare: v.boolean(),
  manifest: v.optional(vManifest),
});
export type FunctionReport = Infer<typeof vFunctionReport>;

export const vFunctionView = v.object({
  ...vFunctionReport.fields,
  /** The owner lets it run without a sandbox where there is none. */
  isBareAllowed: v.boolean(),
  done: v.number(),
  failed: v.number(),
  /** What went wrong last. */
  lastError: v.optional(v.string()),
  lastAt: v.optional(v.number()),
  /** Of its latest runs, from being handed over to its answer; absent until there was one. */
  p50Ms: v.optional(v.number()),
  p95Ms: v.optional(v.number()),
  changedAt: v.number(),
});
export type FunctionView = Infer<typeof vFunctionView>;

export const vTrigger = v.union(
  v.literal("owner"),
  v.literal("call"),
  v.literal("schedule"),
  v.literal("webhook"),
  v.literal("agent"),
);
export type Trigger = Infer<typeof vTrigger>;

export const vInvocationState = v.union(v.literal("open"), v.literal("done"), v.literal("failed"), v.literal("cancelled"));

/** How one try of it went. Times in milliseconds. */
export const vRunFacts = v.object({
  version: v.string(),
  isBare: v.boolean(),
  /** From being handed over to its answer, the start of a sandbox included. */
  tookMs: v.number(),
  /** What the start of a sandbox took of it; absent when one was warm. */
  coldMs: v.optional(v.number()),
});
export type RunFacts = Infer<typeof vRunFacts>;

/** What came of a run that ended well: JSON text, or the id of a stored file that holds it. */
export const vInvoked = v.object({
  type: v.literal("invoked"),
  output: v.optional(v.string()),
  outputId: v.optional(v.id("_storage")),
  facts: vRunFacts,
});

export const vInvocationView = v.object({
  id: v.id("invocations"),
  name: v.string(),
  trigger: vTrigger,
  state: vInvocationState,
  attempt: v.number(),
  error: v.optional(v.object({ code: v.string(), message: v.string() })),
  facts: v.optional(vRunFacts),
  jobId: v.optional(v.id("jobs")),
  createdAt: v.number(),
  endedAt: v.optional(v.number()),
});
export type InvocationView = Infer<typeof vInvocationView>;

/** With what it was given, what it said and what came of it. */
export const vInvocationDetail = v.object({
  ...vInvocationView.fields,
  /** JSON text; absent when it is longer than is kept with it, and then `inputUrl` or `outputUrl` leads to it. */
  input: v.optional(v.string()),
  inputUrl: v.optional(v.string()),
  output: v.optional(v.string()),
  outputUrl: v.optional(v.string()),
  log: v.string(),
  /** Characters of the log that were not kept. */
  logDropped: v.number(),
});
export type InvocationDetail = Infer<typeof vInvocationDetail>;

/** The value that `share` of them stay below; undefined of none. */
export function quantileOf(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** What a schedule hands to a function: its prompt when that is JSON, else the words and the instant. */
export function scheduledInput(prompt: string, at: number): string {
  const text = prompt.trim();
  if (/^[[{]/u.test(text)) {
    try {
      return JSON.stringify(JSON.parse(text));
    } catch {
      // Words that begin with a bracket are words.
    }
  }
  return JSON.stringify({ at: new Date(at).toISOString(), ...(text !== "" && { text }) });
}
