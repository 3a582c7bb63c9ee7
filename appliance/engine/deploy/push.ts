/**
 * `npx convex deploy` and `npx convex dev`: what the command line pushes, checked and analysed before anything is changed, then put in
 * force at once. Requests and answers have the shapes that npm `convex` 1.48 sends and expects.
 */
import { randomBytes } from "node:crypto";
import { DeveloperError, toInteger } from "../codec/value.ts";
import type { Core } from "../core.ts";
import type { Analysis } from "./analyze.ts";
import type { DeploymentChanges } from "./deployable.ts";
import { loadApp } from "./load.ts";
import { unpackPushed, type PushedModule } from "./stored.ts";

type Request = Readonly<Record<string, unknown>>;
type Schema = {
  readonly tables: readonly { readonly tableName: string; readonly stagedDbIndexes?: readonly unknown[] }[];
};

export type Pushes = {
  start(request: Request): Promise<unknown>;
  waitForSchema(request: Request): Promise<unknown>;
  finish(request: Request): Promise<unknown>;
};

/** Pushes begun and not finished; more would be forgotten ones. */
const begunMax = 4;

export function openPushes({ core, dir }: { readonly core: Core; readonly dir: string }): Pushes {
  const begun = new Map<string, { readonly app: string; readonly analysis: Analysis }>();

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

  return {
    start: async (request) => {
      const { env } = changes();
      const modules = modulesOf(request);
      const app = JSON.stringify(modules);
      const { functionsDir, cacheDir } = unpackPushed(dir, app);
      const { analysis } = await loadApp({ dir: cacheDir, functionsDir, env: env() });
      refuseUnsupported(analysis);
      mustHaveProviders(analysis);
      const pushId = randomBytes(8).toString("hex");
      begun.set(pushId, { app, analysis });
      for (const oldest of begun.keys()) if (begun.size > begunMax) begun.delete(oldest);
      return startAnswer(pushId, modules, analysis);
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
      const { app } = get(request, "startPush");
      if (request["dryRun"] !== true) await changes().push(app);
      return finishAnswer();
    },
  };
}

function modulesOf(request: Request): readonly PushedModule[] {
  const app = (request["appDefinition"] ?? {}) as {
    schema?: PushedModule | null;
    changedModules?: readonly PushedModule[];
    unchangedModuleHashes?: readonly unknown[];
    dependencies?: readonly unknown[];
  };
  const components = request["componentDefinitions"] as readonly unknown[] | undefined;
  if ((components?.length ?? 0) > 0 || (app.dependencies?.length ?? 0) > 0)
    throw new DeveloperError("Components are not supported by the embedded engine yet.");
  const externals = (request["nodeDependencies"] ?? []) as readonly { readonly name: string }[];
  if (externals.length > 0)
    throw new DeveloperError(
      `External packages (${externals.map((one) => one.name).join(", ")}) are not supported by the embedded engine: take \`node.externalPackages\` out of convex.json, so that they are bundled.`,
    );
  if ((app.unchangedModuleHashes?.length ?? 0) > 0) throw new DeveloperError("This server wants every module; push again.");
  const modules = [...(app.changedModules ?? []), ...(app.schema ? [app.schema] : [])];
  return modules
    .map(({ path, source, sourceMap, environment }) => ({ path, source, sourceMap, environment }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function refuseUnsupported({ schema }: Analysis): void {
  const { tables } = schema === null ? { tables: [] } : (JSON.parse(schema) as Schema);
  for (const table of tables)
    for (const [kind, list] of Object.entries(table))
      if (kind.startsWith("staged") && Array.isArray(list) && list.length > 0)
        throw new DeveloperError(`Table "${table.tableName}" has a staged index: not supported by the embedded engine yet.`);
}

function mustHaveProviders({ authProviders }: Analysis): void {
  for (const one of authProviders)
    if (one["domain"] === undefined && one["issuer"] === undefined)
      throw new DeveloperError(
        "A provider in auth.config has neither domain nor issuer: an environment variable that it is built from may not be set. Set it with `npx convex env set`.",
      );
}

function startAnswer(pushId: string, modules: readonly PushedModule[], analysis: Analysis): unknown {
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
    schemaChange: { pushId, allocatedComponentIds: {}, schemaIds: {}, indexDiffs: {} },
    pushId,
  };
}

/** Nothing is said of differences: the command line prints those of indexes only, and those are in the engine's log. */
function finishAnswer(): unknown {
  return { authDiff: { added: [], removed: [] }, definitionDiffs: {}, componentDiffs: {} };
}
