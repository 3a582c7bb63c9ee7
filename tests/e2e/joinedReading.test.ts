/**
 * A second machine that reads documents for the appliance: the command a person gives there, against a vault that both can reach, also while that
 * moves to a model that only the appliance has.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { QdrantClient } from "@qdrant/js-client-rest";
import { openStore } from "../../appliance/store.ts";
import { api } from "../../convex/_generated/api.js";
import { modelFiles } from "../../ml/train/modelFiles.ts";
import { dequantised } from "../../ml/train/quantise.ts";
import { composeTable, firstFeatures } from "../../ml/train/rows.ts";
import { learnVocabulary } from "../../ml/train/vocabulary.ts";
import { startLab } from "../../scripts/lab/appliance.ts";
import { handOver, settled } from "../../scripts/lab/ingest.ts";

const nika = fileURLToPath(new URL("../../appliance/cli/nika.ts", import.meta.url));
const files = 20;

/** A table of chance in the place of bge: it knows nothing, and nobody else has the like. */
function putModel(modelsDir: string): void {
  const vocabulary = learnVocabulary(["Berth 7 belongs to the boat number 7.", "Note"]);
  const features = firstFeatures(vocabulary, 384);
  const table = dequantised(composeTable(features, features.values), 384);
  for (const [path, bytes] of modelFiles({ vocabulary, dimensions: 384, table })) {
    const file = join(modelsDir, "Xenova/bge-small-en-v1.5", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
}

test("a machine that joined reads documents into both spaces of a vault that moves, is shown, and leaves in good order", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-joined-"));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(dir, { recursive: true, force: true }));
  const store = await openStore({ config: { type: "embedded" }, dir: join(dir, "vectors"), apiKey: "k", log: () => {} });
  opened.defer(() => store.close());
  const environment = { NIKA_QDRANT_URL: store.url, NIKA_QDRANT_API_KEY: "k", NIKA_SLOTS: "1", NIKA_POLITE: "0" };
  const elsewhere = { ...environment, NIKA_MODELS: join(dir, "models of the worker") };
  const appliance = await startLab({ dataDir: join(dir, "data"), environment });
  opened.defer(() => appliance.stop());
  const client = await appliance.client();
  const secret = "nkw_test";
  await client.mutation(api.workers.addToken, { name: "reader", hash: createHash("sha256").update(secret).digest("hex") });
  writeFileSync(join(dir, "token"), `${secret}\n`, { mode: 0o600 });

  const words = [nika, "worker", "--join", appliance.url, "--token-file", join(dir, "token"), "--slots", "4"];
  const worker = spawn(process.execPath, words, { env: { ...process.env, ...elsewhere }, stdio: ["ignore", "ignore", "pipe"] });
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

  const handIn = async (from: number): Promise<void> => {
    const names = Array.from({ length: files }, (_, i) => `note${from + i}.md`);
    for (const [i, name] of names.entries())
      writeFileSync(join(dir, name), `# Note ${from + i}\n\nBerth ${from + i} belongs to the boat number ${from + i}.\n`);
    await handOver(client, dir, names);
  };
  await handIn(0);
  assert.equal((await settled(client)).ready, files);
  assert(held > 0, `it never had a document in hand:\n${said}`);
  assert.match((await appliance.ask("whose is berth 7?")).passages[0]?.text ?? "", /[Bb]erth \d+/u);

  putModel(join(dir, "data/models"));
  const isMoved = Promise.withResolvers<void>();
  const id = await client.mutation(api.generations.deploy, { modelId: "bge" });
  client.onUpdate(api.generations.current, {}, ({ live, moving, past }) => {
    if (live?.id === id) isMoved.resolve();
    else if (moving?.id !== id) isMoved.reject(new Error(past[0]?.problem ?? "it was given up"));
  });
  await handIn(files);
  await isMoved.promise;
  held = 0;
  await handIn(2 * files);
  assert.equal((await settled(client)).ready, 3 * files);
  assert(held > 0, `it read nothing after the move:\n${said}`);
  assert.match(said, /bge-small-en-v1.5-[0-9a-f]{12} was fetched/u);
  assert.deepEqual(await sizesOf(store.url), [3 * files, 3 * files]);

  worker.kill("SIGTERM");
  assert.deepEqual((await gone)[0], 0, said);
  const list = await client.query(api.workers.list, {});
  assert.deepEqual(
    list.filter(({ isJoined }) => isJoined).map(({ name, isUp: isStill, holds, about }) => [name, isStill, holds, about?.kinds]),
    [["reader", false, 0, ["documents.ingest", "jobs.check"]]],
  );
});

/** Documents in each of the vault's spaces, all of them to be found. */
async function sizesOf(url: string): Promise<number[]> {
  const client = new QdrantClient({ url, headers: { "api-key": "k" }, checkCompatibility: false });
  const { collections } = await client.getCollections();
  const names = collections.map(({ name }) => name).filter((name) => name.startsWith("nika_vault__"));
  return Promise.all(
    names.map(async (name) => {
      const { points } = await client.scroll(name, { limit: 1_000, with_payload: true });
      assert(points.every(({ payload }) => payload?.["held"] === ""));
      return new Set(points.map(({ payload }) => payload?.["document_id"])).size;
    }),
  );
}
