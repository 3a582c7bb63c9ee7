/**
 * Runs convex-test's own tests on the embedded engine: `node scripts/conformance/convexTest.ts SOURCE [WORD…]`, where SOURCE is a folder,
 * a git repository or a tarball of convex-test, and words narrow the test files. Nothing of it is kept: it is copied to a scratch
 * folder, vitest is installed there (as its own package.json asks), and what the tests import as convex-test is our adapter.
 * `--scratch DIR` keeps the folder for the next run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build, type Plugin } from "esbuild";
import { deviations, type Deviation } from "./deviations.ts";

type Results = {
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: "passed" | "failed" | "skipped" | "pending" | "todo";
      readonly failureMessages?: readonly string[];
    }[];
  }[];
};
type Manifest = { readonly devDependencies?: Readonly<Record<string, string>> };

const root = fileURLToPath(new URL("../..", import.meta.url));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { scratch: { type: "string" } } });
const [source, ...words] = positionals;
if (source === undefined) {
  console.error("Give the convex-test repository: a folder, a git address or a tarball.");
  process.exit(2);
}
const scratch = resolve(values.scratch ?? mkdtempSync(join(tmpdir(), "nika-convex-test-suite-")));
try {
  mkdirSync(scratch, { recursive: true });
  if (!existsSync(join(scratch, "package.json"))) bring(source, scratch);
  if (!existsSync(join(scratch, "node_modules", "vitest"))) install(scratch);
  await placeAdapter(scratch);
  process.exitCode = report(runSuite(scratch, words), scratch);
} finally {
  if (values.scratch === undefined) rmSync(scratch, { recursive: true, force: true });
}

function bring(from: string, into: string): void {
  if (existsSync(join(from, "package.json"))) return must("cp", ["-R", `${resolve(from)}/.`, into]);
  if (/\.(tgz|tar\.gz)$/.test(from)) {
    const archive = existsSync(from) ? resolve(from) : join(into, "source.tgz");
    if (!existsSync(archive)) must("curl", ["-fsSL", "-o", archive, from]);
    return must("tar", ["-xzf", archive, "-C", into, "--strip-components=1"]);
  }
  const address = existsSync(from) && statSync(from).isDirectory() ? `file://${resolve(from)}` : from;
  must("git", ["clone", "-q", "--depth", "1", address, into]);
}

/** The runner that the suite was written for, and the `convex` that we ship. */
function install(into: string): void {
  const wanted = (JSON.parse(readFileSync(join(into, "package.json"), "utf8")) as Manifest).devDependencies ?? {};
  const { version } = JSON.parse(readFileSync(join(root, "node_modules/convex/package.json"), "utf8")) as { version: string };
  // Its other tools are for those who work on it.
  writeFileSync(join(into, "package.json"), JSON.stringify({ private: true, type: "module" }));
  rmSync(join(into, "package-lock.json"), { force: true });
  const packages = ["vitest", "@edge-runtime/vm"].map((name) => `${name}@${wanted[name] ?? "latest"}`);
  must("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", ...packages, `convex@${version}`], into);
}

/** One file in place of convex-test's own. Vite of that age does not know node:sqlite, so it is asked of the process instead. */
async function placeAdapter(into: string): Promise<void> {
  const sqlite: Plugin = {
    name: "sqlite",
    setup: ({ onResolve, onLoad }) => {
      onResolve({ filter: /^node:sqlite$/ }, () => ({ path: "sqlite", namespace: "builtin" }));
      onLoad({ filter: /.*/, namespace: "builtin" }, () => ({
        contents: `export const { DatabaseSync, constants } = process.getBuiltinModule("node:sqlite");`,
      }));
    },
  };
  await build({
    entryPoints: [join(root, "appliance/engine/testing/convexTest.ts")],
    outfile: join(into, "engine.js"),
    bundle: true,
    format: "esm",
    platform: "node",
    external: ["convex", "esbuild"],
    plugins: [sqlite],
    logLevel: "warning",
  });
  writeFileSync(
    join(into, "index.ts"),
    `import { convexTest as onEngine } from "./engine.js";
const all = import.meta.glob("./convex/**/*.*s");
export function convexTest(first, modules) {
  const options = first !== undefined && "tables" in first ? { schema: first, modules } : { modules, ...first };
  return onEngine({ ...options, modules: options.modules ?? all });
}
`,
  );
}

function runSuite(cwd: string, files: readonly string[]): Results {
  const outputFile = join(cwd, "results.json");
  // What a killed worker leaves behind goes with the scratch folder.
  const temporary = join(cwd, "tmp");
  rmSync(outputFile, { force: true });
  mkdirSync(temporary, { recursive: true });
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--reporter=json", `--outputFile=${outputFile}`, "--testTimeout=10000", ...files],
    { cwd, encoding: "utf8", env: { ...process.env, CI: "1", TMPDIR: temporary } },
  );
  if (!existsSync(outputFile)) throw new Error(`vitest gave no results.\n${stdout}\n${stderr}`);
  return JSON.parse(readFileSync(outputFile, "utf8")) as Results;
}

/** Prints what came of it; the exit code is 0 when every failure is a known deviation, and every deviation still is one. */
function report({ testResults }: Results, cwd: string): number {
  const counts = { passed: 0, failed: 0, deviating: 0, owed: 0 };
  const met = new Set<Deviation>();
  const files = new Set<string>();
  for (const { name, message, assertionResults } of testResults) {
    const file = name.slice(cwd.length + 1).replace(/^convex\//, "");
    files.add(file);
    if (assertionResults.length === 0) {
      counts.failed++;
      console.log(`FAILED ${file} could not be loaded: ${message ?? ""}`);
    }
    for (const { fullName, status, failureMessages } of assertionResults) {
      if (status === "passed") {
        counts.passed++;
        continue;
      }
      const test = fullName.trim();
      const text = (failureMessages?.[0] ?? status).split("\n").slice(0, 3).join("\n    ");
      const found = deviations.find(
        (one) => one.file === file && (one.tests ?? [test]).includes(test) && text.includes(one.says),
      );
      if (found) {
        met.add(found);
        counts[found.isOwed ? "owed" : "deviating"]++;
        console.log(`${found.isOwed ? "owed" : "deviates"}: ${file} › ${test}: ${found.reason}`);
      } else {
        counts.failed++;
        console.log(`FAILED ${file} › ${test}\n    ${text}`);
      }
    }
  }
  const stale = deviations.filter((one) => files.has(one.file) && !met.has(one));
  for (const one of stale) console.log(`NO LONGER SO: ${one.file}: ${one.reason}`);
  console.log(
    `${counts.passed} passed, ${counts.failed} failed, ${counts.deviating} deviating as the real backend does, ${counts.owed} owed`,
  );
  return counts.failed + stale.length === 0 ? 0 : 1;
}

function must(command: string, args: readonly string[], cwd?: string): void {
  const { status } = spawnSync(command, args, { stdio: "inherit", ...(cwd === undefined ? {} : { cwd }) });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed.`);
}
