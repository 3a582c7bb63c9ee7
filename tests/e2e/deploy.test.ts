/** A vault that moves to another model and back, in the whole appliance: with questions, documents and a crash meanwhile. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { api } from "../../convex/_generated/api.js";
import { startLab } from "../../scripts/lab/appliance.ts";
import { handOver, settled } from "../../scripts/lab/ingest.ts";
import { makeModel } from "../fixtures/makeModel.ts";

const nika = fileURLToPath(new URL("../../appliance/cli/nika.ts", import.meta.url));
const run = promisify(execFile);

test("a model is put in force, after a crash as well, and taken back at once by a command; nothing written meanwhile is missing", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-deploy-"));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(dir, { recursive: true, force: true }));
  const dataDir = join(dir, "data");
  const options = { dataDir, environment: { NIKA_MODELS: join(dir, "models"), NIKA_POLITE: "0" } };
  let appliance = await startLab(options);
  opened.defer(() => appliance.stop());
  let client = await appliance.client();
  const write = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, at) => {
      const name = `note${from + at}.md`;
      const sections = Array.from(
        { length: 12 },
        (_, n) => `## Part ${n}\n\nBerth ${from + at} has pump${from + at}x${n} and a valve.\n`,
      );
      writeFileSync(join(dir, name), `# Note ${from + at}\n\n${sections.join("\n")}`);
      return name;
    });
  await handOver(client, dir, write(0, 20));
  await settled(client);
  const command = async (...words: string[]): Promise<string> =>
    (await run(process.execPath, [nika, ...words, "--data", dataDir])).stdout;

  makeModel(join(dir, "models"), "bge-small-en-v1.5");
  await client.mutation(api.generations.deploy, { modelId: "bge" });
  const late = handOver(client, dir, write(20, 23));
  assert.ok((await appliance.ask("valve")).passages.length > 0);
  await late;
  await appliance.kill();

  appliance = await startLab(options);
  client = await appliance.client();
  // Whatever the machine has at its start: searches go by what is in force.
  const { embedder, passages } = await appliance.ask("pump3x2");
  assert.ok(passages.length > 0 && embedder.id !== "");
  const moved = new Promise<void>((resolve, reject) => {
    client.onUpdate(
      api.generations.current,
      {},
      ({ live, moving, past }) => {
        if (live?.wanted === "bge") resolve();
        else if (!moving) reject(new Error(past[0]?.problem ?? "it was given up"));
      },
      reject,
    );
  });
  await Promise.all([moved, settled(client)]);
  assert.match((await appliance.ask("pump22x3")).passages[0]?.text ?? "", /pump22x3/u);
  assert.match((await appliance.ask("pump3x2")).embedder.id, /^bge/u);
  assert.match(await command("model", "list"), /In force: bge.*\nKept: baseline/u);

  await handOver(client, dir, write(23, 24));
  await settled(client);
  assert.match(await command("model", "rollback"), /Searches go by baseline again/u);
  const { passages: found, embedder: back } = await appliance.ask("pump23x5");
  assert.match(found[0]?.text ?? "", /pump23x5/u);
  assert.match(back.id, /^nika-baseline/u);
});
