/** Functions over HTTP: one call, one answer. No exactly-once here; that is what sessions are for. */
import type { IncomingMessage } from "node:http";
import { NikaError } from "../../../convex/model/error.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { clientOf } from "../auth/client.ts";
import type { Core } from "../core.ts";
import type { CallRequest, Result } from "../model/call.ts";
import type { LiveQueries } from "../subscriptions/liveQueries.ts";
import { encodeTs, parseTs } from "../sync/protocol.ts";
import { readJsonObject } from "./body.ts";
import { toCleanJson } from "./cleanJson.ts";
import { Refusal } from "./reply.ts";

export type FunctionParts = {
  readonly core: Core;
  readonly queries: LiveQueries;
  readonly auth: Authenticator;
  readonly requestId: () => string;
};

/** Answers with JSON text. */
export type FunctionRoute = (request: IncomingMessage, url: URL) => Promise<string>;

type Who = Pick<CallRequest, "identity" | "client">;
type Kind = "query" | "mutation" | "action";
type Call = { readonly path: string; readonly args: string; readonly toValue: (encoded: string) => string };
type Outcome = { readonly result: Result; readonly logLines: readonly string[] };

/** Longest list of queries in one batch. */
const batchMax = 256;

export function functionRoutes(parts: FunctionParts): (method: string, path: string) => FunctionRoute | undefined {
  const askerOf = async (request: IncomingMessage): Promise<Who> => {
    const asker = await parts.auth.identifyHeader(request.headers.authorization);
    return { identity: asker.identity, client: clientOf(request, asker) };
  };
  const posted =
    (kind: Kind): FunctionRoute =>
    async (request) => {
      const who = await askerOf(request);
      const call = callOf(await readJsonObject(request));
      return reply(call, await run(parts, kind, call, who));
    };
  const table: Readonly<Record<string, FunctionRoute>> = {
    "POST /api/query": posted("query"),
    "POST /api/mutation": posted("mutation"),
    "POST /api/action": posted("action"),
    "GET /api/query": async (request, url) => {
      const call = callOf({
        path: url.searchParams.get("path"),
        args: parseArgs(url.searchParams.get("args")),
        format: url.searchParams.get("format"),
      });
      return reply(call, await run(parts, "query", call, await askerOf(request)));
    },
    "POST /api/query_ts": async () => JSON.stringify({ ts: encodeTs(parts.queries.publishedTs()) }),
    "POST /api/query_at_ts": async (request) => {
      const { identity } = await askerOf(request);
      const body = await readJsonObject(request);
      const ts = parseTs(body["ts"]);
      const call = callOf(body);
      const found = await parts.queries.ask({ ...call, journal: null, identity });
      // No history is kept, so the past can be told only where it equals the present.
      if (!parts.queries.wasTrueAt(found, ts))
        throw new Refusal(409, "conflict", "What the query reads has changed since that time; ask for a new time and try again.");
      return reply(call, found.run);
    },
    "POST /api/query_batch": async (request) => {
      const { identity } = await askerOf(request);
      const { queries } = await readJsonObject(request);
      if (!Array.isArray(queries) || queries.length > batchMax)
        throw new NikaError("invalid", `queries must be a list of at most ${batchMax}.`);
      const calls = queries.map((one: unknown) => callOf(objectOf(one, "Each of queries")));
      const runs = await parts.core.queries(
        calls.map(({ path, args }) => ({ path, args, identity, journal: null, requestId: parts.requestId() })),
      );
      const results = calls.map((call, i) => reply(call, runs[i] as Outcome));
      return `{"results":[${results.join(",")}]}`;
    },
    "POST /api/function": async (request) => {
      const who = await askerOf(request);
      if (who.identity.type !== "admin") throw new NikaError("denied", "Only an admin key may call /api/function.");
      const body = await readJsonObject(request);
      if (body["componentPath"]) throw new NikaError("invalid", "This server has no components.");
      return runAnyKind(callOf(body), who);
    },
  };

  const runAnyKind = async (call: Call, who: Who): Promise<string> => {
    const path = normalPath(call.path);
    const known = parts.core.deployment.functions.find((one) => normalPath(one.path) === path);
    // What is unknown fails in the core, with its own words.
    return reply(call, await run(parts, known?.kind ?? "query", call, who));
  };

  return (method, path) => {
    const found = table[`${method} ${path}`];
    if (found) return found;
    const [, named] = method === "POST" ? (/^\/api\/run\/(.+)$/.exec(path) ?? []) : [];
    if (named === undefined) return undefined;
    return async (request) => {
      const who = await askerOf(request);
      const body = await readJsonObject(request);
      return runAnyKind(callOf({ format: "json", ...body, path: toFunctionPath(named) }), who);
    };
  };
}

async function run({ core, queries, requestId }: FunctionParts, kind: Kind, call: Call, who: Who): Promise<Outcome> {
  const { identity } = who;
  const request = { path: call.path, args: call.args, ...who, requestId: requestId() };
  switch (kind) {
    case "query":
      return (await queries.ask({ path: call.path, args: call.args, journal: null, identity })).run;
    case "mutation": {
      const done = await core.mutation(request);
      if (done.ts !== null) queries.advance(done.ts);
      if (!done.result.ok && done.result.isFull) throw new NikaError("full", done.result.message);
      return done;
    }
    case "action":
      return core.action(request);
  }
}

function reply({ toValue }: Call, { result, logLines }: Outcome): string {
  const logs = `"logLines":${JSON.stringify(logLines)}`;
  if (result.ok) return `{"status":"success","value":${toValue(result.value)},${logs}}`;
  const data = result.data === undefined ? "" : `"errorData":${toValue(result.data)},`;
  return `{"status":"error","errorMessage":${JSON.stringify(result.message)},${data}${logs}}`;
}

function callOf(body: Readonly<Record<string, unknown>>): Call {
  const { path, args, format } = body;
  if (typeof path !== "string" || path === "")
    throw new NikaError("invalid", "path must name a function, such as `messages:list`.");
  return { path, args: argsOf(args), toValue: encoderOf(format) };
}

function encoderOf(format: unknown): (encoded: string) => string {
  switch (format) {
    case "convex_encoded_json":
      return (encoded) => encoded;
    case "json":
    case undefined:
    case null:
      return toCleanJson;
    default:
      throw new NikaError("invalid", "format must be `json` or `convex_encoded_json`.");
  }
}

/** An object, or a list of one. */
function argsOf(args: unknown): string {
  if (Array.isArray(args)) {
    if (args.length > 1) throw new NikaError("invalid", "args must be one object.");
    return JSON.stringify(args.length === 0 ? {} : objectOf(args[0], "args[0]"));
  }
  return JSON.stringify(objectOf(args ?? {}, "args"));
}

function parseArgs(text: string | null): unknown {
  if (text === null) return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NikaError("invalid", "args is not JSON.", { cause });
  }
}

function objectOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new NikaError("invalid", `${name} must be an object.`);
}

/** `dir/mod.js:fn` and `dir/mod:fn` are one; a module alone means its default export. */
function normalPath(path: string): string {
  const [module = "", name = "default"] = path.split(":");
  return `${module.replace(/\.js$/, "")}:${name}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new NikaError("invalid", "The address holds a broken escape.", { cause });
  }
}

/** `dir/mod/fn`, as in /api/run, to `dir/mod:fn`. */
function toFunctionPath(named: string): string {
  const parts = decoded(named).split("/");
  const name = parts.pop() ?? "";
  return parts.length === 0 ? name : `${parts.join("/")}:${name}`;
}
