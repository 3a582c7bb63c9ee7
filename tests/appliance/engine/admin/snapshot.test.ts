import assert from "node:assert/strict";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { parseExportJson, toExportJson } from "../../../../appliance/engine/admin/exportJson.ts";
import { toFloat, toInteger, type Json } from "../../../../appliance/engine/codec/value.ts";
import { adminKey, collector } from "../served.ts";
import { engineApp } from "../openTestCore.ts";
import { openProject } from "./commandLine.ts";

const env = { ISSUER: "https://issuer.test" };

test("every kind of value comes back from a snapshot as it went in", () => {
  const values: Json[] = [1, -1.5, 1e21, 1e-7, toFloat(-0), toFloat(Infinity), toFloat(NaN), null, true, "1", [2, [3]]];
  const value: Json = { values, big: toInteger(-(2n ** 63n)), one: toInteger(1n), bytes: { $bytes: "AAE=" } };
  assert.deepEqual(parseExportJson(toExportJson(value), true), value);
  assert.equal(toExportJson({ a: 1, b: toInteger(1n), c: toFloat(-0) }), '{"a":1.0,"b":1,"c":-0.0}');
});

test("rows are imported by line and by snapshot, with their ids, and who watches sees them", async () => {
  await using from = await openProject({ functionsDir: engineApp, env });
  from.write({ "notes.jsonl": '{"text":"a","rank":1}\n{"text":"b","rank":2}\n', "bad.jsonl": '{"text":1}\n' });
  const table = makeFunctionReference<"query", Record<string, unknown>, { page: { text: string }[] }>("_system/cli/tableData");
  const client = from.served.client();
  (client.client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(adminKey);
  const seen = collector<string>();
  const wanted = { table: "notes", order: "asc", paginationOpts: { cursor: null, numItems: 10 } };
  client.onUpdate(table, wanted, ({ page }) => seen.push(page.map((one) => one.text).join()));
  const added = await from.convex("import", "--table", "notes", "notes.jsonl");
  assert.match(added.err, /Added 2 documents to table "notes"/);
  await seen.until((one) => one === "a,b");
  const [refused, bad] = await Promise.all([
    from.convex("import", "--table", "notes", "notes.jsonl"),
    from.convex("import", "--append", "--table", "notes", "bad.jsonl"),
  ]);
  assert.match(refused.err, /Table "notes" has rows already/);
  assert.match(bad.err, /does not match the schema/);
  const rows = (await from.convex("data", "notes", "--format", "jsonLines")).out;
  const saved = await from.convex("export", "--path", "saved.zip");
  assert.equal(saved.code, 0, saved.err);
  await from.served.client().mutation(makeFunctionReference<"mutation">("notes:add"), { text: "later", rank: 3 });
  const restored = await from.convex("import", "--replace-all", "--yes", "saved.zip");
  assert.match(restored.err, /Added \d documents/, restored.err + restored.out);
  assert.equal((await from.convex("data", "notes", "--format", "jsonLines")).out, rows);
});
