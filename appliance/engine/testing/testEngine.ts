/**
 * The engine's core for one test: its codec, store, transactions and scheduler as they are, over a database in memory, without threads
 * and sockets. One transaction is open at a time; actions run beside it.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { findArgsMismatch, findMismatch } from "../codec/validator.ts";
import { DeveloperError, type Json, type JsonObject } from "../codec/value.ts";
import type { Identity, Result } from "../model/call.ts";
import type { DueJob } from "../model/job.ts";
import { clientMessage, failure, kindMismatch, toAnswer, type Guarded, type Outcome } from "../exec/driver.ts";
import type { Reply, Task } from "../exec/message.ts";
import { openTasks } from "../exec/tasks.ts";
import { searchVectors } from "../search/vectorQuery.ts";
import { blobPath, writeBlob } from "../store/files.ts";
import { Store } from "../store/store.ts";
import { addressedPath, type FunctionEntry } from "../txn/functions.ts";
import { closeStreams, identityOf, openRun } from "../txn/syscalls.ts";
import { Transaction } from "../txn/transaction.ts";
import { filesDir, makeFilesFolder } from "./filesFolder.ts";
import { currentFrame, unwrapped, within, type Frame } from "./frames.ts";
import { shownName, type Modules, type Registered } from "./modules.ts";
import { loadNamed, openSameRealmRunner, toOutcome } from "./sameRealm.ts";

type Kind = FunctionEntry["kind"];
/** What came of a call. `thrown` is what the function itself threw, as it was thrown. */
export type Called = { readonly outcome: Outcome; readonly thrown?: { readonly reason: unknown } };

export type TestEngine = ReturnType<typeof openTestEngine>;

export const testOrigin = "https://test.convex.cloud";
const longestTimerMs = 2 ** 31 - 1;
const unwatched = { begin: () => {}, end: () => {}, commit: () => {}, published: () => {} };
const readOnly: Guarded = { savepoint: () => ({ keep: () => {}, undo: () => {} }) };
const nobody: Identity = { type: "none" };

/** `schema` is the JSON text of the exported schema. */
export function openTestEngine({
  schema,
  modules,
  limits,
}: {
  readonly schema: string | null;
  readonly modules: Modules;
  readonly limits: JsonObject;
}) {
  const owner = {};
  const dir = filesDir;
  const store = new Store(dir, "memory");
  const { db } = store;
  const runner = openSameRealmRunner(modules, owner, limits);
  const setup = {
    dir,
    functions: [],
    schema,
    schemaHash: createHash("sha256")
      .update(schema ?? "")
      .digest("hex"),
    crons: [],
    code: "",
    map: "",
    env: {},
  };
  const tasks = openTasks(setup, unwatched, { store, runner, functions: modules.entries });
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const rollback = db.prepare("ROLLBACK");
  const armed = new Set<string>();
  const inFlight = new Set<Promise<void>>();
  let lastId = 0;
  let tail: Promise<unknown> = Promise.resolve();

  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = tail.then(work);
    tail = mine.then(
      () => {},
      () => {},
    );
    return mine;
  };

  const perform = (task: Task): Promise<{ readonly reply: Reply; readonly thrown?: Called["thrown"] }> =>
    exclusively(async () => {
      runner.takeThrown();
      begin.run();
      try {
        const { reply, commits, hasScheduled } = await tasks.perform({ id: ++lastId, origin: testOrigin, task });
        const thrown = runner.takeThrown();
        const last = commits.at(-1);
        if (last) store.writeClock(last.ts);
        commit.run();
        if (hasScheduled) arm();
        return thrown ? { reply, thrown } : { reply };
      } catch (error) {
        if (db.isTransaction) rollback.run();
        store.noteCatalogChange();
        throw error;
      }
    });

  /** One timer for each job that waits, so that a test's own clock decides when it is due. */
  const arm = (): void => {
    for (const job of tasks.surroundings.jobs.due(Infinity, Number.MAX_SAFE_INTEGER)) {
      const id = Buffer.from(job.id).toString("hex");
      if (armed.has(id)) continue;
      armed.add(id);
      const waitMs = Math.max(0, job.atMs - Date.now());
      const isFar = waitMs > longestTimerMs;
      const timer = globalThis.setTimeout(
        () => {
          armed.delete(id);
          if (isFar) arm();
          else track(runDue(Math.max(Date.now(), job.atMs)));
        },
        Math.min(waitMs, longestTimerMs),
      ) as { unref?(): void } | number;
      // A test that is over does not wait for what it scheduled.
      if (typeof timer === "object") timer.unref?.();
    }
  };

  const track = (work: Promise<void>): void => {
    const mine = work.finally(() => inFlight.delete(mine));
    inFlight.add(mine);
  };

  const runDue = async (nowMs: number): Promise<void> => {
    const due = tasks.surroundings.jobs.due(nowMs, Number.MAX_SAFE_INTEGER);
    for (const { path } of due) await modules.load(path);
    const { reply } = await perform({ type: "runDue", nowMs, condemned: [] });
    if (reply.type === "jobs") await Promise.all(reply.jobs.map(runJob));
  };

  const runJob = async ({ id, path, args }: DueJob): Promise<void> => {
    const { outcome } = await call({ kind: "action", path, args, identity: nobody });
    await perform({ type: "settleJob", id, outcome: outcome.ok ? { ok: true } : { ok: false, message: outcome.message } });
  };

  const query = (entry: FunctionEntry, args: string, identity: Identity): Promise<Called> =>
    exclusively(async () => {
      runner.takeThrown();
      begin.run();
      try {
        const ts = store.snapshot();
        const run = openRun({
          surroundings: tasks.surroundings,
          txn: new Transaction(store, { ts, nowMs: Date.now(), isWritable: false }),
          identity,
          requestId: "",
          origin: testOrigin,
          journal: null,
          scheduledId: null,
          client: undefined,
        });
        const { outcome } = await runner.run(entry, args, run, readOnly);
        closeStreams(run);
        return toCalled(outcome, runner.takeThrown());
      } finally {
        rollback.run();
      }
    });

  const mutation = async (entry: FunctionEntry, args: string, identity: Identity): Promise<Called> => {
    const request = { path: entry.path, args, identity, requestId: randomBytes(8).toString("hex") };
    const { reply, thrown } = await perform({ type: "mutation", request });
    if (reply.type !== "mutation") throw new Error("The transaction code gave a wrong answer.");
    return toCalled(withoutRequestId(reply.result, request.requestId), thrown);
  };

  const action = async (entry: FunctionEntry, args: string, identity: Identity): Promise<Called> => {
    const wrong = findArgsMismatch(entry.args, JSON.parse(`[${args}]`) as Json[], tableOf);
    if (wrong !== undefined) return { outcome: { ok: false, message: wrong } };
    const frame = actionFrame(shownName(entry.path), identity);
    try {
      const value = await within(frame, () => modules.registered(entry.path).invokeAction("", `[${args}]`));
      const bad = entry.returns && findMismatch(entry.returns, JSON.parse(value) as Json, tableOf);
      return { outcome: bad ? { ok: false, message: `ReturnsValidationError: ${bad}` } : { ok: true, value } };
    } catch (reason) {
      return { outcome: toOutcome(reason), thrown: { reason } };
    }
  };

  const tableOf = (number: number) => store.catalog.tableOfNumber(number)?.name;

  const runEntry = (entry: FunctionEntry, args: string, identity: Identity): Promise<Called> => {
    if (entry.kind === "query") return query(entry, args, identity);
    return entry.kind === "mutation" ? mutation(entry, args, identity) : action(entry, args, identity);
  };

  /** Any function of the app, public or internal. */
  const call = async (request: {
    readonly kind: Kind;
    readonly path: string;
    readonly args: string;
    readonly identity: Identity;
  }): Promise<Called> => {
    const { kind, path, args, identity } = request;
    const outer = currentFrame(owner);
    // A test that calls from inside a transaction means that transaction; waiting for it to end would be for ever.
    if (outer?.isTransaction && kind !== "action") return nestedCall(outer, request);
    const entry = await modules.load(path);
    if (!entry)
      return { outcome: { ok: false, message: `Could not find function for '${path}'. Is its module among those given?` } };
    if (entry.kind !== kind) return { outcome: { ok: false, message: kindMismatch(entry, kind) } };
    return runEntry(entry, args, identity);
  };

  const nestedCall = async (
    frame: Frame,
    { kind, path, args }: { readonly kind: Kind; readonly path: string; readonly args: string },
  ): Promise<Called> => {
    const asked = JSON.stringify({ udfType: kind, name: path, args: JSON.parse(args) as Json });
    try {
      return { outcome: { ok: true, value: await frame.asyncSyscall("1.0/runUdf", asked) } };
    } catch (reason) {
      return { outcome: toOutcome(reason), thrown: { reason } };
    }
  };

  const callInline = async (kind: Kind, one: Registered, identity: Identity): Promise<Called> => {
    const entry = modules.addInline(kind, one);
    try {
      return await runEntry(entry, "{}", identity);
    } finally {
      modules.drop(entry.path);
    }
  };

  /** What an action asks. The letters are those of `exec/bootstrap.ts`. */
  const answerAction = async (path: string, identity: Identity, op: string, text: string): Promise<string> => {
    if (op === "1.0/getUserIdentity") return `=${JSON.stringify(identityOf(identity))}`;
    if (op === "1.0/actions/vectorSearch") {
      const { query: wanted } = JSON.parse(text) as { query: Json };
      return toAnswer(await exclusively(async () => searchVectors(store, JSON.stringify(wanted))));
    }
    const kind = callKinds[op];
    if (kind) {
      const asked = JSON.parse(text) as JsonObject;
      const named = addressedPath(asked);
      if (named === undefined) return "!Components are not supported by the embedded engine yet.";
      const { outcome } = await call({ kind, path: named, args: JSON.stringify(asked["args"] ?? {}), identity });
      return toAnswer(outcome);
    }
    if (op === "1.0/getFunctionMetadata") return `=${JSON.stringify({ name: path, componentPath: "" })}`;
    await loadNamed(modules, text);
    const plain = op.replace("1.0/actions/", "1.0/");
    const { reply } = await perform({ type: "syscall", op: plain, args: text, identity, requestId: "" });
    if (reply.type === "value") return `=${reply.value}`;
    if (reply.type !== "failed") throw new Error("The transaction code gave a wrong answer.");
    return reply.data === undefined ? `!${reply.message}` : `?[${JSON.stringify(reply.message)},${reply.data}]`;
  };

  const actionFrame = (path: string, identity: Identity): Frame => ({
    owner,
    isTransaction: false,
    syscall: (op) => {
      throw new Error(`Unknown operation ${op}`);
    },
    asyncSyscall: async (op, text) => unwrapped(await answerAction(path, identity, op, text)),
    jsSyscall: (op, args) => {
      if (op === "storage/storeBlob") return storeBlob(args["blob"] as Blob);
      if (op === "storage/getBlob") return getBlob(args["storageId"] as string);
      throw new Error(`Unknown operation ${op}`);
    },
  });

  const storeBlob = async (blob: Blob): Promise<string> => {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    makeFilesFolder();
    const sha256 = writeBlob(dir, bytes);
    const file = { sha256, sizeBytes: bytes.length, contentType: blob.type === "" ? null : blob.type };
    const { reply } = await perform({ type: "storeFile", file });
    if (reply.type !== "file" || !reply.file) throw new Error("The file could not be stored.");
    return reply.file.storageId;
  };

  const getBlob = async (storageId: string): Promise<Blob | null> => {
    const { reply } = await perform({ type: "fileOfId", storageId });
    if (reply.type === "failed") throw new DeveloperError(reply.message);
    const file = reply.type === "file" ? reply.file : undefined;
    return file ? new Blob([readFileSync(blobPath(dir, file.sha256))], { type: file.contentType ?? "" }) : null;
  };

  return {
    call,
    callInline,
    http: (identity: Identity, work: () => Promise<Response>): Promise<Response> => within(actionFrame("http", identity), work),
    isRunningJobs: () => inFlight.size > 0,
    finishRunningJobs: async () => {
      while (inFlight.size > 0) await Promise.all(inFlight);
    },
  };
}

const callKinds: Readonly<Record<string, Kind>> = {
  "1.0/actions/query": "query",
  "1.0/actions/mutation": "mutation",
  "1.0/actions/action": "action",
};

function toCalled(outcome: Outcome, thrown: Called["thrown"]): Called {
  return thrown && !outcome.ok ? { outcome, thrown } : { outcome };
}

/** A test reads the message itself. */
function withoutRequestId(result: Result, requestId: string): Outcome {
  return result.ok ? result : { ...result, message: result.message.slice(clientMessage(requestId, "").length) };
}

/** The answer to a request whose handler threw, as the engine's HTTP server gives it. */
export function failedResponse(reason: unknown): Response {
  const outcome = toOutcome(reason);
  const failed = outcome.ok ? failure({ name: "", message: "" }, (stack) => stack) : outcome;
  const body = { code: "Server Error", trace: failed.ok ? "" : failed.message };
  return Response.json(body, { status: 500 });
}
