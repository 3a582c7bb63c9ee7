/**
 * The queries that Convex's command line asks of a deployment itself, by the names it uses. They run like any query, on a snapshot and
 * with what they read noted down, so subscriptions to them are live. Administrators only: the core sees to that.
 */
import { asText, DeveloperError, isPlainObject, type Json, type JsonObject } from "../codec/value.ts";
import type { HttpRoute } from "../model/deployment.ts";
import type { Ran } from "../exec/runner.ts";
import { answer, noteEnvRead, type Run } from "../txn/syscalls.ts";
import { modulePath } from "../txn/functions.ts";
import { importPrefix, metaIndex } from "./work.ts";

export type SystemSetup = {
  readonly env: Readonly<Record<string, string>>;
  readonly httpRoutes?: readonly HttpRoute[];
};

/** Names of settings in the database. What is under `import:` is shown to whoever watches that import. */
export const metaKeys = { lastExport: "export", imports: importPrefix } as const;

const rowsPerPageMax = 1000;
const bytesPerPageMax = 4 * 1024 * 1024;
const asker = { path: "", kind: "query" } as const;

type SystemQuery = (run: Run, args: JsonObject, setup: SystemSetup) => Json | string;

/** Handlers give JSON text. */
const queries: Readonly<Record<string, (run: Run, args: JsonObject, setup: SystemSetup) => string>> = {
  "modules:apiSpec": text(apiSpec),
  "convexUrl:cloudUrl": text((run) => run.origin),
  "convexUrl:siteUrl": text((run) => `${run.origin}/http`),
  "tables:default": text(tables),
  "tableData:default": tableData,
  "tableSize:default": (run, args) => answer(run, "1.0/count", JSON.stringify({ table: args["tableName"] ?? "" }), asker),
  "queryTable:default": (run, args) => answer(run, "1.0/count", JSON.stringify({ table: args["tableName"] ?? "" }), asker),
  "queryEnvironmentVariables:default": text((run, _args, { env }) => {
    noteEnvRead(run, null);
    return Object.entries(env)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => ({ name, value }));
  }),
  "queryEnvironmentVariables:get": text((run, args, { env }) => {
    const name = asText(args["name"]);
    noteEnvRead(run, name);
    return Object.hasOwn(env, name) ? { name, value: env[name] as string } : null;
  }),
  "exports:getLatest": (run) => readMeta(run, metaKeys.lastExport) ?? "null",
  "queryImport:default": (run, args) => readMeta(run, metaKeys.imports + asText(args["importId"])) ?? "null",
  "queryImport:list": (run) => {
    const { imports } = metaKeys;
    run.txn.noteRead({ index: metaIndex, lower: Buffer.from(imports), upper: Buffer.from(`${imports}\u{10ffff}`) });
    const rows = run.txn.store.db
      .prepare("SELECT value FROM meta WHERE key >= ? AND key < ?")
      .all(imports, `${imports}\u{10ffff}`) as { value: string }[];
    return `[${rows.map((one) => one.value).join(",")}]`;
  },
};

const prefix = "_system/cli/";

export function isSystemPath(path: string): boolean {
  return path.startsWith("_system/");
}

/** `args` is the JSON text of the arguments object. */
export function runSystemQuery(run: Run, path: string, args: string, setup: SystemSetup): Ran {
  const done = (outcome: Ran["outcome"]): Ran => ({ outcome, logLines: [], usedTime: false, ms: 0 });
  const query = path === "_system/frontend/components:list" ? () => "[]" : queries[path.slice(prefix.length)];
  if (!query || !(path.startsWith(prefix) || path.startsWith("_system/frontend/")))
    return done({ ok: false, message: `The embedded engine has no ${path}.` });
  try {
    return done({ ok: true, value: query(run, JSON.parse(args) as JsonObject, setup) });
  } catch (error) {
    if (!(error instanceof DeveloperError)) throw error;
    return done({ ok: false, message: `Uncaught Error: ${error.message}` });
  }
}

function text(query: SystemQuery): (run: Run, args: JsonObject, setup: SystemSetup) => string {
  return (run, args, setup) => JSON.stringify(query(run, args, setup));
}

function readMeta(run: Run, key: string): string | undefined {
  run.txn.notePoint(metaIndex, Buffer.from(key));
  return run.txn.store.readMeta(key);
}

function apiSpec(run: Run, _args: JsonObject, { httpRoutes = [] }: SystemSetup): Json {
  const title = (kind: string): string => kind[0]?.toUpperCase() + kind.slice(1);
  const functions = [...run.surroundings.functions.values()].map((one): JsonObject => ({
    args: one.args as unknown as Json,
    functionType: title(one.kind),
    identifier: modulePath(one.path),
    returns: (one.returns ?? { type: "any" }) as unknown as Json,
    visibility: { kind: one.visibility },
  }));
  return [...functions, ...httpRoutes.map(({ method, path }): JsonObject => ({ functionType: "HttpAction", method, path }))];
}

/** All on one page: a deployment has few tables. */
function tables(run: Run): Json {
  run.txn.noteRead({ index: "_tables.by_name", lower: new Uint8Array(0), upper: Uint8Array.of(0xff) });
  const page = [...run.txn.store.catalog.tables()].filter(({ name }) => !name.startsWith("_")).map(({ name }) => ({ name }));
  return { page, isDone: true, continueCursor: "" };
}

function tableData(run: Run, args: JsonObject): string {
  const options = isPlainObject(args["paginationOpts"]) ? args["paginationOpts"] : {};
  const tableName = asText(args["table"]);
  if (!run.txn.tableNamed(tableName)) return JSON.stringify({ page: [], isDone: true, continueCursor: "" });
  const order = args["order"] === "asc" ? "asc" : "desc";
  const request = {
    query: { source: { type: "FullTableScan", tableName, order }, operators: [] },
    cursor: options["cursor"] ?? null,
    endCursor: null,
    pageSize: Math.min(Number(options["numItems"] ?? rowsPerPageMax), rowsPerPageMax),
    maximumRowsRead: rowsPerPageMax,
    maximumBytesRead: bytesPerPageMax,
  };
  return answer(run, "1.0/queryPage", JSON.stringify(request), asker);
}
