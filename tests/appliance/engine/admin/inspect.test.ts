import assert from "node:assert/strict";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { adminKey, collector } from "../served.ts";
import { engineApp } from "../openTestCore.ts";
import { openProject } from "./commandLine.ts";

const env = { COLOUR: "green", ISSUER: "https://issuer.test" };

test("the command line runs functions, lists them, shows data, and keeps variables", { concurrency: false }, async () => {
  await using project = await openProject({ functionsDir: engineApp, env });
  const { convex, served } = project;
  const added = await convex("run", "notes:add", `{ text: "first", rank: 1 }`);
  assert.equal(added.code, 0, added.err);
  const [unknown, spec, tables, rows, set] = await Promise.all([
    convex("run", "notes:nothing"),
    convex("function-spec"),
    convex("data"),
    convex("data", "notes", "--format", "jsonLines"),
    convex("env", "set", "COLOR", "blue"),
  ]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /Could not find function for 'notes:nothing'[\s\S]*Available functions:[\s\S]*• notes:add/);
  const { url, functions } = JSON.parse(spec.out) as { url: string; functions: { identifier?: string; functionType: string }[] };
  assert.equal(url, served.url);
  assert.ok(functions.some((one) => one.identifier === "notes.js:add" && one.functionType === "Mutation"));
  assert.deepEqual(tables.out.trim().split("\n"), ["anything", "counters", "notes"]);
  assert.match(rows.out, /"rank": 1, "text": "first"/);
  assert.equal(set.code, 0, set.err);
  const [list, got, refused] = await Promise.all([
    convex("env", "list"),
    convex("env", "get", "COLOR"),
    convex("env", "set", "COLOUR", "red"),
  ]);
  assert.deepEqual(list.out.trim().split("\n"), ["COLOR=blue", "COLOUR=green", "ISSUER=https://issuer.test"]);
  assert.equal(got.out.trim(), "blue");
  assert.match(refused.err, /"COLOUR" is set by the program that runs this engine/);
  await project.restart();
  const removed = await convex("env", "remove", "COLOR");
  assert.match(removed.err + removed.out, /Successfully unset COLOR/);
});

test("what the command line reads is live, and for administrators only", async () => {
  await using project = await openProject({ functionsDir: engineApp, env });
  const list = makeFunctionReference<"query", Record<string, never>, { name: string; value: string }[]>(
    "_system/cli/queryEnvironmentVariables",
  );
  await assert.rejects(project.served.client().query(list, {}), /Could not find public function/);
  const client = project.served.client();
  (client.client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(adminKey);
  const names = collector<string>();
  client.onUpdate(list, {}, (found) => names.push(found.map((one) => `${one.name}=${one.value}`).join(" ")));
  await names.until((one) => one === "COLOUR=green ISSUER=https://issuer.test");
  const changes = [{ name: "LIGHT", value: "on" }];
  const headers = { Authorization: `Convex ${adminKey}`, "Content-Type": "application/json" };
  const change = (authorized: boolean): Promise<Response> =>
    fetch(`${project.served.url}/api/update_environment_variables`, {
      method: "POST",
      headers: authorized ? headers : {},
      body: JSON.stringify({ changes }),
    });
  assert.equal((await change(false)).status, 401);
  assert.equal((await change(true)).status, 200);
  await names.until((one) => one === "COLOUR=green ISSUER=https://issuer.test LIGHT=on");
});
