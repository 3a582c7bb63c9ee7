/** A second machine that reads documents for the appliance: the command a person gives there, against a vault that both can reach. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openStore } from "../../appliance/store.ts";
import { api } from "../../convex/_generated/api.js";
import { startLab } from "../../scripts/lab/appliance.ts";
import { handOver, settled } from "../../scripts/lab/ingest.ts";

const nika = fileURLToPath(new URL("../../appliance/cli/nika.ts", import.meta.url));
const files = 40;

test("a machine that joined reads documents into the vault, is shown, and leaves in good order", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-joined-"));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(dir, { recursive: true, force: true }));
  const store = await openStore({ config: { type: "embedded" }, dir: join(dir, "vectors"), apiKey: "k", log: () => {} });
  opened.defer(() => store.close());
  const environment = { NIKA_QDRANT_URL: store.url, NIKA_QDRANT_API_KEY: "k", NIKA_SLOTS: "1", NIKA_POLITE: "0" };
  const appliance = await startLab({ dataDir: join(dir, "data"), environment });
  opened.defer(() => appliance.stop());
  const client = await appliance.client();
  const secret = "nkw_test";
  await client.mutation(api.workers.addToken, { name: "reader", hash: createHash("sha256").update(secret).digest("hex") });
  writeFileSync(join(dir, "token"), `${secret}\n`, { mode: 0o600 });

  const words = [nika, "worker", "--join", appliance.url, "--token-file", join(dir, "token"), "--slots", "4"];
  const worker = spawn(process.execPath, words, { env: { ...process.env, ...environment }, stdio: ["ignore", "ignore", "pipe"] });
  opened.defer(() => void worker.kill("SIGKILL"));
  let said = "";
  worker.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const gone = once(worker, "exit");
  let held = 0;
  const isUp = Promise.withResolvers<void>();
  client.onUpdate(api.workers.list, {}, (workers) => {
    const reader = workers.find(({ name }) => name === "reader");
    if (reader?.isUp) isUp.resolve();
    held = Math.max(held, reader?.holds ?? 0);
  });
  await Promise.race([isUp.promise, gone.then(() => assert.fail(said))]);

  const names = Array.from({ length: files }, (_, i) => `note${i}.md`);
  for (const [i, name] of names.entries())
    writeFileSync(join(dir, name), `# Note ${i}\n\nBerth ${i} belongs to the boat number ${i}.\n`);
  await handOver(client, dir, names);
  const { ready } = await settled(client);
  assert.equal(ready, files);
  assert(held > 0, `it never had a document in hand:\n${said}`);
  assert.match((await appliance.ask("whose is berth 7?")).passages[0]?.text ?? "", /[Bb]erth \d+/u);

  worker.kill("SIGTERM");
  assert.deepEqual((await gone)[0], 0, said);
  const list = await client.query(api.workers.list, {});
  assert.deepEqual(
    list.filter(({ isJoined }) => isJoined).map(({ name, isUp: isStill, holds, about }) => [name, isStill, holds, about?.kinds]),
    [["reader", false, 0, ["documents.ingest", "jobs.check"]]],
  );
});
