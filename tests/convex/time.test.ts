/** What the control plane does as time goes by. The clock is moved; nothing is waited for. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { eventsKeptMax } from "../../convex/model/event.ts";
import { endedKeptMax, endedKeptMs } from "../../convex/model/job.ts";
import { reapGraceMs, workerTtlMs } from "../../convex/model/worker.ts";
import { addText, joinWorker, only, read } from "../contracts/lab.ts";
import { openFakeState } from "../fakes/state.ts";

const start = Date.UTC(2026, 10, 21);
beforeEach(() => {
  // The longest waits.
  mock.method(Math, "random", () => 1);
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
});
after(() => {
  mock.timers.reset();
  mock.restoreAll();
});
const pass = (ms: number): void => mock.timers.tick(ms);

const unavailable = { type: "failed", code: "unavailable", message: "m", retry: true } as const;

test("a job that waits for its next try is not at the head of the queue until it is woken", async () => {
  const state = openFakeState();
  await addText(state, "a.txt", "x");
  const worker = await joinWorker(state);
  const job = only(await worker.claim());
  await worker.settle(job, unavailable);
  assert.deepEqual(await worker.claim(), []);

  await state.mutation(internal.jobs.wake, { jobId: job.jobId });
  const again = only(await worker.claim());
  assert.equal(again.jobId, job.jobId, "a timer that rings a little early is not sent away");
  await worker.settle(again, unavailable);
  pass(3_000 - 1_001);
  await state.mutation(internal.jobs.wake, { jobId: job.jobId });
  assert.deepEqual(await worker.claim(), []);
  pass(2_001);
  await state.mutation(internal.jobs.wake, { jobId: job.jobId });
  assert.equal(only(await worker.claim()).attempt, 3);
});

test("the minute's check wakes what a lost timer left asleep", async () => {
  const state = openFakeState();
  await addText(state, "a.txt", "x");
  const worker = await joinWorker(state);
  await worker.settle(only(await worker.claim()), { type: "snoozed", delayMs: 60_000 });
  await state.mutation(internal.workers.check, {});
  assert.deepEqual(await worker.claim(), []);
  pass(60_000);
  await state.mutation(internal.workers.check, {});
  assert.equal((await (await joinWorker(state)).claim()).length, 1);
});

test("a worker that died just before the clock was put back an hour is given up all the same", async () => {
  const state = openFakeState();
  await addText(state, "a.txt", "x");
  const silent = await joinWorker(state, "silent");
  only(await silent.claim());
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start - 3_600_000 });
  await state.mutation(internal.workers.check, {});
  assert.equal((await state.owner.query(api.jobs.counts, {})).leased, 1, "it may be alive");
  pass(workerTtlMs + reapGraceMs);
  await state.mutation(internal.workers.reap, silent.id);
  const { leased, ready } = await state.owner.query(api.jobs.counts, {});
  assert.deepEqual({ leased, ready }, { leased: 0, ready: 1 });
});

for (const [who, call] of [
  ["its reaper", internal.workers.reap],
  ["the minute's check", internal.workers.check],
] as const) {
  test(`a silent worker is given up by ${who}: its jobs go to others, its late report counts for nothing`, async () => {
    const state = openFakeState();
    const id = await addText(state, "a.txt", "x");
    const silent = await joinWorker(state, "silent");
    const job = only(await silent.claim());
    const giveUp = () =>
      state.mutation(call as typeof internal.workers.reap, (who === "its reaper" ? silent.id : {}) as typeof silent.id);

    pass(workerTtlMs + reapGraceMs - 1);
    await giveUp();
    assert.equal((await state.owner.query(api.jobs.counts, {})).leased, 1);
    pass(1);
    await giveUp();

    const other = await joinWorker(state, "other");
    const again = only(await other.claim());
    assert.equal(await silent.settle(job, unavailable), false);
    assert.equal((await state.query(internal.workers.orders, silent.id)).isCurrent, false);
    assert.equal(await other.settle(again, read), true);
    assert.equal((await state.owner.query(api.documents.get, { id }))?.state, "ready");
    assert((await state.owner.query(api.events.list, {})).some((event) => event.type === "workerLost"));
  });
}

test("a beat puts the end off", async () => {
  const state = openFakeState();
  const worker = await joinWorker(state);
  pass(workerTtlMs);
  await state.mutation(internal.workers.beat, { ...worker.id, running: [] });
  pass(workerTtlMs);
  await state.mutation(internal.workers.check, {});
  assert.equal((await state.mutation(internal.workers.beat, { ...worker.id, running: [] })).isCurrent, true);
});

test("a beat tells which jobs are not the worker's own any more", async () => {
  const state = openFakeState();
  await addText(state, "a.txt", "x");
  const worker = await joinWorker(state);
  const { jobId, token } = only(await worker.claim());
  const running = [
    { jobId, token },
    { jobId, token: "old" },
  ];
  assert.deepEqual((await state.mutation(internal.workers.beat, { ...worker.id, running })).lost, [jobId]);
});

test("ended jobs and events are swept when they are a week old", async () => {
  const state = openFakeState();
  const id = await addText(state, "a.txt", "x");
  const worker = await joinWorker(state);
  await worker.settle(only(await worker.claim()), read);
  await addText(state, "open.txt", "y");
  await state.mutation(internal.upkeep.sweep, {});
  assert.equal((await state.owner.query(api.jobs.list, {})).length, 2);

  pass(endedKeptMs + 1);
  await state.mutation(internal.upkeep.sweep, {});
  assert.equal(only(await state.owner.query(api.jobs.list, {})).state, "ready");
  assert.deepEqual(await state.owner.query(api.events.list, {}), []);
  assert.equal((await state.owner.query(api.jobs.counts, {})).done, 0);
  assert.equal((await state.owner.query(api.documents.get, { id }))?.state, "ready");
});

test("of many ended jobs and events the last ones are kept", async () => {
  const state = openFakeState();
  const documentId = await addText(state, "a.txt", "x");
  await state.run(async (ctx) => {
    const kind = "documents.ingest" as const;
    for (let i = 0; i < endedKeptMax + 5; i += 1) {
      const ended = { state: "done" as const, readyAt: i, isDue: false, attempts: 1, deaths: 0, endedAt: start + i };
      await ctx.db.insert("jobs", { kind, args: { documentId }, label: `${i}`, rank: 1, ...ended });
      await ctx.db.insert("events", { at: start + i, type: "documentReady", name: "x", text: `${i}` });
    }
    for await (const row of ctx.db.query("tallies")) {
      if (row.noun === "jobs") await ctx.db.patch(row._id, { counts: { ...row.counts, done: endedKeptMax + 5 } });
    }
    await ctx.db.insert("tallies", { noun: "events", counts: { held: eventsKeptMax + 5 } });
  });
  await state.mutation(internal.upkeep.sweep, {});
  assert.equal((await state.owner.query(api.jobs.counts, {})).done, endedKeptMax);
  const kept = await state.run((ctx) => ctx.db.query("events").withIndex("by_at").first());
  assert.equal(kept?.text, "5");
});

test("an upload nobody claimed is thrown away after a day; one with a document stays", async () => {
  const state = openFakeState();
  await addText(state, "a.txt", "kept");
  const orphan = await state.upload("orphan");
  const files = () => state.run((ctx) => ctx.db.system.query("_storage").collect());
  pass(23 * 3_600_000);
  await state.mutation(internal.upkeep.sweepUploads, {});
  assert.equal((await files()).length, 2);
  pass(2 * 3_600_000);
  await state.mutation(internal.upkeep.sweepUploads, {});
  const [kept] = await files();
  assert.equal((await files()).length, 1);
  assert.notEqual(kept?._id, orphan);

  const late = await state.upload("late");
  pass(25 * 3_600_000);
  await state.mutation(internal.upkeep.sweepUploads, {});
  assert(!(await files()).some((file) => file._id === late));
});
