/**
 * A thread or process of actions: Node's own globals, no database. Many actions run here at once; which of them is asking, its async context tells.
 * Everything they ask of the deployment goes through the main thread.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setPriority } from "node:os";
import { join } from "node:path";
import vm from "node:vm";
import { limits } from "../codec/limits.ts";
import { blobPath, writeBlob } from "../store/files.ts";
import { fullDiskMessage, isDiskFull } from "../store/full.ts";
import type { StoredFile } from "../model/file.ts";
import { openActionLink } from "./actionLink.ts";
import type { ToAction, WireResponse } from "./actionMessage.ts";
import { watchedBody } from "./bodies.ts";
import { failure, splitPath, type Outcome } from "./driver.ts";
import { logLine } from "./logLine.ts";
import { bundleName, openStackMapper } from "./stackMap.ts";

type Context = {
  readonly id: number;
  readonly identity: string;
  readonly requestId: string;
  readonly path: string;
  readonly logLines: string[];
  readonly timers: Map<string, number>;
  /** Fails the run with what nobody caught. Before it began to wait and after it ended, that is only remembered. */
  lose: (error: unknown) => void;
};
type Registered = Record<string, unknown> & {
  invokeAction(requestId: string, args: string): Promise<string>;
  invokeHttpAction(request: Request): Promise<Response>;
};
type Router = { getRoutes(): [string, string, Registered][] };
type Asking = { readonly resolve: (text: string) => void; readonly reject: (error: unknown) => void };

const actionNiceness = 5;

const { setup, say, onMessage } = await openActionLink();
// Whoever asks waits for queries and mutations; actions take what those leave. On Linux this is said of a thread, elsewhere it would be
// of the whole process.
if (process.platform === "linux") setPriority(actionNiceness);
const contexts = new AsyncLocalStorage<Context>();
const asking = new Map<number, Asking>();
let lastAsk = 0;
const mapStack = openStackMapper(setup.map);

function current(): Context {
  const context = contexts.getStore();
  if (!context) throw new Error("This can only be called while an action is running.");
  return context;
}

function ask(op: string, args: string): Promise<string> {
  const { id } = current();
  const number = ++lastAsk;
  return new Promise((resolve, reject) => {
    asking.set(number, { resolve, reject });
    say({ type: "ask", id, ask: number, op, args });
  });
}

async function storeBlob(blob: Blob, wanted: string | undefined): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const digest = createHash("sha256").update(bytes).digest();
  if (wanted !== undefined && wanted !== digest.toString("hex") && wanted !== digest.toString("base64"))
    throw new Error("The file's SHA-256 is not the one that was given.");
  const sha256 = written(bytes);
  const file = { sha256, sizeBytes: bytes.length, contentType: blob.type === "" ? null : blob.type };
  return JSON.parse(await ask("storeFile", JSON.stringify(file))) as string;
}

function written(bytes: Uint8Array): string {
  try {
    return writeBlob(setup.dir, bytes);
  } catch (error) {
    throw isDiskFull(error) ? new Error(fullDiskMessage, { cause: error }) : error;
  }
}

async function getBlob(storageId: string): Promise<Blob | null> {
  const file = JSON.parse(await ask("fileOfId", JSON.stringify(storageId))) as StoredFile | null;
  if (!file) return null;
  return new Blob([readFileSync(blobPath(setup.dir, file.sha256))], { type: file.contentType ?? "" });
}

const globals = globalThis as unknown as Record<string, unknown>;
globals["Convex"] = {
  syscall: (op: string) => {
    throw new Error(`Unknown operation ${op}`);
  },
  asyncSyscall: async (op: string, args: string) => {
    if (op === "1.0/getUserIdentity") return current().identity;
    if (op === "1.0/getFunctionMetadata") return JSON.stringify({ name: current().path, componentPath: "" });
    return ask(op, args);
  },
  jsSyscall: (op: string, args: { blob: Blob; storageId: string; options?: { sha256?: string } }) => {
    if (op === "storage/storeBlob") return storeBlob(args.blob, args.options?.sha256);
    if (op === "storage/getBlob") return getBlob(args.storageId);
    throw new Error(`Unknown operation ${op}`);
  },
};

for (const [method, level] of [
  ["log", "LOG"],
  ["info", "INFO"],
  ["warn", "WARN"],
  ["error", "ERROR"],
  ["debug", "DEBUG"],
  ["trace", "LOG"],
  ["table", "LOG"],
] as const)
  console[method] = (...args: unknown[]) => write(level, args);

function write(level: string, args: readonly unknown[]): void {
  const lines = contexts.getStore()?.logLines;
  if (lines && lines.length < limits.logLinesMax) lines.push(logLine(level, args, mapStack));
}

console.dir = (value: unknown) => write("LOG", [value]);
console.assert = (condition: unknown, ...args: unknown[]) => {
  if (!condition) write("ERROR", ["Assertion failed", ...args]);
};
// Node's own would be shared by all actions of the thread.
console.time = (label = "default") => {
  const { timers } = current();
  if (timers.has(label)) write("WARN", [`Timer '${label}' already exists`]);
  else timers.set(label, performance.now());
};
console.timeLog = (label = "default", ...args: unknown[]) => {
  const since = current().timers.get(label);
  if (since === undefined) write("WARN", [`Timer '${label}' does not exist`]);
  else write("LOG", [`${label}: ${(performance.now() - since).toFixed(3)}ms`, ...args]);
};
console.timeEnd = (label = "default") => {
  console.timeLog(label);
  current().timers.delete(label);
};

// As a plain script of this realm, with `require` for what "use node" modules take from Node itself.
globals["require"] = createRequire(join(setup.functionsDir, "_.js"));
new vm.Script(readFileSync(setup.code, "utf8"), { filename: bundleName }).runInThisContext();
const modules = globals["__modules"] as Record<string, () => Record<string, Registered | undefined>>;

// What nobody caught must not take the other actions down; it fails the one it belongs to, when that can be told. Only from here on: what
// fails while the bundle loads fails the thread.
const lose = (error: unknown): void => contexts.getStore()?.lose(error ?? new Error("Unhandled rejection"));
process.on("unhandledRejection", lose);
process.on("uncaughtException", lose);

/** A promise that rejects with what nobody caught, if that comes to pass. */
function losing(): { readonly lost: Promise<never>; readonly lose: (error: unknown) => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  // Nobody may be waiting at that moment.
  promise.catch(() => undefined);
  return { lost: promise, lose: reject };
}

async function runAction(message: ToAction & { type: "run" }): Promise<void> {
  const { lost, lose: onLost } = losing();
  const context: Context = { ...message, path: message.entry.path, logLines: [], timers: new Map(), lose: onLost };
  const outcome = await contexts.run(context, async (): Promise<Outcome> => {
    try {
      const [module, name] = splitPath(message.entry.path);
      const registered = modules[module]?.()[name];
      if (!registered) throw new Error(`Couldn't find "${name}" in module "${module}.js".`);
      const value = await Promise.race([registered.invokeAction(message.requestId, `[${message.args}]`), lost]);
      await Promise.race([new Promise<void>((resolve) => void setImmediate(resolve)), lost]);
      if (value.length > limits.resultBytesMax)
        return { ok: false, message: "TooLargeFunctionResult: the result is over 16 MiB." };
      return { ok: true, value };
    } catch (error) {
      return describe(error);
    }
  });
  say({ type: "done", id: message.id, outcome, logLines: context.logLines });
}

async function runHttp(message: ToAction & { type: "http" }): Promise<void> {
  const { id, route, request } = message;
  const { lost, lose: onLost } = losing();
  const context: Context = {
    ...message,
    path: `${route.method} ${route.path}`,
    logLines: [],
    timers: new Map(),
    lose: onLost,
  };
  const response = await contexts.run(context, async (): Promise<WireResponse> => {
    try {
      const router = modules["http"]?.()["default"] as unknown as Router;
      const found = router.getRoutes().find(([path, method]) => path === route.path && method === route.method);
      if (!found) throw new Error(`No HttpAction routed for ${route.path}`);
      const asked = new Request(request.url, {
        method: request.method,
        headers: request.headers.map(([key, value]) => [key, value] as [string, string]),
        body: request.body,
        ...(request.body ? { duplex: "half" } : {}),
      });
      const answer = await Promise.race([found[2].invokeHttpAction(asked), lost]);
      return { status: answer.status, headers: [...answer.headers], body: answer.body };
    } catch (error) {
      const outcome = describe(error);
      const text = { code: `[Request ID: ${message.requestId}] Server Error`, trace: outcome.ok ? "" : outcome.message };
      const body = Buffer.from(
        JSON.stringify(outcome.ok || outcome.data === undefined ? text : { ...text, data: JSON.parse(outcome.data) as unknown }),
      );
      const { message: reason } = outcome as { readonly message: string };
      return { status: 500, headers: [["content-type", "application/json"]], body: new Response(body).body, error: reason };
    }
  });
  const logLines = [...context.logLines];
  const end = (): void => say({ type: "ended", id, logLines: context.logLines.slice(logLines.length) });
  if (!response.body) {
    say({ type: "response", id, response, logLines });
    return end();
  }
  // What makes the bytes may still ask of the deployment, and log.
  const body = watchedBody(response.body, { step: (work) => contexts.run(context, work), onEnd: once(end) });
  say({ type: "response", id, response: { ...response, body }, logLines }, [body]);
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

function describe(thrown: unknown): Outcome {
  const error = thrown as { name?: string; message?: string; stack?: string; data?: unknown; ConvexErrorSymbol?: symbol };
  if (typeof thrown !== "object" || thrown === null || typeof error.message !== "string")
    return failure({ name: "", message: String(thrown) }, mapStack);
  const isConvexError = error.ConvexErrorSymbol === Symbol.for("ConvexError");
  return failure(
    {
      name: isConvexError ? "ConvexError" : (error.name ?? "Error"),
      message: error.message,
      // Frames of our own say nothing to the app's author.
      stack: (error.stack ?? "")
        .split("\n")
        .filter((line) => line.includes(bundleName))
        .join("\n"),
      ...(isConvexError && typeof error.data === "string" ? { data: error.data } : {}),
    },
    mapStack,
  );
}

onMessage((message) => {
  if (message.type === "ping") return say({ type: "pong" });
  if (message.type === "run") return void runAction(message);
  if (message.type === "http") return void runHttp(message);
  const one = asking.get(message.ask);
  asking.delete(message.ask);
  const { answer } = message;
  if (answer.startsWith("=")) one?.resolve(answer.slice(1));
  else if (answer.startsWith("!")) one?.reject(new Error(answer.slice(1)));
  else {
    const [text, data] = JSON.parse(answer.slice(1)) as [string, unknown];
    one?.reject(Object.assign(new Error(text), { data }));
  }
});
// It has come up; from now on its silence means something.
say({ type: "pong" });
