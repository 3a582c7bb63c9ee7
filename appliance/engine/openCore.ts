/** Joins the engine's parts: the app loaded, the transaction thread, the query pool, the action thread, behind the one type `Core`. */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { NikaError } from "../../convex/model/error.ts";
import { limits } from "./codec/limits.ts";
import { findArgsMismatch, findMismatch } from "./codec/validator.ts";
import { checkedSize, DeveloperError, type Json, type JsonObject } from "./codec/value.ts";
import type { Core, CoreOptions } from "./core.ts";
import type { CallRequest, Identity, Result } from "./model/call.ts";
import type { Commit, ReadRange } from "./model/commit.ts";
import type { StoredFile } from "./model/file.ts";
import type { ActionRun, MutationRun, QueryRun, RunNote } from "./model/run.ts";
import { isSystemPath } from "./admin/systemQueries.ts";
import { loadApp } from "./deploy/load.ts";
import { dropUnpacked, pushedKey, readStored, unpackPushed } from "./deploy/stored.ts";
import type { WireRequest } from "./exec/actionMessage.ts";
import { openActionProcess, openActionThread } from "./exec/actionHost.ts";
import { openActionSeats } from "./exec/actionSeats.ts";
import { clientMessage, kindMismatch } from "./exec/driver.ts";
import type { BatchRun, GroupMessage, Reply, Task } from "./exec/message.ts";
import { unpackKeys } from "./exec/packed.ts";
import { openQueryPool, type QueryPool } from "./exec/queryPool.ts";
import { openTxnThread } from "./exec/txnThread.ts";
import { blobFolder, blobPath } from "./store/files.ts";
import { vectorSearch } from "./search/vectorQuery.ts";
import { addressedPath, canonicalPath, type FunctionEntry } from "./txn/functions.ts";
import { identityOf, isUploadToken } from "./txn/syscalls.ts";

const queryThreads = 2;
const actionThreads = { most: 4, ever: 8 };
/** Each takes some 60 MB while it is there. */
const nodeProcesses = { most: 2, ever: 4 };
const hourNs = 3600n * 1_000_000_000n;
const sweepEveryMs = 10 * 60 * 1000;

/** Fails when the folder cannot be bundled or loaded, when rows do not fit its schema, or when another engine holds the database. */
export async function openCore(options: CoreOptions): Promise<Core> {
  mkdirSync(blobFolder(options.dir), { recursive: true, mode: 0o700 });
  const stored = readStored(options.dir);
  // What the embedding program sets, it has the last word on.
  const env = { ...stored.env, ...options.env };
  const pushed = options.push ?? stored.pushed;
  const unpacked =
    options.functionsDir === undefined
      ? unpackPushed(options.dir, pushed ?? "[]")
      : { functionsDir: options.functionsDir, cacheDir: options.dir };
  const app = await loadApp({ dir: unpacked.cacheDir, functionsDir: unpacked.functionsDir, env });
  const { analysis } = app;
  const functions = new Map(analysis.functions.map((one) => [one.path, one]));
  const commitListeners = new Set<(commit: Commit) => void>();
  const scheduleListeners = new Set<() => void>();
  let publishedTs = 0n;
  let tables = new Map<number, string>();
  let awaiting: { readonly ts: bigint; readonly resolve: () => void }[] = [];

  const publish = (ts: bigint): void => {
    if (ts > publishedTs) publishedTs = ts;
    const reached = awaiting.filter((one) => one.ts <= publishedTs);
    awaiting = awaiting.filter((one) => one.ts > publishedTs);
    for (const { resolve } of reached) resolve();
  };

  const onGroup = (group: GroupMessage): void => {
    if (group.tables) tables = new Map(group.tables);
    const keys = unpackKeys(group.writes);
    let at = 0;
    for (const { ts, count } of group.commits) {
      const writes = keys.slice(at, at + count).map((key, index) => ({ index: group.writes.names[at + index] as string, key }));
      at += count;
      publishedTs = ts > publishedTs ? ts : publishedTs;
      for (const listener of commitListeners) listener({ ts, writes });
    }
    publish(publishedTs);
    if (group.hasScheduled) for (const listener of scheduleListeners) listener();
  };

  const setup = {
    dir: options.dir,
    functions: analysis.functions,
    schema: analysis.schema,
    schemaHash: createHash("sha256")
      .update(analysis.schema ?? "")
      .digest("hex"),
    crons: analysis.crons,
    httpRoutes: analysis.httpRoutes,
    meta: options.push === undefined ? [] : [[pushedKey, options.push] as const],
    ...app.isolate,
    env,
  };
  const txn = await openTxnThread({
    setup,
    origin: options.origin,
    onGroup,
    onReady: (ready) => {
      tables = new Map(ready.tables);
      publish(ready.ts);
    },
    onGap: (ts) => {
      for (const listener of commitListeners) listener({ ts, writes: [], isGap: true });
      publish(ts);
    },
    log: options.log,
  });
  for (const line of txn.ready.logs) options.log(line);
  if (options.functionsDir === undefined) dropUnpacked(options.dir, unpacked.cacheDir);
  const { secret } = txn.ready;
  const pool: QueryPool = openQueryPool({
    setup: { ...setup, secret },
    origin: options.origin,
    threads: queryThreads,
    log: options.log,
  });
  const sweeper = setInterval(() => void txn.perform({ type: "sweep" }), sweepEveryMs).unref();

  /** The function a client may call under that name, or what it is told. */
  const find = (request: CallRequest, kind: FunctionEntry["kind"], isInside = false): FunctionEntry | string => {
    const path = canonicalPath(request.path);
    const entry = functions.get(path) ?? systemEntry(path, request.identity);
    const mayReachAll = isInside || request.identity.type === "admin";
    if (!entry || (entry.visibility === "internal" && !mayReachAll))
      return `Could not find ${mayReachAll ? "" : "public "}function for '${path.replace(/:default$/, "")}'. Did you forget to run \`npx convex dev\` or \`npx convex deploy\`?`;
    return entry.kind === kind ? entry : kindMismatch(entry, kind);
  };

  const note = (request: CallRequest, kind: RunNote["kind"], ran: Ran): void => {
    const { result, logLines, ms } = ran;
    // The command line's looks into the deployment are no business of the app's log.
    if (request.path.startsWith("_system/")) return;
    const { requestId, caller = "Client" } = request;
    const error = result.ok ? undefined : withoutHead(result.message, requestId);
    options.onRun?.({ path: canonicalPath(request.path), kind, caller, requestId, ms, logLines, error });
  };

  const queries = async (
    requests: readonly (CallRequest & { readonly journal: string | null })[],
    isInside = false,
  ): Promise<readonly QueryRun[]> => {
    const found = requests.map((one) => find(one, "query", isInside));
    const good = requests.flatMap((one, at) => {
      const entry = found[at];
      return typeof entry === "object" ? [{ ...one, path: entry.path }] : [];
    });
    const since = performance.now();
    const reply = good.length > 0 ? await pool.run(good) : { ts: publishedTs, runs: [] };
    // A reader may see a commit before the news of it came here; nobody is told of a time that was not published.
    if (reply.ts > publishedTs) await new Promise<void>((resolve) => awaiting.push({ ts: reply.ts, resolve }));
    const runs = reply.runs.values();
    return requests.map((request, at) => {
      const entry = found[at];
      if (typeof entry === "string") return refusedQuery(request, entry, reply.ts);
      const run = runs.next().value as BatchRun;
      note(request, "query", { ...run, ms: run.ms ?? performance.now() - since });
      return toQueryRun(run, reply.ts);
    });
  };

  const mutation: Core["mutation"] = async ({ session, ...request }) => mutate(request, session, false);

  const mutate = async (
    request: CallRequest,
    session: { readonly id: string; readonly requestId: number } | undefined,
    isInside: boolean,
  ): Promise<MutationRun> => {
    const entry = find(request, "mutation", isInside);
    if (typeof entry === "string")
      return { result: { ok: false, message: clientMessage(request.requestId, entry) }, ts: null, logLines: [] };
    const task: Task = { type: "mutation", request: { ...request, path: entry.path }, ...(session ? { session } : {}) };
    const since = performance.now();
    const reply = await txn.perform(task);
    if (reply.type === "mutation") {
      const { result, ts, logLines, ms } = reply;
      // One that did well without taking time was done before and is only told again.
      if (ms !== undefined || !result.ok) note(request, "mutation", { result, logLines, ms: ms ?? performance.now() - since });
      return { result, ts, logLines };
    }
    throw new Error("The transaction thread gave a wrong answer.");
  };

  const ask = async <T extends Reply["type"]>(task: Task, type: T): Promise<Extract<Reply, { type: T }>> => {
    const reply = await txn.perform(task);
    if (reply.type === "failed") throw reply.isFull ? new NikaError("full", reply.message) : new DeveloperError(reply.message);
    if (reply.type !== type) throw new Error("The transaction thread gave a wrong answer.");
    return reply as Extract<Reply, { type: T }>;
  };

  const askerOf = ({ identity, requestId, client, scheduledId }: Who) => ({
    who: { identity, requestId, client, scheduledId },
    identity: JSON.stringify(identityOf(identity)),
    requestId,
  });

  const act = async (request: CallRequest, isInside: boolean): Promise<ActionRun> => {
    const since = performance.now();
    const run = await actUnnoted(request, isInside);
    if (typeof find(request, "action", isInside) !== "string") note(request, "action", { ...run, ms: performance.now() - since });
    return run;
  };

  const actUnnoted = async (request: CallRequest, isInside: boolean): Promise<ActionRun> => {
    const fail = (message: string, logLines: readonly string[] = []): ActionRun => ({
      result: { ok: false, message: clientMessage(request.requestId, message) },
      logLines,
    });
    const entry = find(request, "action", isInside);
    if (typeof entry === "string") return fail(entry);
    const tableOf = (number: number) => tables.get(number);
    const wrong = argsProblem(entry, request.args, tableOf);
    if (wrong !== undefined) return fail(wrong);
    const { outcome, logLines } = await (entry.isNode ? nodeActions : actions).run(askerOf(request), entry, request.args);
    if (!outcome.ok) return { result: { ...outcome, message: clientMessage(request.requestId, outcome.message) }, logLines };
    const badResult = entry.returns && findMismatch(entry.returns, JSON.parse(outcome.value) as Json, tableOf);
    return badResult ? fail(`ReturnsValidationError: ${badResult}`, logLines) : { result: outcome, logLines };
  };

  /** What an action asks. The letters are those of bootstrap.ts. */
  const answerAction = async (who: Who, op: string, text: string): Promise<string> => {
    try {
      const asked = JSON.parse(text) as JsonObject;
      if (op === "storeFile")
        return `=${JSON.stringify((await ask({ type: "storeFile", file: asked as never }, "file")).file?.storageId)}`;
      if (op === "fileOfId")
        return `=${JSON.stringify((await ask({ type: "fileOfId", storageId: asked as never }, "file")).file ?? null)}`;
      if (op === "1.0/actions/query" || op === "1.0/actions/mutation" || op === "1.0/actions/action") {
        const path = addressedPath(asked);
        if (path === undefined) return "!Components are not supported by the embedded engine yet.";
        const request = { ...who, path, args: JSON.stringify(asked["args"] ?? {}), caller: "Action" as const };
        return toAnswer(await call(op, request), who.requestId);
      }
      if (op === "1.0/actions/vectorSearch") {
        const [found] = (await pool.run([{ ...who, path: vectorSearch, args: JSON.stringify(asked["query"]), journal: null }]))
          .runs;
        return toAnswer((found as BatchRun).result, who.requestId);
      }
      if (!actionOps.has(op)) return `!Unknown async operation ${op}`;
      const plain = op.replace("1.0/actions/", "1.0/");
      const reply = await txn.perform({ type: "syscall", op: plain, args: text, ...who });
      if (reply.type === "value") return `=${reply.value}`;
      if (reply.type === "failed" && reply.data !== undefined) return `?[${JSON.stringify(reply.message)},${reply.data}]`;
      return `!${reply.type === "failed" ? reply.message : "The transaction thread gave a wrong answer."}`;
    } catch (error) {
      return `!${(error as Error).message}`;
    }
  };

  const call = async (op: string, request: CallRequest): Promise<Result> => {
    if (op === "1.0/actions/mutation") return (await mutate(request, undefined, true)).result;
    if (op === "1.0/actions/action") return (await act(request, true)).result;
    const [run] = await queries([{ ...request, journal: null }], true);
    return (run as QueryRun).result;
  };

  const acting = {
    setup: { dir: options.dir, functionsDir: unpacked.functionsDir, ...app.node },
    env: () => ({ ...env, CONVEX_CLOUD_URL: options.origin(), CONVEX_SITE_URL: `${options.origin()}/http` }),
    answer: answerAction,
    log: options.log,
  };
  const actions = openActionSeats<Who>({ ...acting, open: openActionThread, ...actionThreads });
  const nodeActions = openActionSeats<Who>({ ...acting, open: openActionProcess, ...nodeProcesses });

  return {
    deployment: {
      functions: analysis.functions.map(({ path, kind, visibility }) => ({ path, kind, visibility })),
      authProviders: analysis.authProviders,
      httpRoutes: analysis.httpRoutes,
      fingerprint: createHash("sha256").update(JSON.stringify(analysis)).digest("hex"),
    },
    ts: () => publishedTs,
    observe: (ts) => {
      if (ts > publishedTs && ts < BigInt(Date.now()) * 1_000_000n + hourNs) void txn.perform({ type: "observe", ts });
    },
    queries: (requests) => queries(requests),
    mutation,
    action: (request) => act(request, false),
    http: async (request, route, identity, client) => {
      const requestId = randomBytes(8).toString("hex");
      const who = { identity, requestId, client };
      const since = performance.now();
      const { response, logLines } = await actions.http(askerOf(who), route, toWire(request));
      options.onRun?.({
        path: `${route.method} ${route.path}`,
        kind: "httpAction",
        caller: "Client",
        requestId,
        ms: performance.now() - since,
        logLines,
        error: response.error ?? (response.status >= 500 ? `The response has status ${response.status}.` : undefined),
      });
      for (const line of logLines) options.log(`${route.method} ${route.path}: ${line}`);
      return new Response(isBodiless(response.status) ? null : response.body, {
        status: response.status,
        headers: response.headers.map(([name, value]) => [name, value] as [string, string]),
      });
    },
    onCommit: (listener) => {
      commitListeners.add(listener);
      return () => commitListeners.delete(listener);
    },
    administer: async (work) => (await ask({ type: "admin", work }, "value")).value,
    touch: async (index) => void (await ask({ type: "touch", index }, "done")),
    storeFile: async (file) => (await ask({ type: "storeFile", file }, "file")).file as StoredFile,
    findFile: async (uuid) => (await ask({ type: "findFile", uuid }, "file")).file,
    filePath: (sha256) => blobPath(options.dir, sha256),
    isUploadToken: (token) => isUploadToken(secret, token, Date.now()),
    nextDueMs: async () => (await ask({ type: "nextDue" }, "due")).atMs,
    runDue: async (nowMs) => {
      const { jobs, logs, notes } = await ask({ type: "runDue", nowMs, condemned: [] }, "jobs");
      for (const one of notes) options.onRun?.(one);
      for (const line of logs) options.log(line);
      return jobs;
    },
    settleJob: async (id, outcome) => void (await ask({ type: "settleJob", id, outcome }, "done")),
    onSchedule: (listener) => {
      scheduleListeners.add(listener);
      return () => scheduleListeners.delete(listener);
    },
    close: async () => {
      clearInterval(sweeper);
      await Promise.all([actions.close(), nodeActions.close()]);
      await pool.close();
      await txn.close();
    },
  };
}

/** What an action may ask of a transaction of its own, and what is refused it by name. */
const actionOps = new Set([
  "1.0/actions/schedule",
  "1.0/actions/cancel_job",
  "1.0/createFunctionHandle",
  "1.0/getDeploymentMetadata",
  "1.0/getRequestMetadata",
  "1.0/storageGetUrl",
  "1.0/storageGetMetadata",
  "1.0/storageGenerateUploadUrl",
  "1.0/storageDelete",
  "1.0/signJwt",
  "1.0/createServiceToken",
  "1.0/getServiceUrl",
  "1.0/componentArgument",
  "1.0/requireOperation",
]);

type Ran = { readonly result: Result; readonly logLines: readonly string[]; readonly ms: number };
type Who = Pick<CallRequest, "identity" | "requestId" | "client" | "scheduledId">;

function argsProblem(entry: FunctionEntry, args: string, tableOf: (number: number) => string | undefined): string | undefined {
  try {
    const values = JSON.parse(`[${args}]`) as Json[];
    if (checkedSize(values) > limits.argsBytesMax) return "FunctionArgumentsTooLarge: the arguments are over 16 MiB.";
    return findArgsMismatch(entry.args, values, tableOf);
  } catch (error) {
    if (error instanceof DeveloperError) return `Uncaught Error: ${error.message}`;
    throw error;
  }
}

/** A result for the action that asked; the request id is its own and is not said twice. */
function toAnswer(result: Result, requestId: string): string {
  if (result.ok) return `=${result.value}`;
  const message = withoutHead(result.message, requestId);
  return result.data === undefined ? `!${message}` : `?[${JSON.stringify(message)},${result.data}]`;
}

/** What went wrong, without the words that open every message for a client. */
function withoutHead(message: string, requestId: string): string {
  const head = clientMessage(requestId, "");
  return message.startsWith(head) ? message.slice(head.length) : message;
}

function toWire(request: Request): WireRequest {
  return { url: request.url, method: request.method, headers: [...request.headers], body: request.body };
}

/** Statuses for which `Response` takes no body at all. */
function isBodiless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/** The deployment's own queries are there for administrators. */
function systemEntry(path: string, identity: Identity): FunctionEntry | undefined {
  if (!isSystemPath(path) || identity.type !== "admin") return undefined;
  return { path, kind: "query", visibility: "internal", args: { type: "any" }, returns: null };
}

function toQueryRun(run: BatchRun, ts: bigint): QueryRun {
  const { reads, ms: _, ts: own, ...rest } = run;
  const keys = unpackKeys(reads);
  const ranges = reads.names.map((index, at): ReadRange => ({
    index,
    lower: keys[at * 2] as Uint8Array,
    upper: keys[at * 2 + 1] as Uint8Array,
  }));
  return { ...rest, ts: own ?? ts, reads: ranges };
}

function refusedQuery(request: CallRequest, message: string, ts: bigint): QueryRun {
  const result: Result = { ok: false, message: clientMessage(request.requestId, message) };
  return { result, ts, journal: null, logLines: [], reads: [], usedIdentity: true, usedTime: false };
}
