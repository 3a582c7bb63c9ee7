import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { collector } from "../served.ts";
import { engineApp } from "../openTestCore.ts";
import { openProject } from "./commandLine.ts";

const messages = (greeting: string): string => `
import { query, mutation } from "./_generated/server";
import { v } from "convex/values";
export const list = query({ args: {}, handler: async (ctx) => ({ greeting: "${greeting}", bodies: (await ctx.db.query("messages").collect()).map((one) => one.body) }) });
export const send = mutation({ args: { body: v.string() }, handler: async (ctx, { body }) => ctx.db.insert("messages", { body }) });
export const fail = mutation({ args: {}, handler: async () => {
  throw new Error("on line six");
} });
`;
const work = `"use node";
import { createHash } from "node:crypto";
import { action } from "./_generated/server";
export const digest = action({ args: {}, handler: async () => createHash("sha256").update("x").digest("hex").slice(0, 8) });
`;
const schema = (fields: string): string => `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ messages: defineTable({ ${fields} }) });
`;

test("an app is deployed, seen at once by who watches, refused when rows break its schema, and there after a restart", async () => {
  await using project = await openProject();
  const { convex, served, write } = project;
  write({
    "convex/messages.ts": messages("hello"),
    "convex/work.ts": work,
    "convex/schema.ts": schema("body: v.string()"),
  });
  const first = await convex("deploy", "--typecheck", "disable");
  assert.equal(first.code, 0, first.err + first.out);
  assert.match(first.err, /Deployed Convex functions to http:/);
  assert.match(readFileSync(join(project.folder, "convex/_generated/api.d.ts"), "utf8"), /messages/);

  const list = makeFunctionReference<"query", Record<string, never>, { greeting: string; bodies: string[] }>("messages:list");
  const client = served.client();
  await client.mutation(makeFunctionReference<"mutation">("messages:send"), { body: "one" });
  assert.equal(await client.action(makeFunctionReference<"action">("work:digest"), {}), "2d711642");
  await assert.rejects(client.mutation(makeFunctionReference<"mutation">("messages:fail"), {}), /convex\/messages\.ts:7:/);
  const seen = collector<string>();
  client.onUpdate(list, {}, ({ greeting, bodies }) => seen.push(`${greeting} ${bodies.join()}`));
  await seen.until((one) => one === "hello one");

  write({ "convex/messages.ts": messages("good day") });
  const second = await convex("dev", "--once", "--typecheck", "disable");
  assert.equal(second.code, 0, second.err + second.out);
  await seen.until((one) => one === "good day one");

  write({ "convex/schema.ts": schema("body: v.number()"), "convex/messages.ts": messages("never seen") });
  const broken = await convex("deploy", "--typecheck", "disable");
  assert.equal(broken.code, 1);
  assert.match(broken.err, /Schema validation failed[\s\S]*in table "messages" does not match the schema/);

  await project.restart();
  assert.deepEqual(await served.client().query(list, {}), { greeting: "good day", bodies: ["one"] });
});

test("an engine that runs a folder refuses a push, and says why", async () => {
  await using project = await openProject({ functionsDir: engineApp, env: { ISSUER: "https://issuer.test" } });
  project.write({ "convex/messages.ts": messages("hello") });
  const refused = await project.convex("deploy", "--typecheck", "disable");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /runs a folder of functions that the program around it named/);
});

const schemaWith = (messages: string): string => `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ messages: defineTable({ body: v.string(), vector: v.optional(v.array(v.number())) })${messages} });
`;

test("what a push changes of indexes is printed, and asked about beforehand where the table is large", async () => {
  await using project = await openProject({ shell: { CONVEX_MIN_DOCUMENTS_FOR_INDEX_DELETE_WARNING: "1" } });
  const { convex, write, served } = project;
  write({
    "convex/messages.ts": messages("hello"),
    "convex/schema.ts": schemaWith(
      `.index("by_body", ["body"]).searchIndex("search", { searchField: "body" }).vectorIndex("near", { vectorField: "vector", dimensions: 3 })`,
    ),
  });
  const first = await convex("deploy", "--typecheck", "disable");
  assert.match(
    first.err,
    /Added table indexes:\n {2}\[\+\] messages\.by_body {3}body\n {2}\[\+\] messages\.search \(text\) {3}body\n {2}\[\+\] messages\.near \(vector\)/,
  );
  assert.match(first.err, /No indexes are deleted by this push/);
  await served.client().mutation(makeFunctionReference<"mutation">("messages:send"), { body: "one" });
  write({ "convex/schema.ts": schemaWith(`.index("by_body", ["body", "vector"])`) });
  const dry = await convex("deploy", "--typecheck", "disable", "--dry-run", "--skip-large-indexes-check");
  assert.match(dry.err, /Would delete table indexes:\n {2}\[-\] messages\.by_body {3}body\n/);
  const asked = await convex("deploy", "--typecheck", "disable");
  assert.equal(asked.code, 1);
  assert.match(asked.err, /This code push will delete the following indexes/);
  assert.match(asked.err, /messages\.by_body {3}body.*1 documents\n {3}→ replaced by: messages\.by_body {3}body, vector/);
  const second = await convex("deploy", "--typecheck", "disable", "--skip-large-indexes-check");
  assert.equal(second.code, 0, second.err);
  assert.match(second.err, /Deleted table indexes:\n {2}\[-\] messages\.by_body {3}body\n {2}\[-\] messages\.search/);
  assert.match(second.err, /Added table indexes:\n {2}\[\+\] messages\.by_body {3}body, vector/);
  const third = await convex("deploy", "--typecheck", "disable");
  assert.doesNotMatch(third.err, /table indexes/);
});

test("of an app that runs already, only the modules that changed are sent", async () => {
  await using project = await openProject();
  const { convex, write, folder, served } = project;
  write({ "convex/messages.ts": messages("hello"), "convex/work.ts": work, "convex/schema.ts": schema("body: v.string()") });
  // What the first one generates moves the lines of its source maps.
  for (const _ of [1, 2]) {
    const { code, err } = await convex("deploy", "--typecheck", "disable");
    assert.equal(code, 0, err);
  }
  write({ "convex/messages.ts": messages("changed") });
  await convex("deploy", "--typecheck", "disable", "--write-push-request", "request");
  const { appDefinition } = JSON.parse(readFileSync(join(folder, "request.json"), "utf8")) as {
    appDefinition: Record<"changedModules" | "unchangedModuleHashes", { path: string }[]>;
  };
  const paths = (key: "changedModules" | "unchangedModuleHashes"): string[] => appDefinition[key].map((one) => one.path);
  assert.deepEqual(paths("changedModules"), ["messages.js"]);
  assert.ok(paths("unchangedModuleHashes").includes("work.js"));
  const pushed = await convex("deploy", "--typecheck", "disable");
  assert.equal(pushed.code, 0, pushed.err);
  const client = served.client();
  const list = makeFunctionReference<"query", Record<string, never>, { greeting: string }>("messages:list");
  assert.equal((await client.query(list, {})).greeting, "changed");
  assert.equal(await client.action(makeFunctionReference<"action">("work:digest"), {}), "2d711642");
});

test("what the engine does not do is refused by its name when it is pushed", async () => {
  await using project = await openProject();
  const { convex, write } = project;
  write({ "convex/messages.ts": messages("hello") });
  const refusal = async (files: Record<string, string>, message: RegExp): Promise<void> => {
    write(files);
    const { code, err } = await convex("deploy", "--typecheck", "disable");
    assert.equal(code, 1, err);
    assert.match(err, message);
  };
  const stagedIndexes = [
    `.index("by_body", { fields: ["body"], staged: true })`,
    `.searchIndex("search", { searchField: "body", staged: true })`,
    `.vectorIndex("near", { vectorField: "vector", dimensions: 3, staged: true })`,
  ];
  for (const staged of stagedIndexes)
    await refusal(
      { "convex/schema.ts": schemaWith(staged) },
      /Table "messages" has a staged (search or vector )?index: not supported by the embedded engine yet/,
    );
  await refusal(
    { "convex/schema.ts": schemaWith(`.index("by_colour", ["colour"])`) },
    /In table "messages" the index "by_colour" is invalid because it references the field colour that does not exist/,
  );
  write({ "convex/schema.ts": schemaWith("") });
  await refusal(
    {
      "convex/auth.config.ts": `export default { providers: [{ domain: process.env.NO_SUCH_DOMAIN, applicationID: "convex" }] };\n`,
    },
    /Environment variable NO_SUCH_DOMAIN is used in auth config file but its value was not set/,
  );
  write({ "convex/auth.config.ts": "export default { providers: [] };\n" });
  write({
    "package.json": `{ "name": "project", "type": "module", "dependencies": { "convex": "*", "ws": "*" } }`,
    "convex.json": `{ "node": { "externalPackages": ["ws"] } }`,
    "convex/work.ts": `${work}import { WebSocket } from "ws";\nexport const kind = action({ handler: async () => typeof WebSocket });\n`,
  });
  await refusal({}, /External packages \(ws\) are not supported by the embedded engine: take `node\.externalPackages` out/);
  write({ "convex.json": "{}", "convex/work.ts": work });
  await refusal(
    {
      "convex/convex.config.ts": `import { defineApp } from "convex/server";\nimport counter from "../counter/convex.config";\nconst app = defineApp();\napp.use(counter);\nexport default app;\n`,
      "counter/convex.config.ts": `import { defineComponent } from "convex/server";\nexport default defineComponent("counter");\n`,
      "counter/count.ts": `import { queryGeneric } from "convex/server";\nexport const get = queryGeneric({ args: {}, handler: async () => 1 });\n`,
    },
    /Components \(.*counter.*\) are not supported by the embedded engine yet/,
  );
});
