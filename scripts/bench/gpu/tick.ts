/**
 * What the lease engine costs the control plane: a tick of its reaper and a beat of its machines with ten thousand jobs queued and two thousand
 * machines running, on the core of the embedded engine with its store in memory (no sockets, no disk), and the memory of the process that holds it all.
 * Machines are rows; nothing is rented.
 * `npm run bench -- gpu [QUEUED] [RUNNING]`
 */
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Capability } from "../../../convex/model/gpu.ts";
import type { GpuAsk } from "../../../convex/model/gpuJob.ts";
import { installId } from "../../../tests/fakes/gpu/fleet.ts";
import { offerAt } from "../../../tests/fakes/gpu/plain.ts";
import { openFakeState } from "../../../tests/fakes/state.ts";

const [queued = 10_000, running = 2_000] = process.argv.slice(2).map(Number);
const ticks = 20;
const rowsAtOnce = 25;
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
const lab = openFakeState();
const cap = 1e12;
await lab.owner.mutation(api.gpuSpend.setCaps, { caps: { job: cap, day: cap, month: cap, hourly: cap } });
// One of each by the engine's own mutations; the others are copies of their rows.
const first = await begin();
const waiting = await lab.mutation(internal.gpuJobs.add, { ask });
const machines = [first];
for (let at = 1; at < running; at += rowsAtOnce) {
  const copies = await lab.run(async (ctx) => {
    const machine = must(await ctx.db.get(first.machineId));
    const gpuJob = must(await ctx.db.query("gpuJobs").first());
    const made = [];
    for (let i = at; i < Math.min(running, at + rowsAtOnce); i += 1) {
      const gpuJobId = await ctx.db.insert("gpuJobs", fieldsOf(gpuJob));
      const ref = { provider: "scaleway" as const, region: "zone-1", id: `m${i}` };
      const key = `machine${i}`;
      const life = { ...machine.life, ref };
      const owner = { type: "gpuJob" as const, gpuJobId };
      const machineId = await ctx.db.insert("machines", { ...fieldsOf(machine), key, owner, life });
      await ctx.db.patch(gpuJobId, { machineId });
      await ctx.db.insert("machineBeats", { machineId, seq: 0, at: Date.now() });
      made.push({ machineId, epoch: 1 });
    }
    return made;
  });
  machines.push(...copies);
}
for (let at = 1; at < queued; at += rowsAtOnce)
  await lab.run(async (ctx) => {
    const gpuJob = must(await ctx.db.get(waiting));
    const job = must(await ctx.db.query("jobs").order("desc").first());
    for (let i = at; i < Math.min(queued, at + rowsAtOnce); i += 1) {
      const gpuJobId = await ctx.db.insert("gpuJobs", fieldsOf(gpuJob));
      const key = `${gpuJobId}/0/${gpuJob.life.dueAt ?? 0}`;
      const jobId = await ctx.db.insert("jobs", { ...fieldsOf(job), args: { gpuJobId }, uniqueKey: key });
      await ctx.db.insert("uniques", { kind: "machines.place", key, jobId });
      await ctx.db.insert("gates", { name: "kind machines.place", limit: 4, jobId, isIn: false, rank: job.rank });
    }
  });

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
const { length: open } = await lab.run((ctx) => ctx.db.query("machines").collect());
if (open !== running) throw new Error(`${open} machines are there.`);
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

/** A job with a machine that runs it. */
async function begin(): Promise<{ machineId: Id<"machines">; epoch: number }> {
  const gpuJobId = await lab.mutation(internal.gpuJobs.add, { ask });
  await lab.mutation(internal.gpuJobs.placing, { gpuJobId });
  const offer = offerAt("scaleway", "zone-1", Date.now(), 600_000);
  const placed = { gpuJobId, installId, choices: [{ offer, capability }], says: "" };
  const machineId = must(await lab.mutation(internal.gpuJobs.placed, placed));
  const { key, name } = must(await lab.mutation(internal.machines.asking, { machineId }));
  const ref = { provider: "scaleway" as const, region: "zone-1", id: "m0" };
  const observed = { ref, name, machineId: key, state: "running" as const, isBilled: true, satellites: [] };
  await lab.mutation(internal.machines.setSecret, { machineId, secretHash: key });
  await lab.mutation(internal.machines.asked, { machineId, result: { type: "created", observed } });
  const { epoch } = await lab.mutation(internal.machines.enrol, { key, secretHash: key });
  await lab.mutation(internal.gpuJobs.started, { machineId, epoch, facts: [] });
  return { machineId, epoch };
}

function must<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error("It is there.");
  return value;
}

function fieldsOf<T extends { _id: unknown; _creationTime: unknown }>({
  _id,
  _creationTime,
  ...fields
}: T): Omit<T, "_id" | "_creationTime"> {
  return fields;
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
