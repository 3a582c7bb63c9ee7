/** Runs one function, and those nested in it, to the end: start, answer what it asks, read its outcome. All within one turn of the thread. */
import { randomFillSync } from "node:crypto";
import { limits } from "../codec/limits.ts";
import { findArgsMismatch, findMismatch } from "../codec/validator.ts";
import { checkedSize, DeveloperError, type Json, type JsonObject } from "../codec/value.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import { answer, functionNamed, noteEnvRead, openRun, type Asker, type Run } from "../txn/syscalls.ts";
import { Transaction } from "../txn/transaction.ts";
import type { Realm } from "./realm.ts";
import type { StackMapper } from "./stackMap.ts";

/** JSON text of the value, or what went wrong: already in the words for the client, without the request id. */
export type Outcome =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly message: string; readonly data?: string };

export type Guarded = { savepoint(): { keep(): void; undo(): void } };

type Thrown = { readonly name: string; readonly message: string; readonly stack?: string; readonly data?: string };

export type DriveOptions = {
  readonly run: Run;
  readonly realm: Realm;
  readonly guarded: Guarded;
  readonly mapStack: StackMapper;
  readonly log: (line: string) => void;
};

// Many at once: asking the system for each costs more than many a query.
const seeds = new Int32Array(4 * 256);
let seedsTaken = seeds.length;

function nextSeed(): number {
  if (seedsTaken === seeds.length) {
    randomFillSync(seeds);
    seedsTaken = 0;
  }
  return seeds[seedsTaken++]!;
}

/** `args` is the JSON text of the arguments object. */
export function drive(
  options: DriveOptions,
  entry: FunctionEntry,
  args: string,
): { readonly outcome: Outcome; readonly usedTime: boolean } {
  const { run, realm } = options;
  realm.bridge.prepare(Math.floor(run.txn.nowMs));
  realm.bridge.seed(nextSeed(), nextSeed(), nextSeed(), nextSeed());
  const outcome = driveOne(options, entry, `[${args}]`, 0);
  for (const name of realm.loadedEnv) noteEnvRead(run, name);
  if (run.fault !== undefined) throw run.fault;
  return { outcome, usedTime: realm.bridge.usedTime() };
}

function driveOne(options: DriveOptions, entry: FunctionEntry, args: string, depth: number): Outcome {
  try {
    return driveChecked(options, entry, args, depth);
  } catch (error) {
    if (!(error instanceof DeveloperError)) throw error;
    return refusal(error);
  }
}

function driveChecked(options: DriveOptions, entry: FunctionEntry, args: string, depth: number): Outcome {
  const { run, realm } = options;
  const { bridge } = realm;
  const wrong = argsRefusal(run, entry, args);
  if (wrong) return wrong;

  const asker: Asker = { path: entry.path, kind: entry.kind === "query" ? "query" : "mutation" };
  realm.calls = {
    origin: run.origin,
    log: options.log,
    call: (op, text) => answered(run, op, text, asker),
    noteEnv: (name) => noteEnvRead(run, name),
  };
  const [module, name] = splitPath(entry.path);
  bridge.start(module, name, entry.kind === "query" ? "invokeQuery" : "invokeMutation", args);
  try {
    realm.drain();
    for (;;) {
      if (bridge.outcome().startsWith("!")) break;
      const op = bridge.nextOp();
      if (op === undefined) break;
      const text = bridge.nextArgs();
      const mine = realm.calls;
      const reply = op === "1.0/runUdf" ? nested(options, text, asker, depth) : answered(run, op, text, asker);
      realm.calls = mine;
      bridge.settle(reply);
      realm.drain();
    }
    const outcome = bridge.outcome();
    if (outcome === "") return { ok: false, message: "Uncaught Error: Returned promise will never resolve" };
    if (outcome.startsWith("!")) return failure(JSON.parse(outcome.slice(1)) as Thrown, options.mapStack);
    return checkedResult(run, entry, outcome.slice(1));
  } finally {
    bridge.finish();
  }
}

function tableOf(run: Run): (number: number) => string | undefined {
  return (number) => run.txn.store.catalog.tableOfNumber(number)?.name;
}

/** Why a run with these arguments may not begin; undefined when it may. */
export function argsRefusal(run: Run, entry: FunctionEntry, args: string): Outcome | undefined {
  const values = JSON.parse(args) as Json[];
  if (checkedSize(values) > limits.argsBytesMax)
    throw new DeveloperError("FunctionArgumentsTooLarge: the arguments are over 16 MiB.");
  const message = findArgsMismatch(entry.args, values, tableOf(run));
  return message === undefined ? undefined : { ok: false, message };
}

export function checkedResult(run: Run, entry: FunctionEntry, value: string): Outcome {
  if (value.length > limits.resultBytesMax) return { ok: false, message: "TooLargeFunctionResult: the result is over 16 MiB." };
  if (!entry.returns) return { ok: true, value };
  const wrong = findMismatch(entry.returns, JSON.parse(value) as Json, tableOf(run));
  return wrong === undefined ? { ok: true, value } : { ok: false, message: `ReturnsValidationError: ${wrong}` };
}

/** One syscall, in the form the realm reads. What is not the developer's fault ends the run instead. */
export function answered(run: Run, op: string, text: string, asker: Asker): string {
  try {
    return `=${answer(run, op, text, asker)}`;
  } catch (error) {
    if (!(error instanceof DeveloperError)) {
      run.fault ??= error;
      return "!The engine failed.";
    }
    return error.data === undefined ? `!${error.message}` : `?${JSON.stringify([error.message, error.data])}`;
  }
}

/** `ctx.runQuery` and `ctx.runMutation`: on failure its writes vanish, and the parent may catch the error. */
function nested(options: DriveOptions, text: string, asker: Asker, depth: number): string {
  try {
    const request = JSON.parse(text) as JsonObject;
    const entry = nestedEntry(options.run, request, asker, depth);
    if (request["udfType"] === "snapshotQuery") return stale(options, entry, { request, depth });
    const savepoint = entry.kind === "mutation" ? options.guarded.savepoint() : undefined;
    const widen = options.run.txn.budget.narrow(request["transactionLimits"]);
    const outcome = driveOne(options, entry, `[${JSON.stringify(request["args"] ?? {})}]`, depth + 1);
    widen();
    if (outcome.ok) savepoint?.keep();
    else savepoint?.undo();
    return toAnswer(outcome);
  } catch (error) {
    if (!(error instanceof DeveloperError)) {
      options.run.fault ??= error;
      return "!The engine failed.";
    }
    return `!${error.message}`;
  }
}

/** A query that sees nothing of what its mutation has written: `useStaleSnapshot`. */
function stale(
  options: DriveOptions,
  entry: FunctionEntry,
  { request, depth }: { readonly request: JsonObject; readonly depth: number },
): string {
  const { run } = options;
  const args = `[${JSON.stringify(request["args"] ?? {})}]`;
  const snapshot = run.surroundings.openSnapshot?.();
  if (!snapshot) return toAnswer(driveOne(options, entry, args, depth + 1));
  try {
    const { store } = snapshot;
    const txn = new Transaction(store, { ts: store.snapshot(), nowMs: run.txn.nowMs, isWritable: false });
    txn.budget.narrow(request["transactionLimits"]);
    const { surroundings, identity, requestId, origin, scheduledId, client } = run;
    const own = openRun({ surroundings, txn, identity, requestId, origin, journal: null, scheduledId, client });
    const outcome = driveOne({ ...options, run: own }, entry, args, depth + 1);
    run.fault ??= own.fault;
    return toAnswer(outcome);
  } finally {
    snapshot.close();
  }
}

/** What `ctx.runQuery` or `ctx.runMutation` names, when it may run here. */
export function nestedEntry(run: Run, request: JsonObject, asker: Asker, depth: number): FunctionEntry {
  const wanted = request["udfType"] === "mutation" ? "mutation" : "query";
  if (wanted === "mutation" && asker.kind === "query") throw new DeveloperError("A query can't run a mutation.");
  if (depth + 1 > limits.nestingOfRunsMax)
    throw new DeveloperError(`Functions may call each other ${limits.nestingOfRunsMax} deep at most.`);
  const entry = functionNamed(run, request);
  if (entry.kind !== wanted) throw new DeveloperError(kindMismatch(entry, wanted));
  return entry;
}

/** How a nested run ended, in the form its parent reads. */
export function toAnswer(outcome: Outcome): string {
  if (outcome.ok) return `=${outcome.value}`;
  return outcome.data === undefined ? `!${outcome.message}` : `?${JSON.stringify([outcome.message, JSON.parse(outcome.data)])}`;
}

export function kindMismatch(entry: FunctionEntry, wanted: string): string {
  const title = (kind: string) => kind[0]!.toUpperCase() + kind.slice(1);
  return `Trying to execute ${entry.path} as ${title(wanted)}, but it is defined as ${title(entry.kind)}.`;
}

export function splitPath(path: string): readonly [string, string] {
  const colon = path.lastIndexOf(":");
  return [path.slice(0, colon), path.slice(colon + 1)];
}

export function refusal(error: DeveloperError): Outcome {
  const message = `Uncaught Error: ${error.message}`;
  return error.data === undefined ? { ok: false, message } : { ok: false, message, data: JSON.stringify(error.data) };
}

/** A thrown error in the words for the client. */
export function failure(thrown: Thrown, mapStack: StackMapper): Outcome {
  // The message stands at the head of a stack, and may hold the stack of another error.
  const { stack: whole = "", message: told } = thrown;
  const frames = whole.includes(told) ? whole.slice(whole.indexOf(told) + told.length) : whole;
  const lines = frames.split("\n").filter((line) => /^\s+at /.test(line));
  const mapped = mapStack(lines.join("\n"));
  const stack = mapped === "" ? "" : `\n${mapped}`;
  const head = thrown.name === "" ? `Uncaught ${thrown.message}` : `Uncaught ${thrown.name}: ${thrown.message}`;
  const message = head + stack;
  return thrown.data === undefined ? { ok: false, message } : { ok: false, message, data: thrown.data };
}

/** What the client is told of a failure. */
export function clientMessage(requestId: string, message: string): string {
  return `[Request ID: ${requestId}] Server Error\n${message}`;
}
