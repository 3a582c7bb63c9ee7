import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { serve } from "../served.ts";

const bump = makeFunctionReference<"mutation", { name: string }, number>("notes:bump");
const put = makeFunctionReference<"mutation", { rank: number; text: string }, null>("notes:put");
const count = makeFunctionReference<"query", { name: string }, number>("notes:count");
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

test("on a full disk mutations and uploads are refused with 507, reads go on, and with room again all goes on", async (t) => {
  using disk = smallDisk();
  if (!disk) return t.skip("only root may mount a small disk");
  await using served = await serve(
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
  const http = new ConvexHttpClient(served.url, { logger: false });
  const live = served.client();
  assert.equal(await live.mutation(bump, { name: "n" }), 1);
  const url = await http.mutation(uploadUrl, {});
  const ballast = join(disk.dir, "ballast");
  const { bavail, bsize } = statfsSync(disk.dir);
  writeFileSync(ballast, Buffer.alloc(bavail * bsize));

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

  rmSync(ballast);
  assert.equal((await refused(3)).status, 200);
  assert.equal(await live.mutation(bump, { name: "n" }), 2);
  assert.equal((await fetch(url, { method: "POST", body: Buffer.alloc(1024 * 1024) })).status, 200);
});
