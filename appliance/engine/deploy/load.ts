/** The app's folder, ready to run: bundled and analysed, or taken from the cache when nothing changed. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { analyze, type Analysis } from "./analyze.ts";
import { bundleApp, findModules, hashFiles } from "./bundle.ts";

/** Goes up when what is cached means something else than before. */
const cacheVersion = 3;

export type LoadedApp = {
  readonly analysis: Analysis;
  readonly isolate: { readonly code: string; readonly map: string };
  readonly node: { readonly code: string; readonly map: string };
};

type Manifest = {
  readonly version: number;
  /** Paths of the modules, so that a new file is noticed. */
  readonly modules: string;
  /** Everything the bundler read, packages too, relative to the folder. */
  readonly inputs: readonly string[];
  readonly hash: string;
  readonly env: string;
  readonly analysis: Analysis;
};

export async function loadApp(options: {
  readonly dir: string;
  readonly functionsDir: string;
  readonly env: Readonly<Record<string, string>>;
}): Promise<LoadedApp> {
  const functionsDir = resolve(options.functionsDir);
  const cacheDir = join(options.dir, "functions");
  const env = createHash("sha256")
    .update(JSON.stringify(Object.entries(options.env).toSorted(([a], [b]) => (a < b ? -1 : 1))))
    .digest("hex");
  const modules = findModules(functionsDir);
  const listed = modules.map((one) => one.file + (one.isNode ? " node" : "")).join("\n");
  const cached = readManifest(cacheDir);
  if (
    cached &&
    cached.version === cacheVersion &&
    cached.modules === listed &&
    cached.hash === hashFiles(functionsDir, cached.inputs)
  ) {
    const files = filesOf(cacheDir, cached.hash);
    if (cached.env === env) return { analysis: cached.analysis, ...files };
    const analysis = analyse(files.node.code, { modules, functionsDir, env: options.env });
    writeManifest(cacheDir, { ...cached, env, analysis });
    return { analysis, ...files };
  }
  const { bundles, inputs } = await bundleApp(functionsDir, modules);
  const hash = hashFiles(functionsDir, inputs);
  const files = filesOf(cacheDir, hash);
  mkdirSync(cacheDir, { recursive: true });
  for (const [kind, bundle] of Object.entries(bundles) as ["isolate" | "node", (typeof bundles)["node"]][]) {
    writeFileSync(files[kind].code, bundle.code);
    writeFileSync(files[kind].map, bundle.map);
  }
  const analysis = analyse(files.node.code, { modules, functionsDir, env: options.env });
  writeManifest(cacheDir, { version: cacheVersion, modules: listed, inputs, hash, env, analysis });
  dropOld(cacheDir, hash);
  return { analysis, ...files };
}

type AnalyseOptions = {
  readonly modules: ReturnType<typeof findModules>;
  readonly functionsDir: string;
  readonly env: Readonly<Record<string, string>>;
};

function analyse(codeFile: string, { modules, functionsDir, env }: AnalyseOptions): Analysis {
  return analyze(readFileSync(codeFile, "utf8"), modules, { env, require: createRequire(join(functionsDir, "_.js")) });
}

function filesOf(cacheDir: string, hash: string) {
  const name = (kind: string, end: string) => join(cacheDir, `${hash.slice(0, 24)}.${kind}.${end}`);
  return {
    isolate: { code: name("isolate", "js"), map: name("isolate", "map") },
    node: { code: name("node", "js"), map: name("node", "map") },
  };
}

function readManifest(cacheDir: string): Manifest | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(cacheDir, "manifest.json"), "utf8")) as Manifest;
    const files = filesOf(cacheDir, manifest.hash);
    return [files.isolate.code, files.isolate.map, files.node.code, files.node.map].every((one) => existsSync(one))
      ? manifest
      : undefined;
  } catch {
    // Absent or half-written: bundling again is always right.
    return undefined;
  }
}

function writeManifest(cacheDir: string, manifest: Manifest): void {
  const path = join(cacheDir, "manifest.json");
  writeFileSync(`${path}.new`, JSON.stringify(manifest));
  renameSync(`${path}.new`, path);
}

function dropOld(cacheDir: string, hash: string): void {
  for (const name of readdirSync(cacheDir))
    if (!name.startsWith(hash.slice(0, 24)) && /\.(isolate|node)\.(js|map)$/.test(name))
      rmSync(join(cacheDir, name), { force: true });
}
