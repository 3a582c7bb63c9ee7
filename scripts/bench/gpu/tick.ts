/**
 * What the lease engine costs the control plane with ten thousand jobs queued and two thousand machines running, on the embedded engine: each
 * of its periodic duties, and the memory of the process that holds both. Machines are rows; nothing is rented.
 * `npm run bench -- gpu [QUEUED] [RUNNING]`
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { makeFunctionReference, type FunctionReference, type RegisteredMutation } from "convex/server";
import { gatherBeats } from "../../../appliance/gpu/door/beats.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Capability } from "../../../convex/model/gpu.ts";
import type { GpuAsk } from "../../../convex/model/gpuJob.ts";
import { planDefaults } from "../../../convex/model/scaling.ts";
import { openEngineLabIn } from "../../../tests/convex/engineLab.ts";
import { installId } from "../../../tests/fakes/gpu/fleet.ts";
import { offerAt } from "../../../tests/fakes/gpu/plain.ts";
import type { allow, fallDue, lease, queue } from "./rows/fill.ts";

const [queued = 10_000, running = 2_000] = process.argv
  .slice(2)
  .filter((word) => /^\d+$/.test(word))
  .map(Number);
const times = 40;
const mb = 1e6;
const goalMs = 50;

const capability: Capability = {
  form: ["machine"],
  createIs: "onceByToken",
  hasTags: true,
  hasSpot: false,
  shutdownEndsBill: "yes",
  hasTtl: true,
  deletesItself: "shutdown",
  listLagMs: 0,
  noticeMs: 0,
  bootBytesMax: 16_000,
};
const ask: GpuAsk = { label: "bench", command: ["true"], need: {}, runMsMax: 24 * 3_600_000 };

const before = process.memoryUsage().rss;
const dir = mkdtempSync(join(tmpdir(), "nika-bench-gpu-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
const lab = await openEngineLabIn(dir, { functionsDir: withRows(join(dir, "convex")) });
const rows = {
  allow: row<typeof allow>("allow"),
  queue: row<typeof queue>("queue"),
  lease: row<typeof lease>("lease"),
  fallDue: row<typeof fallDue>("fallDue"),
};

const filledFrom = performance.now();
await lab.mutation(rows.allow, {});
const machines: { machineId: Id<"machines">; epoch: number }[] = [];
for (let from = 0; from < running; from += 20) {
  const count = Math.min(20, running - from);
  const offer = offerAt("scaleway", "zone-1", Date.now(), 600_000);
  machines.push(...(await lab.mutation(rows.lease, { ask, offer, capability, installId, from, count })));
}
for (let from = 0; from < queued; from += 100) await lab.mutation(rows.queue, { ask, count: Math.min(100, queued - from) });
console.log(`Filled in ${Math.round((performance.now() - filledFrom) / 1000)} s.`);

console.log(`With ${queued} jobs queued and ${running} machines running:`);
const offerNow = () => offerAt("scaleway", "zone-1", Date.now(), 600_000);
/** As many as it sees to in one go. */
const due = 10;
let seq = 1;
await duty("a tick of the reaper", () => lab.mutation(internal.machines.reap, {}));
await duty(
  `a tick of the reaper that finds ${due} machines and ${due} jobs due`,
  () => lab.mutation(internal.machines.reap, {}),
  async () => void (await lab.mutation(rows.fallDue, { count: due })),
);
await duty("planning the sweep of accounts", () => lab.mutation(internal.gpuSweeps.due, {}));
const tell = gatherBeats({ ...lab, watch: () => () => undefined });
// Two hundred in a second, which the door writes a hundred at a time.
await duty("the beats of 100 machines at once, by the door", () => {
  seq += 1;
  return Promise.all(machines.slice(0, 100).map((one) => tell({ ...one, seq })));
});
await duty("a tick of the scaler", () => lab.mutation(internal.scaling.tick, {}));
await lab.owner.mutation(api.scaling.set, { ...planDefaults, settings: { ...planDefaults.settings, isOn: true } });
await duty("a look of the scaler, with an offer", () =>
  lab.mutation(internal.scaling.look, { installId, choices: [{ offer: offerNow(), capability }] }),
);
let gpuJobId = await lab.mutation(internal.gpuJobs.add, { ask });
await duty(
  "placing a job, both writes",
  async () => {
    await lab.mutation(internal.gpuJobs.placing, { gpuJobId });
    await lab.mutation(internal.gpuJobs.placed, { gpuJobId, installId, choices: [{ offer: offerNow(), capability }], says: "" });
  },
  async () => {
    gpuJobId = await lab.mutation(internal.gpuJobs.add, { ask });
  },
);
const change = async () => void (await lab.mutation(rows.fallDue, { count: 1 }));
// The thread that answers queries loads the functions when it is first asked anything.
await lab.query(internal.machines.all, {});
await duty("the sums of money", () => lab.query(internal.gpuSpend.view, { now: Date.now() }), change);
await duty("the list of 50 jobs", () => lab.query(internal.gpuJobs.listAll, { limit: 50 }), change);
await duty("the list of machines, at most 500", () => lab.query(internal.machines.all, {}), change);
globalThis.gc?.();
const { rss } = process.memoryUsage();
figure("memory of the process", rss / mb, "MB", { text: "< 512", met: rss / mb < 512 });
figure("of which before the engine was opened", before / mb, "MB");
await lab.close();
process.exit();

/** Nika's functions, with those that fill it. */
function withRows(to: string): string {
  cpSync("convex", to, { recursive: true });
  symlinkSync(join(process.cwd(), "node_modules"), join(dir, "node_modules"));
  const text = readFileSync("scripts/bench/gpu/rows/fill.ts", "utf8").replaceAll("../../../../convex/", "./");
  writeFileSync(join(to, "benchRows.ts"), text);
  return to;
}

function row<F>(name: string): Reference<F> {
  return makeFunctionReference<"mutation">(`benchRows:${name}`) as never;
}
type Reference<F> =
  F extends RegisteredMutation<"internal", infer Args, infer Result>
    ? FunctionReference<"mutation", "internal", Args, Awaited<Result>>
    : never;

/** How long each of some calls takes, and what of that this process works: the rest is other work on the machine. */
async function duty(name: string, work: () => Promise<unknown>, prepare?: () => Promise<void>): Promise<void> {
  const [walls, cpus]: [number[], number[]] = [[], []];
  for (let i = 0; i < times; i += 1) {
    await prepare?.();
    const [from, worked] = [performance.now(), process.cpuUsage()];
    await work();
    const { user, system } = process.cpuUsage(worked);
    walls.push(performance.now() - from);
    cpus.push((user + system) / 1_000);
  }
  const at = (all: readonly number[], share: number) => all.toSorted((a, b) => a - b)[Math.floor(times * share)] ?? Number.NaN;
  figure(`${name}, half within`, at(walls, 0.5), "ms");
  figure(`${name}, 95 of 100 within`, at(walls, 0.95), "ms", { text: `< ${goalMs}`, met: at(walls, 0.95) < goalMs });
  figure(`${name}, processor time of half`, at(cpus, 0.5), "ms", { text: `< ${goalMs}`, met: at(cpus, 0.5) < goalMs });
}

function figure(name: string, value: number, unit: string, goal?: { text: string; met: boolean }): void {
  const rounded = Math.round(value * 10) / 10;
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  console.log(
    JSON.stringify({
      name,
      value: rounded,
      unit,
      peer: null,
      ratio: null,
      goal: goal?.text ?? null,
      met: goal?.met ?? null,
      load,
    }),
  );
}
