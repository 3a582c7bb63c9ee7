/**
 * `npx convex deploy` and `npx convex dev`: what the command line pushes, checked and analysed before anything is changed, then put in
 * force at once. Requests and answers have the shapes that npm `convex` 1.48 sends and expects.
 */
import { createHash, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DeveloperError, toInteger } from "../codec/value.ts";
import type { Core } from "../core.ts";
import type { Analysis } from "./analyze.ts";
import type { DeploymentChanges } from "../model/deployment.ts";
import { loadApp } from "./load.ts";
import type { IndexConfig, SchemaDiff } from "./schemaDiff.ts";
import { readStored, unpackPushed, type PushedModule } from "./stored.ts";

type Request = Readonly<Record<string, unknown>>;
type Schema = {
  readonly tables: readonly { readonly tableName: string; readonly stagedDbIndexes?: readonly unknown[] }[];
};

export type Pushes = {
  /** Of the modules that run, so that only others need be sent. */
  hashes(): readonly { readonly path: string; readonly environment: string; readonly hash: string }[];
  /** What the schema of a push would change. */
  evaluateSchema(request: Request): Promise<unknown>;
  /** What the whole push would change; asked where `evaluateSchema` could not be answered. */
  evaluate(request: Request): Promise<unknown>;
  start(request: Request): Promise<unknown>;
  waitForSchema(request: Request): Promise<unknown>;
  finish(request: Request): Promise<unknown>;
};

/** Why a push cannot be: a refusal that the command line knows by its code. */
export class PushRefusal extends DeveloperError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Pushes begun and not finished; more would be forgotten ones. */
const begunMax = 4;

type Begun = { readonly app: string; readonly analysis: Analysis; readonly diff: SchemaDiff };

export function openPushes({ core, dir }: { readonly core: Core; readonly dir: string }): Pushes {
  const begun = new Map<string, Begun>();

  const changes = (): DeploymentChanges => {
    if (core.changes?.canPush) return core.changes;
    throw new DeveloperError(
      "This deployment runs a folder of functions that the program around it named; change that folder, or open the engine without `functionsDir` to push to it.",
    );
  };

  const get = (request: Request, field: "schemaChange" | "startPush") => {
    const { pushId } = (request[field] ?? {}) as { pushId?: unknown };
    const found = typeof pushId === "string" ? begun.get(pushId) : undefined;
    if (!found) throw new DeveloperError("This push is not known here any more; start it again.");
    return found;
  };

  const diffOf = async (schema: string | null): Promise<SchemaDiff> => {
    const text = await core.administer?.({ type: "diffSchema", schema });
    if (text === undefined) throw new Error("This core has no administration.");
    return JSON.parse(text) as SchemaDiff;
  };

  const load = async (request: Request) => {
    const { env } = changes();
    const modules = modulesOf(request, storedModules(dir));
    const app = JSON.stringify(modules);
    const { functionsDir, cacheDir } = unpackPushed(dir, app);
    const { analysis } = await loadApp({ dir: cacheDir, functionsDir, env: env() });
    refuseUnsupported(analysis);
    mustHaveProviders(analysis);
    return { modules, app, analysis, diff: await diffOf(analysis.schema) };
  };

  return {
    hashes: () => storedModules(dir).map(({ path, environment, ...rest }) => ({ path, environment, hash: hashOf(rest) })),
    evaluateSchema: async (request) => {
      const { env } = changes();
      refuseComponents(request);
      const { schema: module } = definitionOf(request);
      const modules = module ? [plainModule(module)] : [];
      // A place of its own, because an app may be nothing but its schema.
      const place = join(dir, "pushed", `schema-${randomBytes(8).toString("hex")}`);
      try {
        const { functionsDir, cacheDir } = unpackPushed(place, JSON.stringify(modules));
        const { analysis } = await loadApp({ dir: cacheDir, functionsDir, env: env() });
        refuseUnsupported(analysis);
        return evaluationAnswer(await diffOf(analysis.schema));
      } finally {
        rmSync(place, { recursive: true, force: true });
      }
    },
    evaluate: async (request) => ({ schemaChange: schemaChangeOf((await load(request)).diff) }),
    start: async (request) => {
      const { modules, app, analysis, diff } = await load(request);
      const pushId = randomBytes(8).toString("hex");
      begun.set(pushId, { app, analysis, diff });
      for (const oldest of begun.keys()) if (begun.size > begunMax) begun.delete(oldest);
      return startAnswer(pushId, modules, { analysis, diff });
    },
    waitForSchema: async (request) => {
      changes();
      const { analysis } = get(request, "schemaChange");
      if (analysis.schema === null) return { type: "complete" };
      const breach = JSON.parse((await core.administer?.({ type: "checkSchema", schema: analysis.schema })) ?? "null") as {
        tableName: string;
        message: string;
      } | null;
      if (!breach) return { type: "complete" };
      return { type: "failed", error: breach.message, componentPath: "", tableName: breach.tableName };
    },
    finish: async (request) => {
      const { app, diff } = get(request, "startPush");
      if (request["dryRun"] !== true) await changes().push(app);
      return finishAnswer(diff);
    },
  };
}

type AppDefinition = {
  readonly schema?: PushedModule | null;
  readonly changedModules?: readonly PushedModule[];
  readonly unchangedModuleHashes?: readonly { readonly path: string; readonly sha256: string }[];
  readonly dependencies?: readonly unknown[];
};

function definitionOf(request: Request): AppDefinition {
  return request["appDefinition"] ?? {};
}

function refuseComponents(request: Request): void {
  const components = (request["componentDefinitions"] ?? []) as readonly { readonly definitionPath?: unknown }[];
  const { dependencies = [] } = definitionOf(request);
  if (components.length === 0 && dependencies.length === 0) return;
  const names = [...components.map((one) => one.definitionPath), ...dependencies].filter((one) => typeof one === "string");
  throw new DeveloperError(
    `Components (${[...new Set(names)].join(", ")}) are not supported by the embedded engine yet: take them out of convex.config.ts.`,
  );
}

/** What the app runs now, as it was pushed. */
function storedModules(dir: string): readonly PushedModule[] {
  const { pushed } = readStored(dir);
  return pushed === undefined ? [] : (JSON.parse(pushed) as PushedModule[]).filter((one) => one.path !== "schema.js");
}

/** As the command line works it out. */
function hashOf({ source, sourceMap }: Pick<PushedModule, "source" | "sourceMap">): string {
  return createHash("sha256")
    .update(source)
    .update(sourceMap ?? "")
    .digest("hex");
}

function plainModule({ path, source, sourceMap, environment }: PushedModule): PushedModule {
  return { path, source, sourceMap, environment };
}

function modulesOf(request: Request, stored: readonly PushedModule[]): readonly PushedModule[] {
  const app = definitionOf(request);
  refuseComponents(request);
  const externals = (request["nodeDependencies"] ?? []) as readonly { readonly name: string }[];
  if (externals.length > 0)
    throw new DeveloperError(
      `External packages (${externals.map((one) => one.name).join(", ")}) are not supported by the embedded engine: take \`node.externalPackages\` out of convex.json, so that they are bundled.`,
    );
  const kept = (app.unchangedModuleHashes ?? []).map(({ path, sha256 }) => {
    const found = stored.find((one) => one.path === path && hashOf(one) === sha256);
    if (!found) throw new DeveloperError(`The module ${path} is not what it was when this push began; push again.`);
    return found;
  });
  const modules = [...kept, ...(app.changedModules ?? []), ...(app.schema ? [app.schema] : [])];
  return modules.map(plainModule).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function refuseUnsupported({ schema }: Analysis): void {
  const { tables } = schema === null ? { tables: [] } : (JSON.parse(schema) as Schema);
  for (const table of tables)
    for (const [kind, list] of Object.entries(table))
      if (kind.startsWith("staged") && Array.isArray(list) && list.length > 0)
        throw new DeveloperError(`Table "${table.tableName}" has a staged index: not supported by the embedded engine yet.`);
}

function mustHaveProviders({ authProviders, missingAuthEnv }: Analysis): void {
  const [missing] = missingAuthEnv;
  if (missing !== undefined)
    throw new PushRefusal(
      "AuthConfigMissingEnvironmentVariable",
      `Environment variable ${missing} is used in auth config file but its value was not set.`,
    );
  for (const one of authProviders)
    if (one["domain"] === undefined && one["issuer"] === undefined)
      throw new DeveloperError(
        "A provider in auth.config has neither domain nor issuer: an environment variable that it is built from may not be set. Set it with `npx convex env set`.",
      );
}

function startAnswer(
  pushId: string,
  modules: readonly PushedModule[],
  { analysis, diff }: { readonly analysis: Analysis; readonly diff: SchemaDiff },
): unknown {
  const functions: Record<string, unknown> = {};
  for (const { path } of modules) {
    if (path === "schema.js" || path.startsWith("_deps/")) continue;
    const module = path.replace(/\.js$/, "");
    functions[path] = {
      functions: analysis.functions
        .filter((one) => one.path.slice(0, one.path.lastIndexOf(":")) === module)
        .map((one) => ({
          name: one.path.slice(one.path.lastIndexOf(":") + 1),
          pos: null,
          udfType: `${one.kind[0]?.toUpperCase()}${one.kind.slice(1)}`,
          visibility: { kind: one.visibility },
          args: JSON.stringify(one.args),
          returns: one.returns === null ? null : JSON.stringify(one.returns),
        })),
      httpRoutes: null,
      cronSpecs: null,
      sourceMapped: null,
    };
  }
  const definition = {
    path: "",
    definitionType: { type: "app" },
    childComponents: [],
    httpMounts: {},
    exports: { type: "branch", branch: [] },
  };
  const udfConfig = { serverVersion: "1.0.0", importPhaseRngSeed: null, importPhaseUnixTimestamp: toInteger(0n) };
  return {
    environmentVariables: {},
    externalDepsId: null,
    componentDefinitionPackages: {},
    appAuth: analysis.authProviders.map((one) => (one["type"] === "customJwt" ? { applicationID: null, ...one } : one)),
    analysis: {
      "": {
        definition,
        schema: analysis.schema === null ? null : (JSON.parse(analysis.schema) as unknown),
        functions,
        udfConfig,
      },
    },
    app: {
      definitionPath: "",
      componentPath: "",
      args: {},
      childComponents: {},
      httpRoutes: { httpModuleRoutes: analysis.httpRoutes, mounts: [] },
      exports: {},
    },
    schemaChange: { pushId, ...schemaChangeOf(diff) },
    pushId,
  };
}

function schemaChangeOf(diff: SchemaDiff) {
  return { allocatedComponentIds: {}, schemaIds: {}, indexDiffs: { "": indexDiffOf(diff) } };
}

function indexDiffOf({ added, removed }: SchemaDiff): unknown {
  return { added_indexes: added, removed_indexes: removed, enabled_indexes: [], disabled_indexes: [] };
}

function finishAnswer(diff: SchemaDiff): unknown {
  const nothing = { added: [], removed: [] };
  return {
    authDiff: nothing,
    definitionDiffs: {},
    componentDiffs: {
      "": {
        diffType: { type: "modify" },
        moduleDiff: nothing,
        udfConfigDiff: null,
        cronDiff: { added: [], updated: [], deleted: [] },
        indexDiff: indexDiffOf(diff),
        schemaDiff: null,
      },
    },
  };
}

/** Every row is walked when a schema is put in force, and every index filled before it is. */
function evaluationAnswer({ added, removed, same, tables, isEnforced }: SchemaDiff): unknown {
  const countOf = (index: string): number => tables.find((one) => index.startsWith(`${one.name}.`))?.count ?? 0;
  const predicted = (change: string, list: readonly IndexConfig[]) =>
    list.map((one) => ({ ...one, change, needsBackfill: change === "added", numDocs: countOf(one.name) }));
  return {
    componentSchemaEvaluations: {
      "": {
        definitionPath: "",
        schemaValidation: isEnforced,
        tables: tables.map(({ name, count, bytes, isDeclared }) => ({
          name,
          outcome: isEnforced && isDeclared ? "mustWalk" : "notValidated",
          numDocs: count,
          sizeBytes: bytes,
        })),
        indexes: [...predicted("added", added), ...predicted("dropped", removed), ...predicted("identical", same)],
        discardedStagedValidators: [],
      },
    },
    newComponentDefinitions: [],
  };
}
