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
