/**
 * What the lease engine costs the control plane: a tick of its reaper and a beat of its machines with ten thousand jobs queued and two thousand
 * machines running, on the embedded engine, and the memory of the process that holds both. Machines are rows; nothing is rented.
 * `npm run bench -- gpu [QUEUED] [RUNNING]`
 */
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Capability } from "../../../convex/model/gpu.ts";
import type { GpuAsk } from "../../../convex/model/gpuJob.ts";
import { openEngineLab } from "../../../tests/convex/engineLab.ts";
import { installId } from "../../../tests/fakes/gpu/fleet.ts";
import { offerAt } from "../../../tests/fakes/gpu/plain.ts";

const [queued = 10_000, running = 2_000] = process.argv.slice(2).map(Number);
const ticks = 20;
const sideBySide = 64;
const mb = 1e6;

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
const lab = await openEngineLab();
const cap = 1e12;
await lab.owner.mutation(api.gpuSpend.setCaps, { caps: { job: cap, day: cap, month: cap, hourly: cap } });
const machines: { machineId: Id<"machines">; epoch: number }[] = [];
await many(running, async (i) => {
  const gpuJobId = await lab.mutation(internal.gpuJobs.add, { ask });
  await lab.mutation(internal.gpuJobs.placing, { gpuJobId });
  const offer = offerAt("scaleway", "zone-1", Date.now(), 600_000);
  const machineId = await lab.mutation(internal.gpuJobs.placed, {
    gpuJobId,
    installId,
    choices: [{ offer, capability }],
    says: "",
  });
  if (!machineId) throw new Error("It was not placed.");
  const intent = await lab.mutation(internal.machines.asking, { machineId });
  if (!intent) throw new Error("It was not asked for.");
  const { key, name } = intent;
  const ref = { provider: "scaleway" as const, region: "zone-1", id: `m${i}` };
  const observed = { ref, name, machineId: key, state: "running" as const, isBilled: true, satellites: [] };
  await lab.mutation(internal.machines.setSecret, { machineId, secretHash: key });
  await lab.mutation(internal.machines.asked, { machineId, result: { type: "created", observed } });
  const { epoch } = await lab.mutation(internal.machines.enrol, { key, secretHash: key });
  await lab.mutation(internal.gpuJobs.started, { machineId, epoch, facts: [] });
  machines.push({ machineId, epoch });
});
await many(queued, async () => void (await lab.mutation(internal.gpuJobs.add, { ask })));

const tickMs = await timed(ticks, () => lab.mutation(internal.machines.reap, {}));
let seq = 1;
const beatMs = await timed(ticks, () => {
  seq += 1;
  const beats = machines.slice(0, 200).map((one) => ({ ...one, seq }));
  return lab.mutation(internal.machines.beat, { beats });
});
const spendMs = await timed(ticks, () => lab.owner.query(api.gpuSpend.get, { now: Date.now() }));
globalThis.gc?.();
const { rss } = process.memoryUsage();

const state = `with ${queued} queued and ${running} running`;
figure(`a tick ${state}, half of them within`, half(tickMs), "ms");
figure(`a tick ${state}, 95 of 100 within`, most(tickMs), "ms", { text: "< 50", met: most(tickMs) < 50 });
figure("beats of 200 machines in one write, half within", half(beatMs), "ms");
figure(`the four sums ${state}, half within`, half(spendMs), "ms");
figure(`memory of the process ${state}`, rss / mb, "MB", { text: "< 512", met: rss / mb < 512 });
figure("of which before the engine was opened", before / mb, "MB");
await lab.close();
process.exit();

function figure(name: string, value: number, unit: string, goal?: { text: string; met: boolean }): void {
  const rounded = Math.round(value * 10) / 10;
  console.log(
    JSON.stringify({ name, value: rounded, unit, peer: null, ratio: null, goal: goal?.text ?? null, met: goal?.met ?? null }),
  );
}

async function many(count: number, one: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const line = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await one(i);
  };
  await Promise.all(Array.from({ length: sideBySide }, line));
}

async function timed(times: number, work: () => Promise<unknown>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i += 1) {
    const from = performance.now();
    await work();
    all.push(performance.now() - from);
  }
  return all.toSorted((a, b) => a - b);
}

function half(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function most(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;
}
