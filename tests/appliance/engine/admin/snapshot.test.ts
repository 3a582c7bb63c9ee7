import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { parseExportJson, toExportJson } from "../../../../appliance/engine/admin/exportJson.ts";
import { toFloat, toInteger, type Json } from "../../../../appliance/engine/codec/value.ts";
import { adminKey, collector } from "../served.ts";
import { engineApp } from "../openTestCore.ts";
import { openProject } from "./commandLine.ts";
import { wideZip } from "./wideZip.ts";

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
  assert.match(refused.err, /Table notes already exists\. Please choose a new table name or use replace\/append modes/);
  assert.match(bad.err, /does not match the schema/);
  const rows = (await from.convex("data", "notes", "--format", "jsonLines")).out;
  const saved = await from.convex("export", "--path", "saved.zip");
  assert.equal(saved.code, 0, saved.err);
  await from.served.client().mutation(makeFunctionReference<"mutation">("notes:add"), { text: "later", rank: 3 });
  const restored = await from.convex("import", "--replace-all", "--yes", "saved.zip");
  assert.match(restored.err, /Added \d documents/, restored.err + restored.out);
  assert.equal((await from.convex("data", "notes", "--format", "jsonLines")).out, rows);
});

const call = makeFunctionReference;

test("stored files move with their rows: ids, addresses and bytes stay, in another deployment too", async () => {
  await using from = await openProject({ functionsDir: engineApp, env });
  const client = from.served.client();
  const id = (await client.action(call<"action">("files:save"), { text: "grüße" })) as string;
  await client.mutation(call<"mutation">("notes:add"), { text: id, rank: 1 });
  const url = (await client.query(call<"query">("files:url"), { id })) as string;
  const meta = await client.query(call<"query">("files:meta"), { id });
  const saved = await from.convex("export", "--include-file-storage", "--path", "saved.zip");
  assert.equal(saved.code, 0, saved.err);
  assert.match(saved.err, /Downloaded snapshot export to saved\.zip/);

  await using to = await openProject({ functionsDir: engineApp, env });
  to.write({ "notes.csv": "text,rank\nold,7\n" });
  assert.match((await to.convex("import", "--table", "notes", "notes.csv")).err, /Added 1 documents to table "notes"/);
  writeFileSync(join(to.folder, "saved.zip"), readFileSync(join(from.folder, "saved.zip")));
  const refused = await to.convex("import", "saved.zip");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /Table \w+ already exists/);
  const imported = await to.convex("import", "--replace", "--yes", "saved.zip");
  assert.equal(imported.code, 0, imported.err);
  assert.match(imported.err, /table +\| create +\| delete/);
  assert.match(imported.err, /_storage +\| 1 +\| 0 of 0 files \|/);
  assert.match(imported.err, /notes +\| 1 +\| 1 of 1 +\|/);
  assert.match(imported.err, /Added \d documents/);
  const there = to.served.client();
  assert.deepEqual(await there.query(call<"query">("files:meta"), { id }), meta);
  const moved = (await there.query(call<"query">("files:url"), { id })) as string;
  assert.equal(new URL(moved).pathname, new URL(url).pathname);
  const bytes = await fetch(moved);
  assert.deepEqual([await bytes.text(), bytes.headers.get("content-type")], ["grüße", "text/plain"]);
  const [note] = (await there.query(call<"query">("notes:all"), {})) as { text: string }[];
  assert.equal(note?.text, id);
  // The same again, and the engine takes the place of what it holds.
  const again = await to.convex("import", "--replace-all", "--yes", "saved.zip");
  assert.match(again.err, /_storage +\| 1 +\| 1 of 1 files \|/);
  assert.match(again.err, /Added \d documents/);
  assert.equal(await (await fetch(moved)).text(), "grüße");
  const twice = await to.convex("import", "--append", "saved.zip");
  assert.equal(twice.code, 1);
  assert.match(twice.err, /There is a stored file with the id/);
  assert.equal(await (await fetch(moved)).text(), "grüße");
});

test("a list and a table of text are imported; cells that read as numbers are numbers", async () => {
  await using project = await openProject({ functionsDir: engineApp, env });
  const { convex, write } = project;
  write({
    "things.csv": 'name, size ,note\na,1,"x, ""y"""\nb,-2.5e1,007\nc,nan,\n',
    "short.csv": "name,size\na\n",
    "bad.csv": "$name\na\n",
    "things.json": '[{"name":"d","size":4}]',
    "no.json": '{"name":"d"}',
    "broken.jsonl": '{"name":"d"}\n{"name"\n',
  });
  assert.match((await convex("import", "--table", "anything", "things.csv")).err, /Added 3 documents/);
  assert.match((await convex("import", "--append", "--table", "anything", "things.json")).err, /Added 1 documents/);
  const rows = (await convex("data", "anything", "--order", "asc", "--format", "jsonLines")).out
    .trim()
    .split("\n")
    .map((line) => /("name".*) }/.exec(line)?.[1]);
  assert.deepEqual(rows, [
    '"name": "a", "note": "x, \\"y\\"", "size": 1',
    '"name": "b", "note": 7, "size": -25',
    '"name": "c", "note": "", "size": "nan"',
    '"name": "d", "size": 4',
  ]);
  // `--yes`: whichever comes second would ask whether it may begin beside the first.
  const [short, bad, no, broken, noTable] = await Promise.all([
    convex("import", "--yes", "--append", "--table", "anything", "short.csv"),
    convex("import", "--yes", "--append", "--table", "anything", "bad.csv"),
    convex("import", "--yes", "--append", "--table", "anything", "no.json"),
    convex("import", "--yes", "--append", "--table", "anything", "broken.jsonl"),
    convex("import", "things.csv"),
  ]);
  assert.match(short.err, /CSV row 1 doesn't have all of the fields in the header/);
  assert.match(bad.err, /CSV header "\$name" isn't a valid field name/);
  assert.match(no.err, /Not a JSON array/);
  assert.match(broken.err, /This line is not JSON: \{"name"/);
  assert.match(noTable.err, /`--table` option is required for format csv/);
  const replaced = await convex("import", "--replace", "--yes", "--table", "anything", "things.json");
  assert.match(replaced.err, /anything \| 1 +\| 4 of 4 \|/);
  assert.equal((await convex("data", "anything", "--format", "jsonLines")).out.trim().split("\n").length, 1);
});

test("a snapshot written as a stream, with wide sizes, is read; one that is broken or too old says so", async () => {
  await using project = await openProject({ functionsDir: engineApp, env });
  const files = {
    "snapshot/_tables/documents.jsonl": '{"name":"anything","id":10077}\n{"name":"empty","id":10078}\n',
    "snapshot/anything/generated_schema.jsonl": '"uniform"\n',
    "snapshot/anything/documents.jsonl": '{"whole":1,"part":1.0}\n',
  };
  const put = (name: string, bytes: Buffer): void => writeFileSync(join(project.folder, name), bytes);
  const whole = wideZip(files);
  const broken = Buffer.from(whole);
  broken[broken.indexOf("anything/documents.jsonl") + 48]! ^= 0xff;
  put("wide.zip", whole);
  put("broken.zip", broken);
  put("short.zip", whole.subarray(0, whole.length - 30));
  put("old.zip", wideZip({ "anything/documents.jsonl": "", "anything/generated_schema.jsonl": '"{a: int64}"\n' }));
  const outcomes = await Promise.all(["broken.zip", "short.zip", "old.zip"].map((name) => project.convex("import", name)));
  for (const [at, wanted] of [/is broken/, /not a zip file/, /older Convex backend/].entries())
    assert.match(outcomes[at]?.err ?? "", wanted);
  const good = await project.convex("import", "wide.zip");
  assert.match(good.err, /Added 1 documents/, good.err);
  assert.match((await project.convex("data", "anything", "--format", "jsonLines")).out, /"part": 1, "whole": 1n/);
  assert.match((await project.convex("data")).out, /empty/);
});
