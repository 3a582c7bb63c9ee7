/**
 * convex-test's way of writing tests, on the engine itself: `convexTest(schema, modules)` takes what convex-test takes and gives what it
 * gives, but values, indexes, schemas, limits and scheduling are the real ones. Import this in place of `convex-test`:
 *
 *     const t = convexTest(schema, import.meta.glob("./convex/**\/*.*s"));
 *     await t.mutation(api.notes.add, { text: "hello" });
 */
import { createHash } from "node:crypto";
import {
  actionGeneric,
  getFunctionAddress,
  mutationGeneric,
  queryGeneric,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type FunctionReturnType,
  type GenericActionCtx,
  type GenericDataModel,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type GenericSchema,
  type HttpRouter,
  type OptionalRestArgs,
  type SchemaDefinition,
  type TransactionMetrics,
  type UserIdentity,
} from "convex/server";
import { ConvexError, convexToJson, jsonToConvex, type JSONValue, type Value } from "convex/values";
import { parseSchema } from "../codec/schema.ts";
import type { Identity } from "../model/call.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import { openModules, type ModuleImports, type Registered } from "./modules.ts";
import { failedResponse, openTestEngine, type Called, type TestEngine } from "./testEngine.ts";

type AnySchema = SchemaDefinition<GenericSchema, boolean>;
type Reference<Kind extends FunctionEntry["kind"]> = FunctionReference<Kind, "public" | "internal">;
type Given<F> = F extends FunctionReference<FunctionEntry["kind"], "public" | "internal"> ? OptionalRestArgs<F> : [];
type Gives<F> =
  F extends FunctionReference<FunctionEntry["kind"], "public" | "internal">
    ? FunctionReturnType<F>
    : F extends (ctx: never) => Promise<infer Output>
      ? Output
      : never;
/** A function of the app, or one written on the spot. */
type Caller<Kind extends FunctionEntry["kind"], Ctx> = <F extends Reference<Kind> | ((ctx: Ctx) => Promise<unknown>)>(
  referenceOrHandler: F,
  ...args: Given<F>
) => Promise<Gives<F>>;

export type TestConvexForDataModel<DataModel extends GenericDataModel> = {
  readonly query: Caller<"query", GenericQueryCtx<DataModel>>;
  readonly mutation: Caller<"mutation", GenericMutationCtx<DataModel>>;
  readonly action: Caller<"action", GenericActionCtx<DataModel>>;
  /** Reads and writes in one mutation of the test's own. */
  run<Output>(handler: (ctx: GenericMutationCtx<DataModel>) => Promise<Output>): Promise<Output>;
  /** Calls an HTTP action. What it throws becomes the answer a client would get. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Waits for the scheduled functions whose time has come. */
  finishInProgressScheduledFunctions(): Promise<void>;
  /** The same for all, and those that they schedule; `advanceTimers` moves the test's clock, as `vi.runAllTimers` does. */
  finishAllScheduledFunctions(advanceTimers: () => void, iterationsMax?: number): Promise<void>;
};

export type TestConvex<Schema extends AnySchema> = TestConvexForDataModel<DataModelFromSchemaDefinition<Schema>> & {
  /** The same tests by somebody who is signed in. */
  withIdentity(identity: Partial<UserIdentity>): TestConvexForDataModel<DataModelFromSchemaDefinition<Schema>>;
  /** Refused: the embedded engine has no components yet. */
  registerComponent(name: string, schema: AnySchema, modules: ModuleImports): never;
};

export type ConvexTestOptions<Schema extends AnySchema> = {
  readonly schema?: Schema;
  readonly modules?: ModuleImports;
  /** Lower limits for each transaction, to see how the app meets them. Convex's own always hold. */
  readonly transactionLimits?: Partial<TransactionLimits> | boolean;
};

type TransactionLimits = Record<keyof TransactionMetrics, number>;

/** An engine of its own for each test. The modules are those of the whole functions folder, with `_generated`. */
export function convexTest<Schema extends AnySchema>(
  schemaOrOptions?: Schema | ConvexTestOptions<Schema>,
  modules?: ModuleImports,
): TestConvex<Schema> {
  const options = isSchema(schemaOrOptions) ? { schema: schemaOrOptions, modules } : { modules, ...schemaOrOptions };
  if (!options.modules)
    throw new Error('convexTest needs the modules of the functions folder: pass import.meta.glob("./convex/**/*.*s").');
  const limits = typeof options.transactionLimits === "object" ? options.transactionLimits : {};
  const app = openModules(options.modules);
  const engine = openTestEngine({ schema: exported(options.schema), modules: app, limits });
  const as = (identity: Identity) => surface({ engine, identity, importModule: app.importModule });
  const mine = {
    ...as({ type: "none" }),
    withIdentity: (given: Partial<UserIdentity>) => as({ type: "user", attributes: wholeIdentity(given) }),
    registerComponent: () => {
      throw new Error("Components are not supported by the embedded engine yet.");
    },
  };
  return mine as unknown as TestConvex<Schema>;
}

function isSchema(given: unknown): given is AnySchema {
  return typeof given === "object" && given !== null && "tables" in given && typeof given.tables === "object";
}

/** Fails at once on a schema that a deploy would refuse. */
function exported(schema: AnySchema | undefined): string | null {
  if (!schema) return null;
  const text = (schema as unknown as { export(): string }).export();
  parseSchema(text);
  return text;
}

/** What a token would have carried. */
function wholeIdentity(given: Partial<UserIdentity>): Readonly<Record<string, unknown>> {
  const subject = given.subject ?? createHash("sha256").update(JSON.stringify(given)).digest("hex").slice(0, 16);
  const issuer = given.issuer ?? "https://convex.test";
  return { ...given, subject, issuer, tokenIdentifier: given.tokenIdentifier ?? `${issuer}|${subject}` };
}

type Surface = {
  readonly engine: TestEngine;
  readonly identity: Identity;
  readonly importModule: (name: string) => Promise<unknown>;
};
type Handler = (ctx: never) => Promise<Value>;

function surface({ engine, identity, importModule }: Surface) {
  const caller = (kind: FunctionEntry["kind"]) => async (given: Reference<FunctionEntry["kind"]> | Handler, args?: unknown) => {
    if (typeof given === "function") return valueOf(await engine.callInline(kind, wrapped(kind, given), identity));
    const { name } = getFunctionAddress(given) as { name?: string };
    if (name === undefined) throw new Error("Components are not supported by the embedded engine yet.");
    const text = JSON.stringify(convexToJson((args ?? {}) as Value));
    return valueOf(await engine.call({ kind, path: name, args: text, identity }));
  };
  return {
    query: caller("query"),
    mutation: caller("mutation"),
    action: caller("action"),
    run: async (handler: Handler) => valueOf(await engine.callInline("mutation", wrapped("mutation", handler), identity)),
    fetch: async (path: string, init?: RequestInit): Promise<Response> => {
      if (!path.startsWith("/")) throw new Error("The path given to `t.fetch` begins with a slash.");
      const url = new URL(`https://test.convex.site${path}`);
      const router = ((await importModule("http")) as { default?: HttpRouter } | undefined)?.default;
      const found = router?.lookup(url.pathname, (init?.method ?? "GET") as "GET");
      if (!found) return new Response(`No HttpAction routed for ${url.pathname}`, { status: 404 });
      const handler = found[0] as unknown as Registered;
      try {
        return await engine.http(identity, () => handler.invokeHttpAction(new Request(url, init)));
      } catch (reason) {
        return failedResponse(reason);
      }
    },
    finishInProgressScheduledFunctions: () => engine.finishRunningJobs(),
    finishAllScheduledFunctions: (advanceTimers: () => void, iterationsMax = 100) =>
      finishAll(engine, advanceTimers, iterationsMax),
  };
}

function wrapped(kind: FunctionEntry["kind"], handler: Handler): Registered {
  const wrap = kind === "query" ? queryGeneric : kind === "mutation" ? mutationGeneric : actionGeneric;
  return wrap({ handler: (ctx: unknown) => handler(ctx as never) }) as unknown as Registered;
}

/** Fails with what the function threw, or with what the engine has to say. */
function valueOf({ outcome, thrown }: Called): unknown {
  if (outcome.ok) return jsonToConvex(JSON.parse(outcome.value) as JSONValue);
  if (thrown) throw revived(thrown.reason);
  if (outcome.data !== undefined) throw new ConvexError(jsonToConvex(JSON.parse(outcome.data) as JSONValue));
  throw new Error(outcome.message.replace(/^Uncaught Error: /, ""));
}

/** On its way out of a function, a ConvexError's payload became text. */
function revived(reason: unknown): unknown {
  const error = reason as { ConvexErrorSymbol?: symbol; data?: unknown } | null;
  if (typeof error !== "object" || error?.ConvexErrorSymbol !== Symbol.for("ConvexError")) return reason;
  if (typeof error.data === "string") error.data = jsonToConvex(JSON.parse(error.data) as JSONValue);
  return reason;
}

const pumpsMax = 10_000;

async function finishAll(engine: TestEngine, advanceTimers: () => void, iterationsMax: number): Promise<void> {
  for (let round = 0; round < iterationsMax; round++) {
    advanceTimers();
    if (!engine.isRunningJobs()) return;
    for (let pump = 0; engine.isRunningJobs(); pump++) {
      if (pump === pumpsMax) throw new Error("A scheduled function did not end, however far the timers were advanced.");
      // An action may be waiting for a timer of its own.
      advanceTimers();
      await turn();
    }
  }
  throw new Error("finishAllScheduledFunctions: too many iterations. Check for infinitely recursive scheduled functions.");
}

/** One turn of the event loop, whatever the test has made of its timers. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port2.addEventListener("message", () => {
      port2.close();
      resolve();
    });
    port2.start();
    port1.postMessage(null);
  });
}
