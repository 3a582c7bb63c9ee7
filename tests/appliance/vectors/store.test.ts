import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseCollection, parseDense } from "../../../appliance/vectors/config.ts";
import { parsePath } from "../../../appliance/vectors/filter/payloadPath.ts";
import { parseFieldSchema } from "../../../appliance/vectors/filter/payloadIndex.ts";
import { toIdBytes } from "../../../appliance/vectors/pointId.ts";
import { parseQuery } from "../../../appliance/vectors/query/query.ts";
import { search } from "../../../appliance/vectors/query/search.ts";
import { Store } from "../../../appliance/vectors/store.ts";
import { startVectors } from "../../../appliance/vectors/vectors.ts";
import { changes } from "../../../appliance/vectors/writes.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import { openStore } from "./openStore.ts";
import { random } from "./random.ts";

const dirs: string[] = [];
after(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));
function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "nika-vectors-"));
  dirs.push(dir);
  return dir;
}

function open(dir: string): Store {
  const store = new Store(dir);
  if (store.has("c")) return store;
  const sparse_vectors = { s: { modifier: "idf" } };
  store.create("c", parseCollection({ vectors: { v: { size: 3, distance: "Dot" } }, sparse_vectors }));
  store.write("c", (c) => c.addIndex(parsePath("color"), parseFieldSchema("keyword")));
  store.write("c", (c) => c.addIndex(parsePath("said"), parseFieldSchema({ type: "text", phrase_matching: true })));
  store.write("c", (c) => c.addIndex(parsePath("size"), parseFieldSchema("integer")));
  return store;
}

const upsert = (store: Store, points: object[]): number => store.write("c", changes.upsert({ points }, store.get("c")));

/** All that can be seen of a collection, by its indexes and by its points. */
function seen(store: Store): unknown {
  const c = store.get("c");
  const of = (slots: Uint32Array): unknown[] =>
    Array.from(slots, (slot) => c.ids.get(slot)).sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const ask = (query: unknown, using: string): unknown[] =>
    search({ collection: c, find: () => c }, parseQuery({ query, using, limit: 1_000 }, c.config)).map(({ slot, score }) => [
      c.ids.get(slot),
      score,
    ]);
  const color = (value: string) => ({ type: "any", values: [value] }) as const;
  return {
    points: of(c.all()),
    payloads: Array.from(c.inOrder(undefined), (slot) => [c.versionOf(slot), c.payload(slot)]),
    red: of(c.index("color")!.select(color("red"), c.all())!),
    blue: of(c.index("color")!.select(color("blue"), c.all())!),
    large: of(c.index("size")!.select({ type: "range", bounds: { gte: 50 } }, c.all())!),
    boat: of(c.index("said")!.select({ type: "text", text: "boat" }, c.all())!),
    redBoat: of(c.index("said")!.select({ type: "phrase", text: "red boat" }, c.all())!),
    counts: [...c.indexes.values()].map(({ index }) => index.points),
    near: ask([1, 2, 3], "v"),
    words: ask({ indices: [1, 2, 3, 4, 5], values: [1, 1, 1, 1, 1] }, "s"),
  };
}

const saids = ["a red boat", "the boat is red", ["red", "boat"], "nothing of the kind", ["a red boat", "red"], 7, null];

test("after any writes, what is in memory is what a fresh start makes of the file", () => {
  const dir = newDir();
  let store = open(dir);
  const from = random(9);
  const write = (): void => {
    const id = from.below(120);
    const color = ["red", "blue", ["red", "blue"], null][from.below(4)];
    const dice = from.below(10);
    const one = { points: [id] };
    // Changes to a point that is not there are refused.
    if (dice > 6 && store.get("c").slotOf(toIdBytes(id)) === undefined) return;
    const apply = (name: keyof typeof changes, body: object): unknown =>
      store.write("c", changes[name]({ ...body }, store.get("c")));
    if (dice < 5) {
      const indices = [...new Set([from.below(6), from.below(6)])];
      const s = { indices, values: indices.map(() => from.next()) };
      upsert(store, [
        {
          id,
          vector: { ...(dice && { v: [from.next(), from.normal(), 1] }), ...(dice > 1 && { s }) },
          payload: { color, size: id, said: saids[from.below(saids.length)] },
        },
      ]);
    } else if (dice === 5) apply("delete", one);
    else if (dice === 6) apply("delete", { filter: { must: [{ key: "size", range: { gte: from.below(100), lt: 20 } }] } });
    else if (dice === 7) apply("set_payload", { ...one, payload: { color } });
    else if (dice === 8) apply("delete_vectors", { ...one, vector: ["s"] });
    else apply("delete_payload", { ...one, keys: ["color"] });
  };
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 150; i++) write();
    const before = seen(store);
    store.close();
    store = open(dir);
    assert.deepEqual(seen(store), before);
  }
  store.close();
});

test("a write that fails half-way changes nothing, in the file and in memory", () => {
  const dir = newDir();
  const store = open(dir);
  const points = Array.from({ length: 9 }, (_, id) => ({
    id,
    vector: { v: [1, id, 0], s: { indices: [id], values: [1] } },
    payload: { color: "red", size: id * 10 },
  }));
  upsert(store, points);
  const before = seen(store);

  const broken = (): number =>
    store.write("c", (c) => {
      changes.delete({ filter: { must: [{ key: "size", range: { gte: 50 } }] } })(c);
      changes.upsert(
        {
          points: [
            { id: 1, vector: {}, payload: { color: "blue" } },
            { id: 77, vector: {} },
          ],
        },
        c,
      )(c);
      c.addField("more", parseDense({ size: 2, distance: "Dot" }, "more"));
      throw new Error("the disk went away");
    });

  assert.throws(broken, /the disk went away/);
  assert.deepEqual(seen(store), before);
  assert.equal(store.get("c").slotOf(toIdBytes(77)), undefined);
  upsert(store, [{ id: 50, vector: { v: [1, 1, 1] }, payload: { color: "blue" } }]);
  const after = seen(store);
  store.close();
  const again = open(dir);
  assert.deepEqual(seen(again), after);
  again.close();
});

const refusedWith = (code: string, text: RegExp) => (error: unknown) =>
  isNikaError(error) && error.code === code && text.test(error.message);

test("a second store on the same data is refused while the first runs", async () => {
  await using first = await openStore();
  const second = startVectors({ dir: first.dir, apiKey: "k", host: "127.0.0.1", log: () => {} });

  await assert.rejects(second, refusedWith("unavailable", /locked/));
  assert.deepEqual(await first.client.getCollections(), { collections: [] });
});

test("a taken port and a file that is no database are told in a sentence", async () => {
  await using first = await openStore();
  const port = Number(new URL(first.url).port);
  const dir = newDir();
  writeFileSync(join(dir, "vectors.db"), "this is not a database, whatever its name says".repeat(40));

  const onPort = startVectors({ dir: newDir(), apiKey: "k", host: "127.0.0.1", port, log: () => {} });
  await assert.rejects(onPort, refusedWith("conflict", /Port \d+ is taken/));
  const onFile = startVectors({ dir, apiKey: "k", host: "127.0.0.1", log: () => {} });
  await assert.rejects(onFile, refusedWith("unavailable", /not a database/));
});

test("a file written by a newer Nika is left alone", async () => {
  const dir = newDir();
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(join(dir, "vectors.db"));
  db.exec("PRAGMA user_version = 99");
  db.close();

  const opened = startVectors({ dir, apiKey: "k", host: "127.0.0.1", log: () => {} });

  await assert.rejects(opened, refusedWith("unavailable", /newer Nika/));
});

test("it can be closed at once and opened again, many times", async () => {
  const dir = newDir();
  for (let i = 0; i < 5; i++) {
    const store = await startVectors({
      dir,
      apiKey: "k",
      host: "127.0.0.1",
      log: () => {},
      onExit: () => assert.fail("it was closed"),
    });
    await store.close();
  }
});
