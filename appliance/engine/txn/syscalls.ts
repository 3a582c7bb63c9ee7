/**
 * What a query or mutation may ask of the engine, as one table: operation to handler. Requests and answers are JSON text in the shapes
 * that npm `convex` sends and expects. Nested runs (`1.0/runUdf`) belong to the driver, because they need the realm.
 */
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { decodeId, encodeId } from "../codec/id.ts";
import { limits } from "../codec/limits.ts";
import {
  asText,
  checkedSize,
  DeveloperError,
  isPlainObject,
  toFloat,
  toInteger,
  toSpecial,
  type Json,
  type JsonObject,
} from "../codec/value.ts";
import type { Identity, RequestClient } from "../model/call.ts";
import type { ReadRange } from "../model/commit.ts";
import { systemTables, type Table } from "../store/catalog.ts";
import { blobPath, writeBlob, type FileRow, type Files } from "../store/files.ts";
import type { Jobs } from "../store/jobs.ts";
import type { Store } from "../store/store.ts";
import { addressedPath, canonicalPath, modulePath, toHandle, type FunctionEntry } from "./functions.ts";
import { readPage, type PageRequest } from "./paginate.ts";
import { Stream, type Query } from "./stream.ts";
import { locate, withoutSystemFields, type Transaction } from "./transaction.ts";

/** What outlives a run and is the same for all of a thread. */
export type Surroundings = {
  readonly dir: string;
  readonly functions: ReadonlyMap<string, FunctionEntry>;
  readonly jobs: Jobs;
  readonly files: Files;
  /** Signs upload permits. */
  readonly secret: string;
  /** What was last committed, without what the transaction has written; undefined where no second connection can be had. */
  readonly openSnapshot?: () => { readonly store: Store; close(): void };
};

/** One root run with everything nested in it. */
export type Run = {
  readonly surroundings: Surroundings;
  readonly txn: Transaction;
  readonly identity: Identity;
  readonly requestId: string;
  readonly origin: string;
  /** The end cursor to read up to, from an earlier run of the same query. */
  readonly journal: string | null;
  /** Set by a job that runs as itself, so that it may be seen in its metadata. */
  readonly scheduledId: string | null;
  /** Who had it called, when that was a client. */
  readonly client: RequestClient | undefined;
  nextJournal: string | null;
  usedIdentity: boolean;
  isPaginated: boolean;
  hasScheduled: boolean;
  /** A failure that is not the app's: the run is over, whatever its code makes of it. */
  fault: unknown;
  readonly streams: Map<number, Stream>;
  streamCount: number;
  /** Hears of what a walk may come to read, before it begins. */
  readonly noteSpan?: (range: ReadRange) => void;
};

/** The function of the run, or of a run nested in it, that is asking. */
export type Asker = { readonly path: string; readonly kind: "query" | "mutation" };

export function openRun(
  options: Omit<Run, "nextJournal" | "usedIdentity" | "isPaginated" | "hasScheduled" | "fault" | "streams" | "streamCount">,
): Run {
  return {
    ...options,
    nextJournal: null,
    usedIdentity: false,
    isPaginated: false,
    hasScheduled: false,
    fault: undefined,
    streams: new Map(),
    streamCount: 0,
  };
}

/** What a client is told `ctx.auth` is. */
export function identityOf(identity: Identity): Json {
  if (identity.type === "user") return identity.attributes as JsonObject;
  if (identity.type === "admin" && identity.actingAs) return identity.actingAs as JsonObject;
  return null;
}

/** The original answers changes with the document; npm `convex` drops it, so it is not put into words. */
const unread = "null";

type Handler = (run: Run, request: JsonObject, asker: Asker) => string;

const handlers: Readonly<Record<string, Handler>> = {
  "1.0/get": get,
  "1.0/insert": insert,
  "1.0/shallowMerge": patch,
  "1.0/replace": replace,
  "1.0/remove": remove,
  "1.0/count": count,
  "1.0/queryStream": queryStream,
  "1.0/queryStreamNext": queryStreamNext,
  "1.0/queryCleanup": queryCleanup,
  "1.0/queryPage": queryPage,
  "1.0/db/normalizeId": normalizeId,
  "1.0/getSnapshotTs": (run) => JSON.stringify(toInteger(run.txn.ts)),
  "1.0/getUserIdentity": getUserIdentity,
  "1.0/getFunctionMetadata": (_run, _request, asker) => JSON.stringify({ name: asker.path, componentPath: "" }),
  // A self-hosted backend of Convex's calls itself the smallest class.
  "1.0/getDeploymentMetadata": () => JSON.stringify({ name: "nika", region: null, class: "s16" }),
  "1.0/getRequestMetadata": getRequestMetadata,
  "1.0/getTransactionMetrics": (run) => JSON.stringify(run.txn.budget.metrics()),
  "1.0/createFunctionHandle": (_run, request) => JSON.stringify(toHandle(functionNamed(_run, request).path)),
  "1.0/schedule": schedule,
  "1.0/cancel_job": cancelJob,
  "1.0/storageGetUrl": storageGetUrl,
  "1.0/storageGetMetadata": storageGetMetadata,
  "1.0/storageGenerateUploadUrl": storageGenerateUploadUrl,
  "1.0/storageDelete": storageDelete,
  "1.0/storageStore": storageStore,
  "1.0/storageGet": storageGet,
  "1.0/auditLog": () => "null",
};

const refused = new Set([
  "1.0/componentArgument",
  "1.0/requireOperation",
  "1.0/signJwt",
  "1.0/createServiceToken",
  "1.0/getServiceUrl",
]);

/** Answers one syscall. Fails with DeveloperError for what is the app's fault. */
export function answer(run: Run, op: string, text: string, asker: Asker): string {
  const handler = handlers[op];
  if (handler) return handler(run, JSON.parse(text) as JsonObject, asker);
  if (refused.has(op)) throw new DeveloperError(`${op} is not supported by the embedded engine yet.`);
  throw new DeveloperError(`Unknown async operation ${op}`);
}

function getRequestMetadata(run: Run, _request: JsonObject, asker: Asker): string {
  if (asker.kind === "query") throw new DeveloperError("Cannot get request metadata in a Query");
  const { ip = null, userAgent = null, authToken = null } = run.client ?? {};
  return JSON.stringify({ ip, userAgent, requestId: run.requestId, scheduledFunctionId: run.scheduledId, authToken });
}

function get(run: Run, request: JsonObject): string {
  const found = locate(run.txn, { ...request, id: request["id"] }, "get");
  return (found && run.txn.get(found.table, found.id)) ?? "null";
}

function insert(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  const table = request["table"];
  const value = request["value"];
  if (typeof table !== "string" || !isPlainObject(value) || toSpecial(value))
    throw new DeveloperError("`db.insert` needs a table and an object.");
  if (table.startsWith("_")) throw new DeveloperError("System tables (prefixed with `_`) are read-only.");
  refuseSystemFields(value);
  return JSON.stringify({ _id: run.txn.insert(table, value) });
}

function patch(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  return change(run, request, "patch", (old, value) => {
    const fields = withoutSystemFields(old);
    for (const key in value) {
      const field = value[key] as Json;
      if (key === "_id" || key === "_creationTime") mustBeSame(key, field, old);
      else if (isPlainObject(field) && toSpecial(field)?.type === "undefined") delete fields[key];
      else fields[key] = field;
    }
    return fields;
  });
}

function replace(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  return change(run, request, "replace", (old, value) => {
    for (const key of ["_id", "_creationTime"]) if (value[key] !== undefined) mustBeSame(key, value[key], old);
    return withoutSystemFields(value);
  });
}

function change(
  run: Run,
  request: JsonObject,
  method: "patch" | "replace",
  merge: (old: JsonObject, value: JsonObject) => JsonObject,
): string {
  const value = request["value"];
  if (!isPlainObject(value) || toSpecial(value)) throw new DeveloperError(`\`db.${method}\` needs an object.`);
  const { table, id, old } = mustFind(run, request, method, method === "patch" ? "Update" : "Replace");
  const fields = merge(old, value);
  refuseSystemFields(fields);
  run.txn.replace(table, id, old, fields);
  return unread;
}

function remove(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  const { table, id, old } = mustFind(run, request, "delete", "Delete");
  run.txn.remove(table, id, old);
  return unread;
}

function mustFind(
  run: Run,
  request: JsonObject,
  method: string,
  word: string,
): { table: Table; id: Uint8Array; old: JsonObject } {
  const found = locate(
    run.txn,
    { id: request["id"], ...(request["table"] === undefined ? {} : { table: request["table"] }) },
    method,
  );
  const json = found && run.txn.get(found.table, found.id);
  if (!json) throw new DeveloperError(`${word} on nonexistent document ID ${asText(request["id"])}`);
  return { ...found, old: JSON.parse(json) as JsonObject };
}

function mustWrite(asker: Asker): void {
  if (asker.kind === "query") throw new DeveloperError("Queries can't write: use a mutation.");
}

function mustBeSame(key: string, value: Json | undefined, old: JsonObject): void {
  if (value === old[key]) return;
  const [given, kept] = [JSON.stringify(value), JSON.stringify(old[key])];
  throw new DeveloperError(
    key === "_id"
      ? `Provided \`_id\` field value ${given} does not match the document ID ${kept}`
      : `Provided \`${key}\` field value ${given} does not match the document's \`${key}\` ${kept}`,
  );
}

function refuseSystemFields(fields: JsonObject): void {
  for (const key in fields)
    if (key.charCodeAt(0) === 95)
      throw new DeveloperError(`Field '${key}' starts with an underscore, which is only allowed for system fields like '_id'.`);
}

function count(run: Run, request: JsonObject): string {
  const name = asText(request["table"]);
  run.txn.noteRead({ index: `${name}.by_id`, lower: new Uint8Array(0), upper: new Uint8Array(18).fill(0xff) });
  const table = run.txn.tableNamed(name);
  return JSON.stringify(table ? run.txn.store.rows.count(table.id) : 0);
}

function queryStream(run: Run, request: JsonObject): string {
  const id = run.streamCount++;
  run.streams.set(id, new Stream(streamContext(run), toQuery(request["query"])));
  return JSON.stringify({ queryId: id });
}

function toQuery(given: Json | undefined): Query {
  const { source, operators } = isPlainObject(given) ? given : {};
  const { tableName, indexName, range = [], filters = [] } = isPlainObject(source) ? source : {};
  const isNamed = typeof tableName === "string" || typeof indexName === "string";
  if (!isNamed || ![operators, range, filters].every((one) => Array.isArray(one))) throw new DeveloperError("Malformed query.");
  return given as unknown as Query;
}

function queryStreamNext(run: Run, request: JsonObject): string {
  const stream = run.streams.get(request["queryId"] as number);
  if (!stream) throw new DeveloperError("This query is closed.");
  const json = stream.next();
  return json === undefined ? `{"value":null,"done":true}` : `{"value":${json},"done":false}`;
}

function queryCleanup(run: Run, request: JsonObject): string {
  const id = request["queryId"] as number;
  const stream = run.streams.get(id);
  run.txn.noteRead(stream?.range());
  return JSON.stringify(run.streams.delete(id));
}

/** Streams that nobody closed were still read. Call once, when the run is over. */
export function closeStreams(run: Run): void {
  for (const stream of run.streams.values()) run.txn.noteRead(stream.range());
  run.streams.clear();
}

function queryPage(run: Run, request: JsonObject): string {
  if (run.isPaginated)
    throw new DeveloperError(
      "This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.",
    );
  run.isPaginated = true;
  const page = { ...(request as unknown as PageRequest), query: toQuery(request["query"]) };
  const fromJournal = run.journal === null ? null : (JSON.parse(run.journal) as { endCursor: string | null }).endCursor;
  const result = readPage(streamContext(run), { ...page, endCursor: page.endCursor ?? fromJournal });
  run.txn.noteRead(result.stream.range());
  run.nextJournal = JSON.stringify({ endCursor: result.endCursor });
  return result.text;
}

function streamContext(run: Run) {
  const { store, budget } = run.txn;
  return {
    rows: store.rows,
    texts: store.searches.texts,
    noteRead: (range: ReadRange) => run.txn.noteRead(range),
    noteSpan: run.noteSpan,
    budget,
    get catalog() {
      return store.catalog;
    },
    writeCount: () => run.txn.writeCount,
  };
}

function normalizeId(run: Run, request: JsonObject): string {
  const table = run.txn.tableNamed(asText(request["table"]));
  const text = asText(request["idString"]);
  const decoded = table && decodeId(text);
  return JSON.stringify({ id: decoded?.table === table?.number && decoded ? text : null });
}

function getUserIdentity(run: Run): string {
  run.usedIdentity = true;
  return JSON.stringify(identityOf(run.identity));
}

/** Pseudo-index of the deployment's variables; the key is a variable's name. */
export const envIndex = "_env";

/** The result depends on this variable; with null, on which ones there are and all of their values. */
export function noteEnvRead(run: Run, name: string | null): void {
  if (name === null) run.txn.noteRead({ index: envIndex, lower: new Uint8Array(0), upper: Uint8Array.of(0xff) });
  else run.txn.notePoint(envIndex, Buffer.from(name));
}

/** The function that a request names, or why there is none. */
export function functionNamed(run: Run, request: JsonObject): FunctionEntry {
  if (typeof request["reference"] === "string")
    throw new DeveloperError("Components are not supported by the embedded engine yet.");
  const path = addressedPath(request);
  const entry = path === undefined ? undefined : run.surroundings.functions.get(path);
  if (entry) return entry;
  const [module = "", name = ""] = canonicalPath(path ?? asText(request["name"])).split(":");
  const isModuleKnown = [...run.surroundings.functions.keys()].some((one) => one.startsWith(`${module}:`));
  throw new DeveloperError(
    isModuleKnown
      ? `Couldn't find "${name}" in module "${module}.js".`
      : `Couldn't find JavaScript module '${module}.js'. Did you forget to run \`npx convex dev\`?`,
  );
}

function schedule(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  const entry = functionNamed(run, request);
  if (entry.kind === "query") throw new DeveloperError(`Queries can't be scheduled: ${entry.path}.`);
  const atMs = Number(request["ts"]) * 1000;
  if (!Number.isFinite(atMs) || Math.abs(atMs - run.txn.nowMs) > limits.scheduleAheadMs)
    throw new DeveloperError("A function can be scheduled at most five years ahead.");
  const args = isPlainObject(request["args"]) ? request["args"] : {};
  const size = checkedSize(args);
  if (size > limits.scheduledArgsBytesEachMax)
    throw new DeveloperError(
      `The arguments of a scheduled function are too large (${size} bytes > maximum size ${limits.scheduledArgsBytesEachMax} bytes)`,
    );
  run.txn.budget.schedule(size);
  // Seconds as a float lose the last digits of a millisecond.
  const scheduledTime = Math.round(atMs * 1000) / 1000;
  const id = run.txn.insert("_scheduled_functions", {
    name: modulePath(entry.path),
    args: [args],
    scheduledTime,
    state: { kind: "pending" },
  });
  const decoded = decodeId(id) as { id: Uint8Array };
  run.surroundings.jobs.add({
    id: decoded.id,
    path: entry.path,
    args: JSON.stringify(args),
    kind: entry.kind,
    atMs: scheduledTime,
  });
  run.hasScheduled = true;
  return JSON.stringify(id);
}

function cancelJob(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  const found = locate(run.txn, { id: request["id"], isSystem: true }, "cancel");
  const json = found && run.txn.get(found.table, found.id);
  if (!json || found.table.name !== "_scheduled_functions")
    throw new DeveloperError(`Scheduled function ${asText(request["id"])} not found.`);
  const document = JSON.parse(json) as JsonObject & { state: { kind: string } };
  // A running mutation is not interrupted, and what has ended stays as it is.
  if (document.state.kind !== "pending" && document.state.kind !== "inProgress") return "null";
  endJob(run, document, { kind: "canceled" });
  return "null";
}

/** Writes how a job ended where both the scheduler and the app see it. */
export function endJob(run: Run, document: JsonObject, state: JsonObject): void {
  const { id } = decodeId(asText(document["_id"])) as { id: Uint8Array };
  const table = run.txn.tableNamed("_scheduled_functions") as Table;
  run.txn.replace(table, id, document, { ...withoutSystemFields(document), completedTime: run.txn.nowMs, state });
  run.surroundings.jobs.move(id, "done", run.txn.nowMs);
  run.hasScheduled = true;
}

/** Reads the row too, so that the answer follows a delete. */
function fileOf(run: Run, request: JsonObject): FileRow | undefined {
  const text = asText(request["storageId"]);
  const decoded = decodeId(text);
  if (!decoded || decoded.table !== systemTables._storage) {
    const byUuid = run.surroundings.files.findByUuid(text);
    if (byUuid) return byUuid;
    throw new DeveloperError(`Invalid storage ID: "${text}"`);
  }
  run.txn.notePoint("_storage.by_id", decoded.id);
  return run.surroundings.files.find(decoded.id);
}

function storageGetUrl(run: Run, request: JsonObject): string {
  const file = fileOf(run, request);
  return JSON.stringify(file ? `${run.origin}/api/storage/${file.uuid}` : null);
}

function storageGetMetadata(run: Run, request: JsonObject): string {
  const file = fileOf(run, request);
  return JSON.stringify(
    file
      ? {
          storageId: encodeId(systemTables._storage, file.id),
          sha256: file.sha256,
          size: file.sizeBytes,
          contentType: file.contentType,
        }
      : null,
  );
}

function storageGenerateUploadUrl(run: Run, _request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  return JSON.stringify(`${run.origin}/api/storage/upload?token=${uploadToken(run.surroundings.secret, run.txn.nowMs)}`);
}

/** A permit to upload, good for an hour: when it ends, and a signature over that. */
function uploadToken(secret: string, nowMs: number): string {
  const until = String(Math.floor(nowMs) + limits.uploadTokenMs);
  return `${until}.${randomUUID()}.${sign(secret, until)}`;
}

export function isUploadToken(secret: string, token: string, nowMs: number): boolean {
  const [until = "", , signature = ""] = token.split(".");
  const wanted = sign(secret, until);
  return signature.length === wanted.length && timingSafe(signature, wanted) && Number(until) > nowMs;
}

function timingSafe(a: string, b: string): boolean {
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}

function sign(secret: string, text: string): string {
  return createHmac("sha256", secret).update(`upload ${text}`).digest("base64url");
}

function storageDelete(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  const file = fileOf(run, request);
  if (!file) throw new DeveloperError(`StorageIdNotFound: storage id ${asText(request["storageId"])} not found`);
  const table = run.txn.tableNamed("_storage") as Table;
  const json = run.txn.get(table, file.id);
  if (json) run.txn.remove(table, file.id, JSON.parse(json) as JsonObject);
  run.surroundings.files.remove(file, run.txn.nowMs);
  return "null";
}

function storageStore(run: Run, request: JsonObject, asker: Asker): string {
  mustWrite(asker);
  const bytes = Buffer.from(asText(request["blob"]), "base64");
  const sha256 = writeBlob(run.surroundings.dir, bytes);
  run.txn.budget.writeFile(bytes.length);
  const contentType = typeof request["contentType"] === "string" && request["contentType"] !== "" ? request["contentType"] : null;
  return JSON.stringify(addFile(run, { sha256, sizeBytes: bytes.length, contentType }).storageId);
}

function storageGet(run: Run, request: JsonObject): string {
  const file = fileOf(run, request);
  if (!file) return "null";
  run.txn.budget.readFile(file.sizeBytes);
  return JSON.stringify({
    blob: readFileSync(blobPath(run.surroundings.dir, file.sha256), "base64"),
    contentType: file.contentType,
  });
}

/** Makes bytes that are already on disk known under a new id. */
export function addFile(
  run: Run,
  file: { readonly sha256: string; readonly sizeBytes: number; readonly contentType: string | null },
) {
  const storageId = run.txn.insert("_storage", fileDocument(file));
  const { id } = decodeId(storageId) as { id: Uint8Array };
  const row = { id, uuid: randomUUID(), ...file };
  run.surroundings.files.add(row);
  return { storageId, uuid: row.uuid, ...file };
}

/** What `ctx.db.system` shows of a file, without the system fields. */
export function fileDocument(file: {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly contentType: string | null;
}): JsonObject {
  return {
    sha256: Buffer.from(file.sha256, "hex").toString("base64"),
    size: toFloat(file.sizeBytes),
    ...(file.contentType === null ? {} : { contentType: file.contentType }),
  };
}
