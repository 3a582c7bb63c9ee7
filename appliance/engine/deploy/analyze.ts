/** What a bundle offers, found by loading every module once in a realm that has no database. */
import vm from "node:vm";
import { DeveloperError, type JsonObject } from "../codec/value.ts";
import type { Validator } from "../codec/validator.ts";
import type { HttpRoute } from "../model/deployment.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import type { AppModule } from "./bundle.ts";
import type { CronDefinition, CronSchedule } from "./schedule.ts";

export type Analysis = {
  readonly functions: readonly FunctionEntry[];
  readonly httpRoutes: readonly HttpRoute[];
  readonly crons: readonly CronDefinition[];
  readonly authProviders: readonly JsonObject[];
  /** JSON text of the exported schema; null when the app has none. */
  readonly schema: string | null;
  /** Variables that auth.config wanted and did not get. */
  readonly missingAuthEnv: readonly string[];
};

const loadMs = 4000;

/**
 * Runs inside the context, so that what is thrown and what is returned are its own; gives JSON text. It calls what Convex's analysis
 * calls.
 */
function inspectModules(specials: { schema: boolean; crons: boolean; http: boolean; auth: boolean }): string {
  type Registered = Record<string, unknown> & { exportArgs(): string; exportReturns(): string };
  const modules = (globalThis as unknown as { __modules: Record<string, () => Record<string, unknown>> }).__modules;
  const functions: unknown[] = [];
  const load = (path: string) => {
    try {
      return modules[path]!();
    } catch (error) {
      throw new Error(`Loading the module ${path} failed: ${String((error as Error)?.stack ?? error)}`, { cause: error });
    }
  };
  for (const path of Object.keys(modules)) {
    if (path === "schema" || path === "auth.config") continue;
    for (const [name, value] of Object.entries(load(path))) {
      const one = value as Registered | null;
      if (typeof one !== "function" && typeof one !== "object") continue;
      const kinds = ["query", "mutation", "action"].filter(
        (kind) => one?.[`is${kind[0]!.toUpperCase()}${kind.slice(1)}`] === true,
      );
      if (!one || kinds.length !== 1 || (one["isPublic"] === true) === (one["isInternal"] === true)) continue;
      functions.push({
        path: `${path}:${name}`,
        kind: kinds[0],
        visibility: one["isPublic"] === true ? "public" : "internal",
        args: JSON.parse(one.exportArgs()),
        returns: JSON.parse(one.exportReturns()),
      });
    }
  }
  const specialDefault = (path: string, isThere: boolean) =>
    isThere ? (load(path)["default"] as Record<string, unknown> | undefined) : undefined;
  const wanted = (globalThis as unknown as { __missingEnv: string[] }).__missingEnv;
  wanted.length = 0;
  const auth = specialDefault("auth.config", specials.auth);
  const missingAuthEnv = [...new Set(wanted)];
  const schema = specialDefault("schema", specials.schema) as { export(): string } | undefined;
  const crons = specialDefault("crons", specials.crons) as { isCrons?: boolean; export(): string } | undefined;
  const http = specialDefault("http", specials.http) as { getRoutes(): [string, string, unknown][] } | undefined;
  if (specials.crons && crons?.isCrons !== true) throw new Error("crons must export default a cronJobs() object.");
  if (specials.http && typeof http?.getRoutes !== "function") throw new Error("http must export default an httpRouter() object.");
  return JSON.stringify({
    functions,
    schema: schema ? schema.export() : null,
    crons: crons ? JSON.parse(crons.export()) : {},
    httpRoutes: http ? http.getRoutes().map(([path, method]) => ({ path, method })) : [],
    authProviders: auth?.["providers"] ?? [],
    missingAuthEnv,
  });
}

/** Fails with what the modules throw while they load, and when auth.config wants a variable that is not set. */
export function analyze(
  code: string,
  modules: readonly AppModule[],
  runtime: { readonly env: Readonly<Record<string, string>>; readonly require: NodeJS.Require },
): Analysis {
  const context = vm.createContext(analysisGlobals(runtime));
  const specials = Object.fromEntries(
    ["schema", "crons", "http"].map((name) => [name, modules.some((one) => one.path === name)]),
  );
  const hasAuth = modules.some((one) => one.path === "auth.config");
  try {
    vm.runInContext(code, context, { timeout: loadMs, filename: "nika:functions" });
    const text = vm.runInContext(`(${inspectModules.toString()})(${JSON.stringify({ ...specials, auth: hasAuth })})`, context, {
      timeout: loadMs,
    }) as string;
    const found = JSON.parse(text) as Omit<Analysis, "crons" | "functions"> & {
      crons: Record<string, { name: string; args: [JsonObject?]; schedule: CronSchedule }>;
      functions: (Omit<FunctionEntry, "args" | "returns"> & { args: Validator; returns: Validator | null })[];
    };
    const crons = Object.entries(found.crons).map(([name, one]) => ({
      name,
      path: one.name,
      args: JSON.stringify(one.args[0] ?? {}),
      schedule: one.schedule,
    }));
    const inNode = new Set(modules.flatMap((one) => (one.isNode ? [one.path] : [])));
    const functions = found.functions.map((one) =>
      inNode.has(one.path.slice(0, one.path.lastIndexOf(":"))) ? { ...one, isNode: true as const } : one,
    );
    return { ...found, functions, crons };
  } catch (error) {
    throw new DeveloperError(`The functions could not be loaded: ${(error as Error).message}`);
  }
}

/** Node's own globals, because action modules may use them while loading, and the deployment's environment. */
function analysisGlobals({
  env,
  require,
}: {
  readonly env: Readonly<Record<string, string>>;
  readonly require: NodeJS.Require;
}): object {
  const names = [
    "URL",
    "URLSearchParams",
    "TextEncoder",
    "TextDecoder",
    "AbortController",
    "AbortSignal",
    "Headers",
    "Request",
    "Response",
    "Blob",
    "FormData",
    "fetch",
    "crypto",
    "atob",
    "btoa",
    "structuredClone",
    "setTimeout",
    "clearTimeout",
    "setInterval",
    "clearInterval",
    "queueMicrotask",
    "performance",
    "Buffer",
    "Event",
    "EventTarget",
    "ReadableStream",
  ];
  const globals = {};
  for (const name of names)
    Object.defineProperty(globals, name, {
      configurable: true,
      get: () => (globalThis as unknown as Record<string, unknown>)[name],
    });
  const silent = () => {};
  const missing: string[] = [];
  return Object.assign(globals, {
    __missingEnv: missing,
    require,
    process: { env: notingMisses(env, missing), version: "v24", versions: {}, platform: "linux", nextTick: queueMicrotask },
    console: { log: silent, info: silent, warn: silent, error: silent, debug: silent },
  });
}

function notingMisses(env: Readonly<Record<string, string>>, missing: string[]): object {
  return new Proxy(
    { ...env },
    {
      get: (target, name) => {
        if (typeof name === "string" && !Object.hasOwn(target, name)) missing.push(name);
        return Reflect.get(target, name) as unknown;
      },
    },
  );
}
