import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openRented } from "../../../appliance/gpu.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";
import { fakeFiles } from "../../fakes/files.ts";
import { openFakeState } from "../../fakes/state.ts";

const root = mkdtempSync(join(tmpdir(), "nikaAccounts"));
after(() => rmSync(root, { recursive: true, force: true }));

test("accounts that machines are rented from are looked through as long as they are set up, and this machine is not one", async () => {
  const state = openFakeState();
  const kept = new Map<string, string>();
  const secrets: Secrets = {
    find: async (name) => kept.get(name),
    set: async (name, value) => void kept.set(name, value),
    remove: async (name) => void kept.delete(name),
    renew: async (_name, renew) => renew(""),
    list: async () => [...kept.keys()].map((name) => ({ name, setAt: 0 })),
  };
  const start = async (): Promise<string[]> => {
    const rented = await openRented({
      dataDir: root,
      adminKey: "key",
      publicUrl: undefined,
      searchPath: undefined,
      state,
      files: fakeFiles(null),
      secrets,
      workers: { order: () => assert.fail("nothing is rented") },
      port: 1,
      vaultUrl: "http://127.0.0.1:1",
      log: () => undefined,
    });
    await rented.close();
    return state.run(async (ctx) => (await ctx.db.query("gpuSweeps").collect()).map(({ provider }) => provider));
  };
  assert.deepEqual(await start(), []);
  kept.set("gpu.runpod", JSON.stringify({ apiKey: "k" }));
  assert.deepEqual(await start(), ["runpod"]);
  const jobs = await state.run((ctx) => ctx.db.query("jobs").collect());
  assert.deepEqual(
    jobs.map(({ kind, label }) => [kind, label]),
    [["machines.sweep", "runpod"]],
  );
  kept.clear();
  assert.deepEqual(await start(), []);
});
