/**
 * The app's folder as two scripts: one for queries and mutations, one for actions, which may use Node. Each defines `__modules`, a
 * table of loaders by module path, so that a module runs when it is first needed and a broken one harms only itself.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DeveloperError } from "../codec/value.ts";

export type AppModule = { readonly path: string; readonly file: string; readonly isNode: boolean };
export type Bundle = { readonly code: string; readonly map: string };
export type Bundles = { readonly isolate: Bundle; readonly node: Bundle };

const sourceFile = /\.(ts|tsx|js|jsx|mts|cts|mjs|cjs)$/;

/** Every module Convex would push: not `_generated`, no files with two dots but the config files, no type declarations. */
export function findModules(dir: string): readonly AppModule[] {
  const found: AppModule[] = [];
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = file.slice(dir.length + (dir.endsWith("/") ? 0 : 1)).replaceAll("\\", "/");
    if (
      !entry.isFile() ||
      !sourceFile.test(path) ||
      /(^|\/)(_generated|node_modules|_deps)\//.test(path) ||
      entry.name.startsWith(".")
    )
      continue;
    const bare = path.replace(sourceFile, "");
    if (bare.split("/").at(-1)?.includes(".") && bare !== "auth.config") continue;
    if (path.includes(" ") || entry.name.startsWith("#")) continue;
    found.push({
      path: bare,
      file: path,
      isNode: /^\s*(\/\/[^\n]*\n|\/\*[\s\S]*?\*\/|\s)*["']use node["']/.test(readFileSync(file, "utf8")),
    });
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Changes when any source file does. The folder's own files count, and the lock files above it stand for the packages; anything else a
 * function imports from outside the folder is listed by the bundler and checked by its hash when the cache is read.
 */
export function hashFiles(root: string, files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files.toSorted()) {
    hash.update(`${file}\0`);
    try {
      hash.update(readFileSync(join(root, file)));
    } catch {
      hash.update("missing");
    }
  }
  return hash.digest("hex");
}

/** Loads the bundler only now: it is a process of its own and is not needed while nothing changes. */
export async function bundleApp(
  dir: string,
  modules: readonly AppModule[],
): Promise<{ readonly bundles: Bundles; readonly inputs: readonly string[] }> {
  const esbuild = await import("esbuild");
  try {
    const build = async (chosen: readonly AppModule[], platform: "browser" | "node") => {
      const loaders = chosen.map((one) => `${JSON.stringify(one.path)}: () => require(${JSON.stringify(`./${one.file}`)})`);
      const result = await esbuild.build({
        stdin: {
          contents: `globalThis.__modules = {\n${loaders.join(",\n")}\n};`,
          resolveDir: dir,
          sourcefile: "nika-entry.js",
          loader: "js",
        },
        bundle: true,
        write: false,
        outfile: "functions.js",
        format: "iife",
        platform,
        target: "es2024",
        conditions: ["convex", "module"],
        // What Convex's own bundler does: names of functions survive, the rest is as small as it can be without them.
        keepNames: true,
        minifySyntax: true,
        sourcemap: "external",
        sourcesContent: false,
        metafile: true,
        logLevel: "silent",
        absWorkingDir: dir,
      });
      const [map, code] = [
        result.outputFiles.find((one) => one.path.endsWith(".map")),
        result.outputFiles.find((one) => one.path.endsWith(".js")),
      ];
      return {
        bundle: { code: withCheapNames(code?.text ?? ""), map: map?.text ?? "" },
        inputs: Object.keys(result.metafile.inputs),
      };
    };
    const [isolate, node] = [
      await build(
        modules.filter((one) => !one.isNode),
        "browser",
      ),
      await build(modules, "node"),
    ];
    const inputs = new Set([...isolate.inputs, ...node.inputs].filter((one) => one !== "nika-entry.js"));
    return { bundles: { isolate: isolate.bundle, node: node.bundle }, inputs: [...inputs] };
  } catch (error) {
    const problems = (error as { errors?: { text: string; location?: { file: string; line: number } | null }[] }).errors;
    if (!problems) throw error;
    const text = problems
      .map((one) => (one.location ? `${one.location.file}:${one.location.line}: ${one.text}` : one.text))
      .join("\n");
    throw new DeveloperError(`The functions could not be bundled:\n${text}`);
  } finally {
    await esbuild.stop();
  }
}

/**
 * The bundler's helper for `keepNames` writes a function's name each time the function is made. Convex's own package makes dozens of
 * small ones for every call, which took a tenth of a small mutation; what they are called is seen by nobody, so there it does nothing.
 * The text keeps its lines and columns, for the source map.
 */
function withCheapNames(code: string): string {
  let isConvex = false;
  const helper = /^ {2}var __name = .*;$/m;
  if (!helper.test(code)) return code;
  return code
    .split("\n")
    .map((line) => {
      // Where the text of a file begins, the bundler writes its path; other comments it drops.
      const [, file] = /^\s*\/\/ (\S+\.[cm]?[jt]sx?)$/.exec(line) ?? [];
      if (file !== undefined) isConvex = file.includes("node_modules/convex/");
      if (isConvex) return line.replaceAll("/* @__PURE__ */ __name(", "/* @__PURE__ */ __same(");
      return helper.test(line) ? `${line} var __same = (target) => target;` : line;
    })
    .join("\n");
}
