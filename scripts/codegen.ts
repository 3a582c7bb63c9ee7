/**
 * Writes `convex/_generated/`: what `convex codegen` would write, but without a deployment to ask.
 *
 *     node scripts/codegen.ts           writes what changed
 *     node scripts/codegen.ts --check   writes nothing; exits 1 when something is stale
 */
import { readdirSync, readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const convexDir = fileURLToPath(new URL("../convex/", import.meta.url));

/** Folders that hold no callable functions; `_generated` is ours, the others are plain code for the functions. */
const plainFolders = new Set(["_generated", "model", "tables", "turn"]);
/** Files Convex reads for itself rather than serving. */
const plainFiles = new Set(["schema.ts", "auth.config.ts"]);

/** Paths of the modules that become `api.…`, without extension, in code-unit order so that every machine writes the same. */
function functionModules(folder = ""): string[] {
  const found = readdirSync(join(convexDir, folder), { withFileTypes: true }).flatMap((entry): string[] => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return plainFolders.has(path) ? [] : functionModules(path);
    return entry.name.endsWith(".ts") && entry.name.split(".").length === 2 && !plainFiles.has(path)
      ? [path.slice(0, -".ts".length)]
      : [];
  });
  return found.sort((a, b) => (a < b ? -1 : 1));
}

const header = "/* Written by scripts/codegen.ts. Do not edit: change the functions and run `npm run codegen`. */\n";

function apiTypes(modules: readonly string[]): string {
  const local = (path: string): string => path.replaceAll(/[/.]/gu, "_");
  return `${header}import type { ApiFromModules, FilterApi, FunctionReference } from "convex/server";
${modules.map((path) => `import type * as ${local(path)} from "../${path}.ts";`).join("\n")}

declare const fullApi: ApiFromModules<{
${modules.map((path) => `  ${path.includes("/") ? JSON.stringify(path) : path}: typeof ${local(path)};`).join("\n")}
}>;
/** What the owner may call. */
export declare const api: FilterApi<typeof fullApi, FunctionReference<any, "public">>;
/** What only Nika itself may call. */
export declare const internal: FilterApi<typeof fullApi, FunctionReference<any, "internal">>;
`;
}

const apiCode = `${header}import { anyApi } from "convex/server";

export const api = anyApi;
export const internal = anyApi;
`;

const dataModelTypes = `${header}import type { DataModelFromSchemaDefinition, DocumentByName, TableNamesInDataModel } from "convex/server";
import type { GenericId } from "convex/values";
import type schema from "../schema.ts";

export type DataModel = DataModelFromSchemaDefinition<typeof schema>;
export type TableNames = TableNamesInDataModel<DataModel>;
export type Doc<TableName extends TableNames> = DocumentByName<DataModel, TableName>;
export type Id<TableName extends TableNames | "_storage" | "_scheduled_functions"> = GenericId<TableName>;
`;

const builders = [
  ["query", "QueryBuilder", "public"],
  ["internalQuery", "QueryBuilder", "internal"],
  ["mutation", "MutationBuilder", "public"],
  ["internalMutation", "MutationBuilder", "internal"],
  ["action", "ActionBuilder", "public"],
  ["internalAction", "ActionBuilder", "internal"],
] as const;

const serverTypes = `${header}import type {
  ActionBuilder,
  GenericActionCtx,
  GenericDatabaseReader,
  GenericDatabaseWriter,
  GenericMutationCtx,
  GenericQueryCtx,
  HttpActionBuilder,
  MutationBuilder,
  QueryBuilder,
} from "convex/server";
import type { DataModel } from "./dataModel.js";

${builders.map(([name, type, visibility]) => `export declare const ${name}: ${type}<DataModel, "${visibility}">;`).join("\n")}
export declare const httpAction: HttpActionBuilder;

export type QueryCtx = GenericQueryCtx<DataModel>;
export type MutationCtx = GenericMutationCtx<DataModel>;
export type ActionCtx = GenericActionCtx<DataModel>;
export type DatabaseReader = GenericDatabaseReader<DataModel>;
export type DatabaseWriter = GenericDatabaseWriter<DataModel>;
`;

const serverCode = `${header}import {
${[...builders.map(([name]) => `  ${name}Generic,`), "  httpActionGeneric,"].sort().join("\n")}
} from "convex/server";

${[...builders.map(([name]) => name), "httpAction"].map((name) => `export const ${name} = ${name}Generic;`).join("\n")}
`;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

const files: Record<string, string> = {
  "api.d.ts": apiTypes(functionModules()),
  "api.js": apiCode,
  "dataModel.d.ts": dataModelTypes,
  "server.d.ts": serverTypes,
  "server.js": serverCode,
};
const outDir = join(convexDir, "_generated");
const stale = Object.entries(files).filter(([name, text]) => read(join(outDir, name)) !== text);

if (process.argv.includes("--check")) {
  for (const [name] of stale) console.error(`convex/_generated/${name} is stale; run \`npm run codegen\``);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  mkdirSync(outDir, { recursive: true });
  for (const [name, text] of stale) writeFileSync(join(outDir, name), text);
  console.log(`codegen: ${Object.keys(files).length} files, ${stale.length} written`);
}
