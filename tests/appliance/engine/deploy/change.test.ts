import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { engineApp, openTestCore } from "../openTestCore.ts";

const folders: string[] = [];
after(() => {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
});

/** A copy of the fixture app that may be changed, and a folder for its data. */
function makeApp(): { readonly dir: string; readonly functionsDir: string } {
  const root = mkdtempSync(join(tmpdir(), "nika-app-"));
  folders.push(root);
  cpSync(engineApp, join(root, "convex"), { recursive: true });
  symlinkSync(fileURLToPath(new URL("../../../../node_modules", import.meta.url)), join(root, "node_modules"));
  return { dir: join(root, "data"), functionsDir: join(root, "convex") };
}

const schema = (notes: string): string => `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  notes: ${notes},
  counters: defineTable({ name: v.string(), value: v.number() }).index("by_name", ["name"]),
});
`;

test("an index that is new at a start holds the old rows too, and one that is gone is gone", async () => {
  const app = makeApp();
  {
    await using first = await openTestCore(app);
    for (const rank of [3, 1, 2]) await first.mutate("notes:add", { text: `n${rank}`, rank });
  }
  writeFileSync(
    join(app.functionsDir, "schema.ts"),
    schema(
      `defineTable({ text: v.string(), rank: v.number(), tags: v.optional(v.array(v.string())) }).index("by_rank", ["rank"]).index("by_text", ["text"])`,
    ),
  );
  writeFileSync(
    join(app.functionsDir, "byText.ts"),
    `import { queryGeneric as query } from "convex/server";
     export const list = query({ handler: async (ctx) => (await ctx.db.query("notes").withIndex("by_text", (q) => q.gt("text", "n1")).collect()).map((one) => one.text) });
     export const old = query({ handler: async (ctx) => ctx.db.query("notes").withIndex("by_text_rank").collect() });`,
  );
  await using second = await openTestCore(app);
  assert.deepEqual(await second.query("byText:list"), ["n2", "n3"]);
  assert.match(await second.refusal("query", "byText:old"), /Index notes\.by_text_rank not found/);
  assert.ok(second.lines.includes("index notes.by_text added") && second.lines.includes("index notes.by_text_rank removed"));
});

test("a schema that the rows do not fit stops the start, names the row, and leaves the data as it was", async () => {
  const app = makeApp();
  let id: string;
  {
    await using first = await openTestCore(app);
    id = await first.mutate<string>("notes:add", { text: "old", rank: 1 });
  }
  writeFileSync(
    join(app.functionsDir, "schema.ts"),
    schema(`defineTable({ text: v.number(), rank: v.number() }).index("by_rank", ["rank"])`),
  );
  await assert.rejects(
    openTestCore(app),
    new RegExp(`Document with ID "${id}" in table "notes" does not match the schema: Value does not match validator`),
  );
  cpSync(join(engineApp, "schema.ts"), join(app.functionsDir, "schema.ts"));
  await using again = await openTestCore(app);
  assert.equal((await again.query<{ text: string }>("notes:get", { id })).text, "old");
});

test("functions that do not parse or load stop the start and say where", async () => {
  const app = makeApp();
  writeFileSync(join(app.functionsDir, "broken.ts"), "export const x = ;\n");
  await assert.rejects(openTestCore(app), /could not be bundled:\nbroken\.ts:1: Unexpected/);
  writeFileSync(join(app.functionsDir, "broken.ts"), `throw new Error("not today");\n`);
  await assert.rejects(openTestCore(app), /Loading the module broken failed: Error: not today/);
});

test("nothing is bundled again while nothing changes, and a change is noticed", async () => {
  const app = makeApp();
  const manifest = join(app.dir, "functions", "manifest.json");
  await (await openTestCore(app)).core.close();
  const made = statSync(manifest).mtimeMs;
  await (await openTestCore(app)).core.close();
  assert.equal(statSync(manifest).mtimeMs, made);
  writeFileSync(
    join(app.functionsDir, "extra.ts"),
    `import { queryGeneric as query } from "convex/server"; export const one = query({ handler: async () => 1 });`,
  );
  await using changed = await openTestCore(app);
  assert.equal(await changed.query("extra:one"), 1);
});

test("a staged search index is refused by name", async () => {
  const app = makeApp();
  writeFileSync(
    join(app.functionsDir, "schema.ts"),
    schema(
      `defineTable({ text: v.string(), rank: v.number() }).index("by_rank", ["rank"]).searchIndex("by_words", { searchField: "text", staged: true })`,
    ),
  );
  await assert.rejects(openTestCore(app), /not supported by the embedded engine yet/);
});

test("two engines never share a database", async () => {
  const app = makeApp();
  await using _first = await openTestCore(app);
  await assert.rejects(openTestCore(app), /in use/);
});
