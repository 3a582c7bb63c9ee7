/**
 * Runs the tests: all, or those whose path holds a word given (`npm test -- vectors`). One place for the flags of the runner.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const words = process.argv.slice(2);
const files = globSync("tests/**/*.test.ts")
  .filter((file) => !file.includes("fixtures"))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .toSorted();
if (files.length === 0) {
  console.error(`No test file holds ${words.join(" or ")} in its path.`);
  process.exit(1);
}
const { status } = spawnSync(
  process.execPath,
  [
    "--test",
    "--test-timeout=180000",
    // One more than there are processors: some tests only wait.
    `--test-concurrency=${availableParallelism() + 1}`,
    "--test-reporter=spec",
    ...files,
  ],
  // Compiled code is kept between the processes that the tests start: most of them load the same modules.
  {
    stdio: "inherit",
    env: { ...process.env, NODE_COMPILE_CACHE: join(import.meta.dirname, "..", "node_modules", ".cache", "tests") },
  },
);
process.exitCode = status ?? 1;
