import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { restoreSnapshots, saveSnapshots } from "../../../appliance/qdrant/snapshots.ts";
import { apiKey, openStore } from "../vectors/openStore.ts";

test("all collections and aliases go into a folder and into another server; a damaged file is noticed", async () => {
  await using store = await openStore();
  await using other = await openStore();
  const dir = mkdtempSync(join(tmpdir(), "nika-saved-"));
  const from = { url: store.url, apiKey };
  const to = { url: other.url, apiKey };
  try {
    for (const name of ["a", "b/é".replace("/", "-")]) {
      await store.client.createCollection(name, { vectors: { size: 2, distance: "Dot" } });
      await store.client.upsert(name, { wait: true, points: [{ id: 1, vector: [1, 2], payload: { name } }] });
    }
    await store.client.updateCollectionAliases({ actions: [{ create_alias: { alias_name: "now", collection_name: "a" } }] });

    assert.equal(await saveSnapshots(from, join(dir, "saved")), 2);
    assert.deepEqual(await store.client.listSnapshots("a"), []);
    assert.equal(await restoreSnapshots(to, join(dir, "saved")), 2);

    assert.deepEqual(
      (await other.client.scroll("now", { with_vector: true })).points,
      (await store.client.scroll("a", { with_vector: true })).points,
    );
    assert.equal((await other.client.count("b-é")).count, 1);
    const file = readdirSync(join(dir, "saved")).find((one) => one.endsWith(".snapshot"))!;
    writeFileSync(join(dir, "saved", file), "something else");
    await assert.rejects(restoreSnapshots(to, join(dir, "saved")), /is damaged/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
