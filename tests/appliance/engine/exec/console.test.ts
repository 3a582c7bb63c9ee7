/** What an app's author sees of a failure and of `console`: their own files and lines, and nothing of ours. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getFunctionName, anyApi, type ApiFromModules } from "convex/server";
import { admin, openTestCore, requestId, type TestCore } from "../openTestCore.ts";
import type * as fail from "./failingApp/fail.ts";

const api = anyApi as unknown as ApiFromModules<{ fail: typeof fail }>;
let core: TestCore;
before(async () => {
  core = await openTestCore({ functionsDir: join(import.meta.dirname, "failingApp") });
});
after(() => core[Symbol.asyncDispose]());

const head = `[Request ID: ${requestId}] Server Error\n`;
const deep = (where: string) => `Uncaught TypeError: deep in a ${where}\n    at deep (../convex/lib/deep.ts:3:9)\n`;

test("an error names the app's files and lines and nothing of the engine", async () => {
  const inQuery = await core.refusal("query", getFunctionName(api.fail.inQuery));
  assert.equal(inQuery, `${head}${deep("query")}    at handler (../convex/fail.ts:12:63)`);
  const inAction = await core.refusal("action", getFunctionName(api.fail.inAction));
  assert.equal(inAction, `${head}${deep("action")}    at handler (../convex/fail.ts:26:12)`);
  const withData = await core.refusal("query", getFunctionName(api.fail.withData));
  assert.equal(withData, `${head}Uncaught ConvexError: {"code":7}\n    at handler (../convex/fail.ts:33:11)`);
});

test("an error of a nested function names both, the inner one first", async () => {
  const message = await core.refusal("mutation", getFunctionName(api.fail.inMutation));
  assert.equal(
    message,
    `${head}Uncaught Error: ${deep("query")}    at handler (../convex/fail.ts:12:63)\n    at async handler (../convex/fail.ts:17:5)`,
  );
});

test("console writes values as they are in code, errors with their lines, and counts", async () => {
  const expected = (place: string, ms: string) => [
    "[LOG] 'words' 1n -0 undefined { a: [ 1 ] } Map(1) { 'k' => 1 }",
    `[WARN] RangeError: shown\n    at say (../convex/fail.ts:39:16)\n    at handler (../convex/fail.ts:${place})`,
    `[LOG] 'watch: ${ms}ms'`,
    `[WARN] "Timer 'watch' does not exist"`,
    "[LOG] 'default: 1'",
    "[LOG] 'default: 2'",
    "[ERROR] 'Assertion failed' 'is so'",
  ];
  const inQuery = await core.run(getFunctionName(api.fail.says));
  assert.deepEqual(inQuery.logLines, expected("49:60", "0"));
  const path = getFunctionName(api.fail.saysInAction);
  const inAction = await core.core.action({ path, args: "{}", identity: admin, requestId });
  const lines = inAction.logLines.map((line) => line.replace(/[\d.]+ms/, "0ms"));
  assert.deepEqual(lines, expected("50:69", "0"));
});
