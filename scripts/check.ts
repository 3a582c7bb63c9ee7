/**
 * Everything that must hold before a commit, side by side: format, lint with types, types, generated files, tidy, dead code. Prints a
 * line per step and what failed; the slowest is a few seconds.
 */
import { spawn } from "node:child_process";

/** What has not changed since the last check need not be looked at again. */
const types = (project: string, name: string): string =>
  `tsc -p ${project} --incremental --tsBuildInfoFile node_modules/.cache/nika/${name}.json`;

const steps: Readonly<Record<string, string>> = {
  format: "oxfmt --check",
  lint: "oxlint --type-aware --quiet",
  types: types("tsconfig.json", "types"),
  "types of convex": types("convex/tsconfig.json", "convex"),
  "types of web": types("appliance/web/tsconfig.json", "web"),
  generated: "node scripts/codegen.ts --check",
  tidy: "node scripts/tidy.ts",
  "dead code": "knip --no-progress --cache --cache-location node_modules/.cache/nika/knip",
};

const started = performance.now();
const results = await Promise.all(Object.entries(steps).map(async ([name, command]) => ({ name, ...(await run(command)) })));
for (const { name, code, output, ms } of results) {
  console.log(`${code === 0 ? "ok  " : "FAIL"} ${name} (${(ms / 1000).toFixed(1)} s)`);
  if (code !== 0 || name === "tidy") console.log(output.trimEnd());
}
const failed = results.filter((result) => result.code !== 0).length;
console.log(
  `check: ${results.length - failed} passed, ${failed} failed in ${((performance.now() - started) / 1000).toFixed(1)} s`,
);
process.exitCode = failed > 0 ? 1 : 0;

function run(command: string): Promise<{ code: number; output: string; ms: number }> {
  const begun = performance.now();
  return new Promise((resolve) => {
    // npm puts node_modules/.bin first on the path, so these are the pinned tools.
    const child = spawn(command, { shell: true, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("close", (code) => resolve({ code: code ?? 1, output, ms: performance.now() - begun }));
  });
}
