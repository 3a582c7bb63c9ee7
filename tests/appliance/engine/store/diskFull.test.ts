import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { backupState } from "../../../../appliance/backup.ts";
import { adminKey, collector, serve, type Served } from "../served.ts";

const bump = makeFunctionReference<"mutation", { name: string }, number>("notes:bump");
const put = makeFunctionReference<"mutation", { rank: number; text: string }, null>("notes:put");
const count = makeFunctionReference<"query", { name: string }, number>("notes:count");
const schedule = makeFunctionReference<"mutation", { name: string; inMs: number }, null>("notes:schedule");
const store = makeFunctionReference<"action", { size: number }, string>("notes:store");
const uploadUrl = makeFunctionReference<"mutation", Record<string, never>, string>("notes:uploadUrl");
const sizeMiB = 24;

/** A small disk of its own, which only root can make. */
function smallDisk(): (Disposable & { readonly dir: string }) | undefined {
  const dir = mkdtempSync(join(tmpdir(), "nika-small-"));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  if (spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", dir]).status !== 0) {
    remove();
    return undefined;
  }
  return {
    dir,
    [Symbol.dispose]: () => {
      spawnSync("umount", ["-l", dir]);
      remove();
    },
  };
}

/** Takes all the room that is left; the result gives it back. */
function fill(disk: { readonly dir: string }): () => void {
  const ballast = join(disk.dir, "ballast");
  for (let sizeBytes = 1024 * 1024; sizeBytes >= 1; sizeBytes >>= 1)
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(sizeBytes));
    } catch {
      // No room for that much; perhaps for less.
    }
  return () => rmSync(ballast);
}

const openOn = (disk: { readonly dir: string }): Promise<Served> =>
  serve(
    (_dir, origin) =>
      openCore({
        dir: disk.dir,
        functionsDir: join(import.meta.dirname, "../app"),
        env: { TEST_JWKS: 'data:,{"keys":[]}' },
        origin,
        log: () => undefined,
      }),
    { dir: disk.dir },
  );

test("on a full disk what is scheduled waits, actions, imports and backups are told, and all of it goes on with room", async (t) => {
  using disk = smallDisk();
  if (!disk) return t.skip("only root may mount a small disk");
  await using served = await openOn(disk);
  const client = served.client();
  const jobs = collector<number>();
  client.onUpdate(count, { name: "job" }, jobs.push);
  assert.equal((await client.action(store, { size: 10_000 })).length > 0, true);
  const asAdmin = (path: string, body: string | Buffer): Promise<Response> =>
    fetch(`${served.url}/api/${path}`, { method: "POST", body, headers: { authorization: `Convex ${adminKey}` } });
  const imported = async (): Promise<Response[]> => {
    const { uploadToken } = (await (await asAdmin("import/start_upload", "")).json()) as { uploadToken: string };
    const rows = Buffer.from(`${JSON.stringify({ rank: 7, text: "z".repeat(50_000) })}\n`.repeat(20));
    const part = await asAdmin(`import/upload_part?uploadToken=${uploadToken}&partNumber=1`, rows);
    return [part];
  };

  // Due once the disk is full: nothing of it may be lost or failed for that.
  await client.mutation(schedule, { name: "job", inMs: 2000 });
  const free = fill(disk);
  while (!served.logged.some((line) => /scheduler: .*disk is full/i.test(line)))
    await new Promise((done) => setTimeout(done, 20));
  await assert.rejects(client.action(store, { size: 1_000_000 }), /disk is full/i);
  for (const answer of await imported()) assert.equal(answer.status, 507, await answer.text());
  const backup = join(disk.dir, "backup.tar");
  await assert.rejects(backupState(disk.dir, backup), { code: "full", message: /disk is full/ });
  assert.deepEqual(
    readdirSync(disk.dir).filter((name) => name.startsWith("backup")),
    [],
  );
  assert.equal(await client.query(count, { name: "job" }), 0);

  free();
  // The mutation of the pair, and the one that its action runs.
  await jobs.until((value) => value === 2);
  assert.equal((await client.action(store, { size: 1_000_000 })).length > 0, true);
  for (const answer of await imported()) assert.equal(answer.status, 200, await answer.text());
  assert.equal((await backupState(disk.dir, backup)).files, 2);
  assert.equal(await client.query(count, { name: "job" }), 2);
});

test("on a full disk mutations and uploads are refused with 507, reads go on, and with room again all goes on", async (t) => {
  using disk = smallDisk();
  if (!disk) return t.skip("only root may mount a small disk");
  await using served = await openOn(disk);
  const http = new ConvexHttpClient(served.url, { logger: false });
  const live = served.client();
  assert.equal(await live.mutation(bump, { name: "n" }), 1);
  const url = await http.mutation(uploadUrl, {});
  const free = fill(disk);

  const refused = async (rank: number): Promise<Response> =>
    fetch(`${served.url}/api/mutation`, {
      method: "POST",
      body: JSON.stringify({ path: "notes:put", args: { rank, text: "x".repeat(200_000) } }),
    });
  const mutation = await refused(1);
  assert.equal(mutation.status, 507);
  assert.match(((await mutation.json()) as { message: string }).message, /disk is full: nothing was changed/i);
  await assert.rejects(live.mutation(put, { rank: 2, text: "y".repeat(200_000) }), /disk is full/i);
  const upload = await fetch(url, { method: "POST", body: Buffer.alloc(1024 * 1024) });
  assert.equal(upload.status, 507);
  assert.equal(await http.query(count, { name: "n" }), 1);

  free();
  assert.equal((await refused(3)).status, 200);
  assert.equal(await live.mutation(bump, { name: "n" }), 2);
  assert.equal((await fetch(url, { method: "POST", body: Buffer.alloc(1024 * 1024) })).status, 200);
});
