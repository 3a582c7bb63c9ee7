/** What the lease engine's clock does with many machines, and the sums that are kept instead of reading them all. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { installId } from "../fakes/gpu/fleet.ts";
import { offerAt, openPlain } from "../fakes/gpu/plain.ts";
import { openFakeState, type FakeState } from "../fakes/state.ts";

const hourMs = 3_600_000;
const start = Date.UTC(2026, 10, 22);
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
});
after(() => mock.timers.reset());
const pass = (ms: number): void => mock.timers.tick(ms);
const { capability } = openPlain({ now: () => start }).provider;

async function openState(): Promise<FakeState> {
  const state = openFakeState();
  await state.owner.mutation(api.gpuSpend.setCaps, { caps: { job: 1e12, day: 1e12, month: 1e12, hourly: 1e12, agentDay: 1e12 } });
  return state;
}

/** One that is at work, as its provider shows it. */
async function rent(state: FakeState, i: number, how: { provider?: "scaleway" | "runpod"; hourly?: number; by?: string } = {}) {
  const { provider = "scaleway", hourly = 600_000, by = "owner" } = how;
  const ask = { label: `work ${i}`, command: ["true"], need: {}, runMsMax: 2 * hourMs };
  const gpuJobId = await state.mutation(internal.gpuJobs.add, { ask, by });
  await state.mutation(internal.gpuJobs.placing, { gpuJobId });
  const choices = [{ offer: offerAt(provider, "zone-1", Date.now(), hourly), capability }];
  const machineId = await state.mutation(internal.gpuJobs.placed, { gpuJobId, installId, choices, says: "" });
  assert(machineId);
  const intent = await state.mutation(internal.machines.asking, { machineId });
  assert(intent);
  const { key, name } = intent;
  const ref = { provider, region: "zone-1", id: `m${i}` };
  const observed = { ref, name, machineId: key, installId, state: "running" as const, isBilled: true, satellites: [] };
  await state.mutation(internal.machineBeats.setSecret, { machineId, secretHash: key });
  await state.mutation(internal.machines.asked, { machineId, result: { type: "created", observed } });
  await state.mutation(internal.machineBeats.enrol, { key, secretHash: key });
  await state.mutation(internal.gpuJobs.started, { machineId, epoch: 1, facts: [] });
  return { machineId, observed };
}
const spend = (state: FakeState) => state.query(internal.gpuSpend.view, { now: Date.now() });
const lifeOf = async (state: FakeState, id: Awaited<ReturnType<typeof rent>>["machineId"]) =>
  (await state.run((ctx) => ctx.db.get(id)))?.life;

test("what machines would cost at worst is their price until they end by themselves, also past their deadline", async () => {
  const state = await openState();
  const rented = [await rent(state, 1), await rent(state, 2, { provider: "runpod", hourly: 1_000_000 })];
  const byHand = async (): Promise<number> => {
    const rows = await state.run((ctx) => ctx.db.query("machines").collect());
    return rows
      .filter(({ life }) => life.state !== "gone")
      .reduce((all, { offer, deadline }) => {
        const ms = Math.max(0, deadline - Date.now()) + 2 * 60_000;
        return all + (offer.hourly.micros * ms) / hourMs;
      }, 0);
  };
  const near = async (): Promise<void> => {
    const { orphanWorst, machines } = await spend(state);
    assert(Math.abs(orphanWorst - (await byHand())) <= 3, `${orphanWorst}, and by hand ${await byHand()}`);
    assert.equal(machines, 2);
  };
  await near();
  pass(hourMs);
  await near();
  for (const { machineId } of rented) await state.mutation(internal.machines.end, { machineId, why: "idle" });
  pass(30 * hourMs);
  await near();
  for (const { machineId } of rented)
    for (let i = 0; i < 3; i += 1) {
      await state.mutation(internal.machines.looked, { looks: [{ machineId, found: [] }] });
      pass(10 * 60_000);
    }
  const { orphanWorst, machines, hourly } = await spend(state);
  assert.deepEqual({ orphanWorst, machines, hourly }, { orphanWorst: 0, machines: 0, hourly: 0 });
});

test("a sweep looks at all that were not shown, in parts, and only at those", async () => {
  const state = await openState();
  const rented = [];
  for (let i = 0; i < 27; i += 1) rented.push(await rent(state, i));
  pass(60_000);
  const since = await state.mutation(internal.gpuSweeps.compared, {
    capability,
    observed: rented.slice(0, 2).map(({ observed }) => observed),
  });
  const whole = { provider: "scaleway" as const, since, ours: 2, foreign: [] };
  assert.equal(await state.mutation(internal.gpuSweeps.swept, whole), true);
  pass(1);
  assert.equal(await state.mutation(internal.gpuSweeps.swept, whole), false);
  const lives = await Promise.all(rented.map(({ machineId }) => lifeOf(state, machineId)));
  assert.deepEqual(
    lives.map((life) => life?.cleanLooks),
    rented.map((_, i) => (i < 2 ? 0 : 1)),
  );
});

test("machines whose provider does not answer do not hide those that are silent behind them", async () => {
  const state = await openState();
  const unknown = [];
  for (let i = 0; i < 12; i += 1) unknown.push(await rent(state, i));
  pass(1_000);
  const { machineId: silent } = await rent(state, 99, { provider: "runpod" });
  for (let i = 0; i < 5; i += 1) {
    pass(60_000);
    await state.run((ctx) => ctx.db.patch(silent, { lookedAt: Date.now() }));
    for (let more = true; more;) more = await state.mutation(internal.machines.reap, {});
  }
  assert.equal((await lifeOf(state, silent))?.why, "silent");
  for (const { machineId } of unknown) assert.equal((await lifeOf(state, machineId))?.state, "ready");
});

test("a machine that is not heard is looked at before it counts as silent; what is gone lets its work go on elsewhere at once", async () => {
  const state = await openState();
  const rented = [await rent(state, 1), await rent(state, 2)];
  // Who just came back hears nobody at first, and says nothing of it.
  await state.mutation(internal.machines.reap, {});
  pass(30_000);
  await state.mutation(internal.machines.reap, {});
  assert.equal((await state.query(internal.machines.toLook, { provider: "scaleway", now: Date.now() })).length, 0);
  pass(30_000);
  await state.mutation(internal.machines.reap, {});
  const due = await state.query(internal.machines.toLook, { provider: "scaleway", now: Date.now() });
  assert.equal(due.length, 2);
  const [lost, kept] = rented;
  assert(lost && kept);
  const looks = [
    { machineId: lost.machineId, found: [{ ...lost.observed, state: "stopped" as const, isBilled: false }] },
    { machineId: kept.machineId, found: [kept.observed] },
  ];
  await state.mutation(internal.machines.looked, { looks });
  const jobs = await state.query(internal.gpuJobs.listAll, {});
  assert.deepEqual(jobs.map(({ label, state: is }) => `${label} ${is}`).toSorted(), ["work 1 queued", "work 2 running"]);
  assert.equal((await lifeOf(state, kept.machineId))?.why, undefined);
});

test("who waits longest for a machine is placed as soon as one of them is seen to be gone, and not when its wait is over", async () => {
  const state = await openState();
  const { machineId } = await rent(state, 1);
  for (const label of ["first", "second"]) {
    const gpuJobId = await state.mutation(internal.gpuJobs.add, {
      ask: { label, command: ["true"], need: {}, runMsMax: hourMs },
    });
    await state.mutation(internal.gpuJobs.placing, { gpuJobId });
    const choices = [{ offer: offerAt("scaleway", "zone-1", Date.now(), 600_000), capability }];
    const full = await state.mutation(internal.gpuJobs.placed, { gpuJobId, installId, choices, says: "" });
    assert(full);
    await state.mutation(internal.machines.asking, { machineId: full });
    const failure = { kind: "noCapacity" as const, scope: "provider" as const, says: "There is no room." };
    await state.mutation(internal.machines.asked, { machineId: full, result: { type: "failed", failure } });
    await state.mutation(internal.gpuJobs.placing, { gpuJobId });
    await state.mutation(internal.gpuJobs.placed, { gpuJobId, installId, choices: [], says: "none" });
  }
  const waits = async () =>
    (await state.query(internal.gpuJobs.listAll, {})).filter(({ state: is }) => is === "parked").map(({ label }) => label);
  const blocks = async () => (await state.query(internal.machines.outlook, { now: Date.now() })).blocks.length;
  assert.deepEqual([await waits(), await blocks()], [["second", "first"], 1]);
  await state.mutation(internal.machines.end, { machineId, why: "finished" });
  await state.mutation(internal.machines.endSaid, { machineId });
  await state.mutation(internal.machines.looked, { looks: [{ machineId, found: [] }] });
  assert.deepEqual([await waits(), await blocks()], [["second"], 0]);
});

test("over what may be spent an hour, agents' work goes before the owner's: it is told to stop, saves, and is stopped", async () => {
  const state = await openState();
  const { machineId: owners } = await rent(state, 1);
  const { machineId: agents } = await rent(state, 2, { by: "agent" });
  await state.owner.mutation(api.gpuSpend.setCaps, { caps: { hourly: 700_000 } });
  await state.mutation(internal.machines.reap, {});
  assert.equal((await lifeOf(state, agents))?.state, "draining");
  const storageId = await state.upload("saved");
  const file = { path: "f", sha256: "a".repeat(64), sizeBytes: 5, storageId };
  const word = { machineId: agents, epoch: 1 };
  assert.equal(await state.mutation(internal.gpuJobs.checkpoint, { ...word, seq: 1, file }), true);
  await state.mutation(internal.gpuJobs.exited, { ...word, exit: 143 });
  assert.deepEqual([(await lifeOf(state, agents))?.state, (await lifeOf(state, agents))?.why], ["ending", "budget"]);
  const [job] = await state.query(internal.gpuJobs.listAll, {});
  assert.equal(job?.state, "budgetStopped");
  assert.equal((await state.query(internal.gpuJobs.results, { id: job.id }))?.checkpoints.length, 1);

  pass(10_000);
  await state.mutation(internal.machines.reap, {});
  assert.equal((await lifeOf(state, owners))?.state, "ready");
  await state.owner.mutation(api.gpuSpend.setCaps, { caps: { hourly: 0 } });
  await state.mutation(internal.machines.reap, {});
  assert.equal((await lifeOf(state, owners))?.state, "draining");
  pass(100_000);
  await state.mutation(internal.machineBeats.beat, { beats: [{ machineId: owners, epoch: 1, seq: 1 }] });
  pass(100_000);
  await state.mutation(internal.machines.reap, {});
  assert.deepEqual([(await lifeOf(state, owners))?.state, (await lifeOf(state, owners))?.why], ["ending", "budget"]);
});

test("the owner is told once a day and once a month that most of what it may cost is used up", async () => {
  const state = await openState();
  const told = async () =>
    (await state.owner.query(api.events.list, {})).filter(({ type }) => type === "budgetWarning").map(({ name }) => name);
  await rent(state, 1);
  const { reserved } = await spend(state);
  assert.deepEqual(await told(), []);
  await state.owner.mutation(api.gpuSpend.setCaps, { caps: { day: Math.ceil(reserved * 2.4), month: reserved * 100 } });
  await rent(state, 2);
  assert.deepEqual(await told(), ["a day"]);
  await state.owner.mutation(api.gpuSpend.setCaps, {
    caps: { day: Math.ceil(reserved * 3.2), month: Math.ceil(reserved * 3.5) },
  });
  await rent(state, 3);
  assert.deepEqual((await told()).toSorted(), ["a day", "a month"]);
});
