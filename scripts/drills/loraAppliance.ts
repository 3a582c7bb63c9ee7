/**
 * Training beside a base as its owner does it: an appliance of its own, a hundred papers handed in, three hundred uses remembered, then
 * `nika model train --with lora --base random --wait`, which runs as a GPU job of the provider `local`, in processes of this machine.
 * `node scripts/drills/loraAppliance.ts FOLDER_OF_PYTHON`: where a `python3` lies that has the libraries (see lora.ts).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, join, resolve } from "node:path";
import type { FunctionReference } from "convex/server";
import { openClient } from "../../appliance/cli/client.ts";
import { loadConfig } from "../../appliance/config.ts";
import { api, internal } from "../../convex/_generated/api.js";
import type { ModelView } from "../../convex/model/model.ts";
import { madeFirm } from "../../tests/ml/dataset/firm.ts";

const [pythonDir] = process.argv.slice(2);
if (pythonDir === undefined) throw new Error("Which folder has the python3 with the libraries?");
const work = mkdtempSync(join(tmpdir(), "nika-lora-appliance-"));
const [data, papers] = [join(work, "data"), join(work, "papers")];
const environment = {
  ...process.env,
  NIKA_DATA: data,
  NIKA_PORT: "0",
  PATH: [resolve(pythonDir), process.env["PATH"]].join(delimiter),
};
const nika = (...args: string[]): string =>
  execFileSync(process.execPath, [join(import.meta.dirname, "../../appliance/cli/nika.ts"), ...args], {
    env: environment,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 280_000,
  });

mkdirSync(join(data, "gpu"), { recursive: true });
mkdirSync(papers);
writeFileSync(join(data, "gpu/local.json"), JSON.stringify({ backend: "process" }));
const { passages, pairs } = madeFirm({ documents: 100 });
for (const { documentId, body } of passages) writeFileSync(join(papers, `${documentId}.txt`), `${body}\n`);
try {
  nika("up");
  nika("ingest", papers, "--wait");
  const client = openClient(loadConfig({ dataDir: data }));
  const [http, admin] = [await client.http(), await client.adminHttp()];
  const documents = await http.query(api.documents.list, { limit: 200 });
  const ids = new Map(documents.map(({ id, name }) => [basename(name, ".txt"), id]));
  console.log(`${documents.filter(({ state }) => state === "ready").length} papers are ready`);
  await http.mutation(api.uses.allow, { scopes: ["private"] });
  // An administrator may call what is internal, which the types do not know.
  const record = internal.uses.record as unknown as FunctionReference<"mutation">;
  for (const [at, { query, passage, session }] of pairs.entries()) {
    const shown = { documentId: ids.get(passage.documentId)!, ordinal: 0 };
    await admin.mutation(record, { key: `k${at}`, session: `${session} ${at}`, question: query, shown: [shown] });
    await http.mutation(api.uses.react, { key: `k${at}`, type: "cited", ...shown });
  }
  const startedAt = performance.now();
  const model = JSON.parse(nika("model", "train", "--with", "lora", "--base", "random", "--wait", "--json")) as ModelView;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(nika("model", "show"));
  const { jobs, machines } = JSON.parse(nika("gpu", "list", "--json")) as {
    jobs: readonly { state: string; attempt: number; label: string }[];
    machines: readonly unknown[];
  };
  for (const { label, state, attempt } of jobs) console.log(`GPU job "${label}": ${state}, machine ${attempt}`);
  console.log(
    `machines not yet proven gone: ${machines.length}; models kept: ${readdirSync(join(data, "models/nika")).join(", ")}`,
  );
  const lora = model.result?.trained?.lora;
  const holds =
    lora !== undefined && lora.lastLoss < lora.firstLoss && lora.servedCosine > 0.98 && jobs[0]?.state === "succeeded";
  console.log(
    `${holds ? "all holds" : "it does not hold"}: ${seconds} s from the command to the verdict; load ${readFileSync("/proc/loadavg", "utf8").trim()}`,
  );
  process.exitCode = holds ? 0 : 1;
} finally {
  nika("stop");
  rmSync(work, { recursive: true, force: true, maxRetries: 3 });
}
