import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { backupState, restoreState } from "../../appliance/backup.ts";
import { writeBlob } from "../../appliance/engine/store/files.ts";
import { openTestCore } from "./engine/openTestCore.ts";

type Note = { _id: string; _creationTime: number; rank: number };

test("a backup of a running engine is one moment of it, and a restore brings it back with its ids and a later time", async () => {
  const root = mkdtempSync(join(tmpdir(), "nika-backup-"));
  const dir = join(root, "engine");
  const file = join(root, "state.tar");
  const bytes = Buffer.from("kept".repeat(1000));
  let saved: readonly Note[];
  let uuid: string;
  let lastTs: bigint;
  {
    await using own = await openTestCore({ dir });
    for (let rank = 0; rank < 20; rank++) await own.mutate("notes:add", { text: "before", rank });
    const stored = await own.core.storeFile({
      sha256: writeBlob(dir, bytes),
      sizeBytes: bytes.length,
      contentType: "text/plain",
    });
    uuid = stored.uuid;
    saved = await own.query<Note[]>("notes:all");
    const [{ files }] = await Promise.all([
      backupState(dir, file),
      ...Array.from({ length: 20 }, (_, at) => own.mutate("notes:add", { text: "meanwhile", rank: 100 + at })),
    ]);
    assert.equal(files, 1);
    await own.mutate("notes:add", { text: "after", rank: 1000 });
    lastTs = own.core.ts();
    await assert.rejects(restoreState(dir, file), { code: "conflict", message: /nika stop/ });
    await assert.rejects(backupState(dir, file), { code: "conflict", message: /exists already/ });
  }

  const { replaced } = await restoreState(dir, file);

  assert.match(replaced ?? "", /\.replaced-/);
  await using own = await openTestCore({ dir });
  const notes = await own.query<Note[]>("notes:all");
  assert.deepEqual(
    notes.filter(({ rank }) => rank < 100),
    saved,
  );
  const meanwhile = notes.map(({ rank }) => rank).filter((rank) => rank >= 100);
  assert.deepEqual(
    meanwhile,
    meanwhile.map((_, at) => 100 + at),
    "what was written meanwhile is there up to one moment",
  );
  assert.ok(own.core.ts() > lastTs);
  const found = await own.core.findFile(uuid);
  assert.equal(found?.sha256, createHash("sha256").update(bytes).digest("hex"));
  assert.deepEqual(readFileSync(own.core.filePath(found.sha256)), bytes);
  await own.core.close();

  for (const spoil of [
    (tar: Buffer) => tar.subarray(0, tar.length >> 1),
    (tar: Buffer) => Buffer.from(tar).fill(0x55, tar.length >> 1, (tar.length >> 1) + 64),
    () => Buffer.from("not a backup"),
  ]) {
    const bad = join(root, "bad.tar");
    writeFileSync(bad, spoil(readFileSync(file)));
    await assert.rejects(restoreState(dir, bad), { code: "invalid", message: /no sound backup.*Nothing was changed/ });
  }
  await using again = await openTestCore({ dir });
  assert.deepEqual(await again.query<Note[]>("notes:all"), notes);
  await again.core.close();
  rmSync(root, { recursive: true, force: true });
});
