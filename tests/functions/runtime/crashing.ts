/** Run as a process of its own, to be killed: `node crashing.ts DIR DOCUMENTS`. Works through documents on the engine in DIR. */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { api } from "../../../convex/_generated/api.js";
import type { Ports } from "../../../functions/define.ts";
import { defineFunction } from "../../../functions/define.ts";
import { startRuntime } from "../../../functions/runtime/runtime.ts";
import { addText, read } from "../../contracts/lab.ts";
import { openEngineLabIn } from "../../convex/engineLab.ts";

const [dir = "", count = "0"] = process.argv.slice(2);
const lab = await openEngineLabIn(dir);
const ingest = defineFunction({
  kind: "documents.ingest",
  needs: [],
  run: async ({ args }) => {
    appendFileSync(join(dir, "runs"), `${args.documentId}\n`);
    await delay(2);
    return read;
  },
});
const runtime = startRuntime({ state: lab, ports: {} as Ports, functions: [ingest], workerName: "w", slots: 4, log: () => {} });
await runtime.start();
process.send?.("started");
for (let i = 0; i < Number(count); i += 1) await addText(lab, `${i}.txt`, `${i}`);
process.send?.("added");

await new Promise<void>((resolve, reject) => {
  lab.owner.watch(api.documents.counts, {}, ({ waiting, reading }) => waiting + reading === 0 && resolve(), reject);
});
const documents = await lab.owner.query(api.documents.list, {});
const jobs = await lab.owner.query(api.jobs.list, {});
await runtime.stop({ graceMs: 0 });
await lab.close();
assert(documents.every((document) => document.state === "ready"));
process.send?.({ names: documents.map((document) => document.name), jobs: jobs.map((job) => job.state) });
