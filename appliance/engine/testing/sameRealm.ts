/**
 * The second implementation of `Runner`: functions run where the test runs, with its globals, its debugger and its fake timers. The
 * transaction beneath is the engine's own. What only a realm of its own can give is not here: frozen time, seeded randomness, budgets
 * of time, "Returned promise will never resolve".
 */
import { setImmediate } from "node:timers";
import { DeveloperError, type JsonObject } from "../codec/value.ts";
import {
  answered,
  argsRefusal,
  checkedResult,
  failure,
  nestedEntry,
  refusal,
  toAnswer,
  type Guarded,
  type Outcome,
} from "../exec/driver.ts";
import type { Runner } from "../exec/runner.ts";
import { addressedPath, type FunctionEntry } from "../txn/functions.ts";
import type { Asker, Run } from "../txn/syscalls.ts";
import { makeFilesFolder } from "./filesFolder.ts";
import { unwrapped, within, type Frame } from "./frames.ts";
import { shownName, type Modules } from "./modules.ts";

export type SameRealmRunner = Runner & {
  /** What the last root run threw itself, as it was thrown. Forgotten once taken. */
  takeThrown(): { readonly reason: unknown } | undefined;
};

type Drive = {
  readonly run: Run;
  readonly guarded: Guarded;
  readonly modules: Modules;
  readonly owner: object;
  readonly thrown: (reason: unknown) => void;
};

/** `limits` are lower ones than Convex's, by the names of `ctx.meta.getTransactionMetrics()`. */
export function openSameRealmRunner(modules: Modules, owner: object, limits: JsonObject): SameRealmRunner {
  let thrown: { readonly reason: unknown } | undefined;
  return {
    warm: () => {},
    run: async (entry, args, run, guarded) => {
      thrown = undefined;
      const keep = (reason: unknown) => {
        thrown = { reason };
      };
      run.txn.budget.narrow(limits);
      const outcome = await drive({ run, guarded, modules, owner, thrown: keep }, entry, `[${args}]`, 0);
      if (run.fault !== undefined) throw run.fault;
      return { outcome, logLines: [], usedTime: true, ms: 0 };
    },
    takeThrown: () => {
      const taken = thrown;
      thrown = undefined;
      return taken;
    },
  };
}

async function drive(options: Drive, entry: FunctionEntry, args: string, depth: number): Promise<Outcome> {
  const { run, modules } = options;
  try {
    const wrong = argsRefusal(run, entry, args);
    if (wrong) return wrong;
  } catch (error) {
    if (!(error instanceof DeveloperError)) throw error;
    return refusal(error);
  }
  const asker: Asker = { path: shownName(entry.path), kind: entry.kind === "query" ? "query" : "mutation" };
  const { frame, settled } = openFrame(options, asker, (text) => nested(options, text, asker, depth));
  const one = modules.registered(entry.path);
  try {
    const value = await within(frame, () => (entry.kind === "query" ? one.invokeQuery(args) : one.invokeMutation(args)));
    await settled();
    return checkedResult(run, entry, value);
  } catch (reason) {
    await settled();
    if (depth === 0) options.thrown(reason);
    return toOutcome(reason);
  }
}

/** Answers in order of asking: at once, unless something before it had to wait. */
function openFrame(
  { run, modules, owner }: Drive,
  asker: Asker,
  nested: (text: string) => Promise<string>,
): { readonly frame: Frame; readonly settled: () => Promise<void> } {
  let waiting = 0;
  let tail: Promise<unknown> = Promise.resolve();
  const wait = (op: string, args: string): Promise<string> => {
    waiting++;
    const answer = tail.then(async () => {
      await loadNamed(modules, args);
      return op === "1.0/runUdf" ? nested(args) : ask(op, args);
    });
    tail = answer.then(
      () => waiting--,
      () => waiting--,
    );
    return answer.then(unwrapped);
  };
  const ask = (op: string, args: string): string => {
    if (op === "1.0/storageStore") makeFilesFolder();
    return answered(run, op, args, asker);
  };
  const frame: Frame = {
    owner,
    isTransaction: true,
    syscall: (op, args) => unwrapped(ask(op, args)),
    asyncSyscall: async (op, args) => (waiting > 0 || namesFunctions.has(op) ? wait(op, args) : unwrapped(ask(op, args))),
    jsSyscall: (op) => {
      throw new Error(`Unknown operation ${op}`);
    },
  };
  return {
    frame,
    // What nobody waited for is done all the same, as on the real backend.
    settled: async () => {
      for (let seen; seen !== tail; await turn()) {
        seen = tail;
        await seen;
      }
    },
  };
}

/** What the app does with an answer it does in promises, all of which have run by then. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

const namesFunctions = new Set(["1.0/runUdf", "1.0/schedule", "1.0/createFunctionHandle"]);

/** So that the look-up that follows, which cannot wait, finds it. */
export async function loadNamed(modules: Modules, args: string): Promise<void> {
  const path = addressedPath(JSON.parse(args) as JsonObject);
  if (path !== undefined) await modules.load(path);
}

async function nested(options: Drive, text: string, asker: Asker, depth: number): Promise<string> {
  try {
    const request = JSON.parse(text) as JsonObject;
    const entry = nestedEntry(options.run, request, asker, depth);
    const savepoint = entry.kind === "mutation" ? options.guarded.savepoint() : undefined;
    const widen = options.run.txn.budget.narrow(request["transactionLimits"]);
    const outcome = await drive(options, entry, `[${JSON.stringify(request["args"] ?? {})}]`, depth + 1);
    widen();
    if (outcome.ok) savepoint?.keep();
    else savepoint?.undo();
    return toAnswer(outcome);
  } catch (error) {
    if (error instanceof DeveloperError) return `!${error.message}`;
    options.run.fault ??= error;
    return "!The engine failed.";
  }
}

/** A thrown value in the words for the client. Stacks are left to the error itself, which the test gets. */
export function toOutcome(reason: unknown): Outcome {
  const error = reason as { name?: unknown; message?: unknown; data?: unknown; ConvexErrorSymbol?: unknown };
  if (typeof reason !== "object" || reason === null || typeof error.message !== "string")
    return failure({ name: "", message: String(reason) }, (stack) => stack);
  const isConvexError = error.ConvexErrorSymbol === Symbol.for("ConvexError");
  return failure(
    {
      name: isConvexError ? "ConvexError" : typeof error.name === "string" ? error.name : "Error",
      message: error.message,
      ...(isConvexError && typeof error.data === "string" ? { data: error.data } : {}),
    },
    (stack) => stack,
  );
}
