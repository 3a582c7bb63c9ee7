import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { apiKey, openStore, type OpenStore } from "./openStore.ts";
import { refused } from "./refused.ts";

const c = "books";

async function filled(): Promise<OpenStore> {
  const store = await openStore();
  await store.client.createCollection(c, {
    vectors: {
      v: { size: 2, distance: "Cosine" },
      many: { size: 2, distance: "Dot", multivector_config: { comparator: "max_sim" } },
    },
    sparse_vectors: { s: { modifier: "idf" } },
    metadata: { model: "m" },
  });
  await store.client.createPayloadIndex(c, { field_name: "n", field_schema: "integer", wait: true });
  const points = Array.from({ length: 20 }, (_, n) => ({
    id: n,
    vector: {
      v: [n + 1, 1],
      many: [
        [n, 1],
        [1, n],
      ],
      s: { indices: [n % 3], values: [1] },
    },
    payload: { n },
  }));
  await store.client.upsert(c, { wait: true, points });
  await store.client.updateCollectionAliases({ actions: [{ create_alias: { alias_name: "shelf", collection_name: c } }] });
  return store;
}

/** All that can be seen of the collection. */
async function seen({ client }: OpenStore, name = c): Promise<unknown> {
  const { points } = await client.scroll(name, { limit: 100, with_vector: true });
  const byWord = await client.query(name, { query: { indices: [1], values: [1] }, using: "s", limit: 100 });
  const { config, payload_schema, points_count } = await client.getCollection(name);
  return { points, byWord: byWord.points.map(({ id, score }) => [id, score]), config, payload_schema, points_count };
}

async function download(store: OpenStore, name: string): Promise<Buffer> {
  const answer = await fetch(`${store.url}/collections/${c}/snapshots/${name}`, { headers: { "api-key": apiKey } });
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

async function upload(
  store: OpenStore,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  query = "",
): Promise<{ status: number; text: string }> {
  const form = new FormData();
  form.append("snapshot", new Blob([bytes]), "x.snapshot");
  const path = `${store.url}/collections/${name}/snapshots/upload${query}`;
  const answer = await fetch(path, { method: "POST", headers: { "api-key": apiKey }, body: form });
  return { status: answer.status, text: await answer.text() };
}

test("a snapshot is listed, downloaded with the checksum it names, and deleted", async () => {
  await using store = await filled();

  const made = (await store.client.createSnapshot(c))!;
  const bytes = await download(store, made.name);

  assert.match(made.name, /^books-\d{4}(-\d{2}){5}\.snapshot$/);
  assert.deepEqual(await store.client.listSnapshots(c), [made]);
  assert.equal(bytes.length, made.size);
  assert.equal(createHash("sha256").update(bytes).digest("hex"), made.checksum);
  await store.client.deleteSnapshot(c, made.name);
  assert.deepEqual(await store.client.listSnapshots(c), []);
  await refused(store.client.deleteSnapshot(c, made.name), 404, /Snapshot .* not found/);
});

test("recovering puts a collection back as it was, under its aliases, and for good", async () => {
  await using store = await filled();
  const before = await seen(store);
  const { name, checksum } = (await store.client.createSnapshot(c))!;
  await store.client.delete(c, { filter: { must: [{ key: "n", range: { gte: 5 } }] } });
  const location = `file://${join(store.dir, "snapshots", c, name)}`;

  await store.client.recoverSnapshot("shelf", { location, ...(checksum != null && { checksum }) });

  assert.deepEqual(await seen(store), before);
  assert.deepEqual(await seen(store, "shelf"), before);
  await using again = await store.reopen();
  assert.deepEqual(await seen(again), before);
});

test("an uploaded snapshot makes the collection in another store", async () => {
  await using store = await filled();
  await using other = await openStore();
  const { name, checksum } = (await store.client.createSnapshot(c))!;
  const bytes = Uint8Array.from(await download(store, name));

  assert.equal((await upload(other, c, bytes, "?checksum=00")).status, 400);
  assert.equal((await other.client.collectionExists(c)).exists, false);
  assert.equal((await upload(other, c, bytes, `?checksum=${checksum}`)).status, 200);

  assert.deepEqual(await seen(other), await seen(store));
  await other.client.upsert(c, { points: [{ id: 500, vector: { v: [1, 0] } }] });
  assert.equal((await other.client.count(c)).count, 21);
});

test("what is no snapshot, or was tampered with, is refused and changes nothing", async () => {
  await using store = await filled();
  const before = await seen(store);
  const { name } = (await store.client.createSnapshot(c))!;
  const path = join(store.dir, "snapshots", c, name);
  const good = Uint8Array.from(readFileSync(path));
  const spoiled = (sql: string): Uint8Array<ArrayBuffer> => {
    const file = join(store.dir, "spoiled.db");
    writeFileSync(file, good);
    const db = new DatabaseSync(file);
    db.exec(sql);
    db.close();
    return Uint8Array.from(readFileSync(file));
  };
  const { id: field } = new DatabaseSync(path).prepare("SELECT id FROM vectors WHERE name = 'v'").get() as { id: number };
  const { id: sparse } = new DatabaseSync(path).prepare("SELECT id FROM vectors WHERE name = 's'").get() as { id: number };

  const bad: Uint8Array<ArrayBuffer>[] = [
    Uint8Array.from(Buffer.from("not a database")),
    good.slice(0, good.length - 5000),
    spoiled("PRAGMA application_id = 1"),
    spoiled("PRAGMA user_version = 99"),
    spoiled("UPDATE points SET payload = '[' WHERE slot = 3"),
    spoiled("UPDATE points SET id = x'0102' WHERE slot = 3"),
    spoiled("UPDATE points SET id = (SELECT id FROM points WHERE slot = 4) WHERE slot = 3"),
    spoiled(`UPDATE vector_${field} SET value = x'01' WHERE slot = 3`),
    spoiled(`INSERT INTO vector_${field} SELECT 900, value FROM vector_${field} LIMIT 1`),
    spoiled(`UPDATE vector_${sparse} SET value = x'02000000010000000000803f0000803f' WHERE slot = 3`),
    spoiled("UPDATE vectors SET config = '{}'"),
    spoiled("DROP TABLE points"),
    spoiled("CREATE VIEW z AS SELECT 1"),
    spoiled("UPDATE collection SET given = 'x'"),
  ];
  for (const [i, bytes] of bad.entries()) {
    const { status, text } = await upload(store, c, bytes);
    assert.ok(status === 400 || status === 422, `${i}: ${status} ${text}`);
  }
  assert.deepEqual(await seen(store), before);
  assert.deepEqual(store.logged, []);
});

test("files outside the snapshots folder are not read", async () => {
  await using store = await filled();
  await store.client.createSnapshot(c);

  await refused(store.client.recoverSnapshot(c, { location: `file://${join(store.dir, "vectors.db")}` }), 403, /^Forbidden/);
  await refused(store.client.recoverSnapshot(c, { location: "file:///nowhere/x.snapshot" }), 400, /does not exist/);
  await refused(store.client.recoverSnapshot(c, { location: "ftp://x/y" }), 400, /location/);
});

test("a snapshot is fetched from another store over HTTP", async () => {
  await using store = await filled();
  await using other = await openStore();
  const { name } = (await store.client.createSnapshot(c))!;

  await other.client.recoverSnapshot(c, { location: `${store.url}/collections/${c}/snapshots/${name}`, api_key: apiKey });

  assert.deepEqual(await seen(other), await seen(store));
});

test("the whole store is copied into one file that opens as a store", async () => {
  await using store = await filled();
  const made = await store.client.createFullSnapshot();
  assert.deepEqual(await store.client.listFullSnapshots(), [made]);
  const answer = await fetch(`${store.url}/snapshots/${made.name}`, { headers: { "api-key": apiKey } });
  const bytes = Buffer.from(await answer.arrayBuffer());

  const before = await seen(store);
  await store.client.deleteCollection(c);
  const dir = mkdtempSync(join(tmpdir(), "nika-vectors-"));
  writeFileSync(join(dir, "vectors.db"), bytes);
  await using restored = await openStore(dir);
  assert.deepEqual(await seen(restored), before);
  assert.deepEqual(await seen(restored, "shelf"), before);
});
