import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { openTexts } from "../../../../appliance/engine/search/texts.ts";
import { openInMemory } from "../../../../appliance/engine/store/database.ts";
import { collector, serve, type Served } from "../served.ts";
import { addAll, api, appDir, opened } from "./served.ts";

let shared: Served;
before(async () => {
  shared = await opened();
});
after(() => shared[Symbol.asyncDispose]());

test("documents are found by any word, in any case, and by how the last word begins; the rarer word counts more", async () => {
  const client = shared.httpClient();
  await addAll(client, ["Rivers and Lakes", "rivers, rivers: RIVERS", "Mountains-and valleys", "a lake alone"], "land");
  const find = (words: string) => client.query(api.articles.find, { words, shelf: "land" });

  assert.deepEqual(await find("mountains"), ["Mountains-and valleys"]);
  assert.deepEqual(await find("RIVERS"), ["rivers, rivers: RIVERS", "Rivers and Lakes"]);
  assert.deepEqual(await find("lak"), ["a lake alone", "Rivers and Lakes"]);
  assert.deepEqual(await find("lak alone"), ["a lake alone"]);
  assert.deepEqual((await find("valleys and")).at(0), "Mountains-and valleys");
  assert.deepEqual(await find("ivers"), []);
  assert.deepEqual(await find("  ?! "), []);
});

test("of equal documents the younger comes first, and a filter keeps the others out", async () => {
  const client = shared.httpClient();
  await addAll(client, ["same words", "same words", "same other"], "one");
  await client.mutation(api.articles.add, { text: "same words", shelf: "two" });
  const id = await client.mutation(api.articles.add, { text: "same words", shelf: "one" });
  await client.mutation(api.articles.change, { id, fields: { stars: 5 } });

  const found = await client.query(api.articles.find, { words: "same words", shelf: "one" });
  assert.deepEqual(found, ["same words (5)", "same words", "same words", "same other"]);
  assert.deepEqual(await client.query(api.articles.find, { words: "same", shelf: "two" }), ["same words"]);
  assert.deepEqual(await client.query(api.articles.find, { words: "same", shelf: "none" }), []);
});

test("words of more than 32 bytes are not words, and only the first sixteen are asked for", async () => {
  const client = shared.httpClient();
  const long = "x".repeat(33);
  await addAll(client, [`${long} ${"y".repeat(32)}`], "long");
  assert.deepEqual(await client.query(api.articles.find, { words: long, shelf: "long" }), []);
  assert.equal((await client.query(api.articles.find, { words: "y".repeat(32), shelf: "long" })).length, 1);
  const many = Array.from({ length: 16 }, (_, at) => `none${at}`).join(" ");
  assert.deepEqual(await client.query(api.articles.find, { words: `${many} ${"y".repeat(32)}`, shelf: "long" }), []);
});

test("a mutation finds what it wrote, and what was changed or deleted is found no more", async () => {
  const client = shared.httpClient();
  assert.deepEqual(await client.mutation(api.articles.addAndFind, { text: "ephemeral", words: "ephemeral" }), [0, 1, 0]);
  const id = await client.mutation(api.articles.add, { text: "doomed word", shelf: "own" });
  await client.mutation(api.articles.change, { id, fields: { text: "spared word" } });
  assert.deepEqual(await client.query(api.articles.find, { words: "doomed" }), []);
  assert.deepEqual(await client.query(api.articles.find, { words: "spared" }), ["spared word"]);
  await client.mutation(api.articles.remove, { id });
  assert.deepEqual(await client.query(api.articles.find, { words: "spared" }), []);
});

test("pages of a search follow each other without gap or repetition", async () => {
  const client = shared.httpClient();
  const texts = Array.from({ length: 7 }, (_, at) => `paged ${"word ".repeat(at)}`.trim());
  await addAll(client, texts, "paged");
  const seen: string[] = [];
  let cursor: string | null = null;
  for (let isDone = false; !isDone;) {
    const page: { page: { text: string }[]; isDone: boolean; continueCursor: string } = await client.query(api.articles.page, {
      words: "paged",
      paginationOpts: { numItems: 3, cursor },
    });
    seen.push(...page.page.map(({ text }) => text));
    ({ isDone, continueCursor: cursor } = page);
  }
  assert.deepEqual(seen, texts);
});

test("a live search is run again for a document that could enter it, and for no other", async () => {
  await using served = await opened();
  const [reader, writer] = [served.client(), served.client()];
  const [open, shelved] = [collector<string[]>(), collector<string[]>()];
  reader.onUpdate(api.articles.find, { words: "green tea" }, open.push);
  reader.onUpdate(api.articles.find, { words: "green tea", shelf: "a" }, shelved.push);
  await Promise.all([open, shelved].map(({ until }) => until((value) => value.length === 0)));
  const runs = () => served.engine.stats().runs;
  assert.equal(runs(), 2);
  const until = (count: number) =>
    Promise.all([open.until((value) => value.length >= count), shelved.until((value) => value.length >= 1)]);

  await writer.mutation(api.articles.add, { text: "coffee", shelf: "a" });
  await writer.mutation(api.articles.add, { text: "greenish te", shelf: "a" });
  const id = await writer.mutation(api.articles.add, { text: "Green", shelf: "a" });
  await until(1);
  assert.equal(runs(), 4, "neither coffee nor half of a word");
  await writer.mutation(api.articles.add, { text: "teapot", shelf: "b" });
  await open.until((value) => value.length === 2);
  assert.equal(runs(), 5, "another shelf");
  await writer.mutation(api.articles.change, { id, fields: { stars: 4 } });
  await Promise.all([open, shelved].map((one) => one.until((value) => value.includes("Green (4)"))));
  assert.equal(runs(), 7, "a document in the result");
});

test("a search index that is new at a start finds old documents; one that is gone is refused by name", async () => {
  const root = mkdtempSync(join(tmpdir(), "nika-search-"));
  try {
    const app = join(root, "convex");
    cpSync(appDir, app, { recursive: true });
    symlinkSync(fileURLToPath(new URL("../../../../node_modules", import.meta.url)), join(root, "node_modules"));
    const open = (dir: string, origin: () => string) =>
      openCore({ dir, functionsDir: app, env: {}, origin, log: () => undefined });
    const bare = `import { defineSchema } from "convex/server"; export default defineSchema({}, { schemaValidation: false });`;
    writeFileSync(join(app, "schema.ts"), bare);
    await using served = await serve(open);
    const client = served.httpClient();
    await addAll(client, ["old news", "old hat"]);
    await assert.rejects(client.query(api.articles.find, { words: "old" }), /Index articles\.words not found/);
    cpSync(join(appDir, "schema.ts"), join(app, "schema.ts"));
    await served.restart(open);
    assert.deepEqual(await client.query(api.articles.find, { words: "old hat" }), ["old hat", "old news"]);
    writeFileSync(join(app, "schema.ts"), bare);
    await served.restart(open);
    await assert.rejects(client.query(api.articles.find, { words: "old" }), /Index articles\.words not found/);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("a single letter finds the best of thousands, the younger first, past those that a filter keeps out", () => {
  const db = openInMemory();
  const texts = openTexts(db);
  const [one, two] = [Buffer.alloc(8, 1), Buffer.alloc(8, 2)];
  const idOf = (at: number): Buffer => Buffer.from(String(at).padStart(16, "0"));
  db.exec("BEGIN");
  for (let at = 0; at < 9000; at++) {
    // Every thousandth says it twice, in two words; only the oldest ninth has the filter's value.
    const counts = new Map(
      at % 1000 === 0 ? [[`a${at}`, 1] as const, ["ab", 1] as const] : [[`a${at % 50}`, 1] as const, ["z", 1] as const],
    );
    texts.add(1, { id: idOf(at), createdMs: at }, { counts, length: 2, filters: at < 1000 ? one : two });
  }
  db.exec("COMMIT");
  const find = (whole: string[], prefix: string, filters: { at: number; hash: Buffer }[] = []): number[] =>
    texts.find(1, { whole, prefix }, filters).map(({ id }) => Number(Buffer.from(id).toString()));
  const all = find([], "a");
  assert.deepEqual([all.length, ...all.slice(0, 11)], [1024, 8000, 7000, 6000, 5000, 4000, 3000, 2000, 1000, 0, 8999, 8998]);
  const old = find([], "a", [{ at: 0, hash: one }]);
  assert.deepEqual([old.length, old[0], old[1], old.at(-1)], [1000, 0, 999, 1]);
  assert.deepEqual(find(["a3000"], "a").slice(0, 2), [3000, 8000]);
  assert.deepEqual(find([], "b"), []);
  db.close();
});
