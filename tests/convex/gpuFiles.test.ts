/** What GPU jobs leave in the storage: kept while the job is, gone with it. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { gpuJobsKeptMax, gpuJobsKeptMs, totalsKeptMs } from "../../convex/model/gpuJob.ts";
import { installId } from "../fakes/gpu/fleet.ts";
import { offerAt, openPlain } from "../fakes/gpu/plain.ts";
import { openFakeState, type FakeState } from "../fakes/state.ts";

const dayMs = 24 * 3_600_000;
const start = Date.UTC(2026, 10, 22);
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
});
after(() => mock.timers.reset());
const pass = (ms: number): void => mock.timers.tick(ms);

type Stored = Id<"_storage">;
const file = (storageId: Stored) => ({ path: "f", sha256: "a".repeat(64), sizeBytes: 1, storageId });
const { capability } = openPlain({ now: () => start }).provider;

async function runJob(state: FakeState, payload: Stored) {
  const ask = {
    label: "work",
    command: ["true"],
    need: {},
    runMsMax: 3 * dayMs,
    payload: { storageId: payload, sha256: "b".repeat(64), sizeBytes: 7 },
  };
  await state.owner.mutation(api.gpuSpend.setCaps, { caps: { job: 1e12, day: 1e12, month: 1e12, hourly: 1e12 } });
  const gpuJobId = await state.mutation(internal.gpuJobs.add, { ask });
  await state.mutation(internal.gpuJobs.placing, { gpuJobId });
  const choices = [{ offer: offerAt("scaleway", "zone-1", Date.now(), 600_000), capability }];
  const machineId = await state.mutation(internal.gpuJobs.placed, { gpuJobId, installId, choices, says: "" });
  assert(machineId);
  const word = { machineId, epoch: 1 };
  assert.equal(await state.mutation(internal.gpuJobs.started, { ...word, facts: [] }), true);
  return { gpuJobId, word };
}

test("a GPU job's payload, checkpoints and results outlive the sweep of uploads; a checkpoint that is dropped goes", async () => {
  const state = openFakeState();
  const has = async (id: Stored) => (await state.run((ctx) => ctx.db.system.get(id))) !== null;
  const payload = await state.upload("payload");
  const { gpuJobId, word } = await runJob(state, payload);
  const checkpoints: Stored[] = [];
  for (const seq of [1, 2, 3]) {
    const storageId = await state.upload(`checkpoint ${seq}`);
    checkpoints.push(storageId);
    assert.equal(await state.mutation(internal.gpuJobs.checkpoint, { ...word, seq, file: file(storageId) }), true);
  }
  pass(2 * dayMs);
  await state.mutation(internal.upkeep.sweepUploads, {});
  assert.deepEqual(await Promise.all([payload, ...checkpoints].map(has)), [true, false, true, true]);

  const result = await state.upload("result");
  await state.mutation(internal.gpuJobs.exited, { ...word, exit: 0 });
  assert.equal(
    await state.mutation(internal.gpuJobs.finish, { ...word, files: [file(result)], manifestSha256: "c".repeat(64) }),
    true,
  );
  pass(2 * dayMs);
  await state.mutation(internal.upkeep.sweepUploads, {});
  await state.mutation(internal.upkeep.sweep, {});
  assert.deepEqual(await Promise.all([payload, result].map(has)), [true, true]);
  assert.equal((await state.query(internal.gpuJobs.results, { id: gpuJobId }))?.files[0]?.storageId, result);
});

test("a month after its end a GPU job goes with its files and output, but for what another job holds", async () => {
  const state = openFakeState();
  const has = async (id: Stored) => (await state.run((ctx) => ctx.db.system.get(id))) !== null;
  const payload = await state.upload("payload");
  const { gpuJobId, word } = await runJob(state, payload);
  const own = await state.upload("checkpoint");
  await state.mutation(internal.gpuJobs.checkpoint, { ...word, seq: 1, file: file(own) });
  for (let offset = 0; offset < 20; offset += 1) await state.mutation(internal.gpuJobs.appendLog, { ...word, offset, text: "x" });
  await state.mutation(internal.gpuJobs.cancelFor, { id: gpuJobId });
  pass(gpuJobsKeptMs - 1);
  const { gpuJobId: other } = await runJob(state, payload);
  await state.mutation(internal.upkeep.sweep, {});
  assert(await state.query(internal.gpuJobs.view, { id: gpuJobId }));
  pass(2);
  for (let i = 0; i < 3; i += 1) await state.mutation(internal.upkeep.sweep, {});
  assert.equal(await state.query(internal.gpuJobs.view, { id: gpuJobId }), null);
  assert(await state.query(internal.gpuJobs.view, { id: other }));
  assert.deepEqual(await Promise.all([payload, own].map(has)), [true, false]);
  const [logs, files] = await state.run(async (ctx) => [
    await ctx.db.query("gpuLogs").collect(),
    await ctx.db.query("gpuFiles").collect(),
  ]);
  assert.deepEqual([logs?.length, files?.length], [0, 1]);
});

test("of ended GPU jobs the newest are kept, of sums those that a year can be looked back on", async () => {
  const state = openFakeState();
  const { gpuJobId } = await runJob(state, await state.upload("payload"));
  await state.mutation(internal.gpuJobs.cancelFor, { id: gpuJobId });
  await state.run(async (ctx) => {
    const job = await ctx.db.get(gpuJobId);
    assert(job);
    const { _id, _creationTime, ...row } = job;
    for (let i = 1; i <= gpuJobsKeptMax; i += 1)
      await ctx.db.insert("gpuJobs", { ...row, life: { ...row.life, endedAt: start + i } });
    await ctx.db.insert("gpuTotals", { name: "all/day/2026-11-21", reserved: 0, spent: 5, hourly: 0 });
  });
  const names = async () => (await state.run((ctx) => ctx.db.query("gpuTotals").collect())).map(({ name }) => name);
  await state.mutation(internal.upkeep.sweep, {});
  assert.equal(await state.query(internal.gpuJobs.view, { id: gpuJobId }), null);
  const left = await state.run((ctx) => ctx.db.query("gpuJobs").collect());
  assert.equal(left.length, gpuJobsKeptMax);
  assert((await names()).includes("all/day/2026-11-21"));
  pass(totalsKeptMs + 1);
  await state.mutation(internal.upkeep.sweep, {});
  assert(!(await names()).includes("all/day/2026-11-21"));
  assert((await names()).includes("live"));
});
