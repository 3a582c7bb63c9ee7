import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openTestCore } from "../openTestCore.ts";

type Job = { name: string; state: { kind: string; error?: string }; completedTime?: number };
const dayMs = 24 * 3600 * 1000;

test("a scheduled mutation runs once when due, and its row tells how it went", async () => {
  await using own = await openTestCore();
  await own.core.runDue(Date.now());
  const id = await own.mutate("later:schedule", { path: "counters:tick", args: { name: "job" }, delayMs: 5000 });
  assert.equal((await own.query<Job>("later:look", { id })).state.kind, "pending");
  assert.deepEqual(await own.core.runDue(Date.now()), []);
  assert.equal(await own.query("counters:read", { name: "job" }), 0);

  await own.core.runDue(Date.now() + 6000);
  await own.core.runDue(Date.now() + 6000);
  assert.equal(await own.query("counters:read", { name: "job" }), 1);
  const job = await own.query<Job>("later:look", { id });
  assert.deepEqual([job.name, job.state.kind, typeof job.completedTime], ["counters.js:tick", "success", "number"]);
});

test("a job that throws is failed, undone and not tried again", async () => {
  await using own = await openTestCore();
  const id = await own.mutate("later:schedule", { path: "counters:tickAndFail", args: {}, delayMs: 0 });
  await own.core.runDue(Date.now() + 1);
  const job = await own.query<Job>("later:look", { id });
  assert.equal(job.state.kind, "failed");
  assert.match(job.state.error ?? "", /job failed/);
  assert.equal(await own.query("counters:read", { name: "failed" }), 0);
});

test("a job that never ends is failed, and the jobs beside it run once", async () => {
  await using own = await openTestCore();
  await own.mutate("later:schedule", { path: "counters:tick", args: { name: "before" }, delayMs: 0 });
  const id = await own.mutate("later:schedule", { path: "counters:spin", args: {}, delayMs: 1 });
  await own.mutate("later:schedule", { path: "counters:tick", args: { name: "after" }, delayMs: 2 });
  // A call that has taken long leaves the rest to the next.
  for (let call = 0; call < 3; call++) await own.core.runDue(Date.now() + 10);
  assert.equal((await own.query<Job>("later:look", { id })).state.kind, "failed");
  assert.deepEqual(
    [await own.query("counters:read", { name: "before" }), await own.query("counters:read", { name: "after" })],
    [1, 1],
  );
});

test("a mutation that fails schedules nothing", async () => {
  await using own = await openTestCore();
  await own.refusal("mutation", "later:schedule", { path: "counters:tick", args: { name: "x" }, delayMs: 0, fails: true });
  assert.deepEqual(await own.query("later:all"), []);
});

test("a cancelled job does not run", async () => {
  await using own = await openTestCore();
  const id = await own.mutate("later:schedule", { path: "counters:tick", args: { name: "no" }, delayMs: 1000 });
  await own.mutate("later:cancel", { id });
  await own.core.runDue(Date.now() + 2000);
  assert.equal(await own.query("counters:read", { name: "no" }), 0);
  assert.equal((await own.query<Job>("later:look", { id })).state.kind, "canceled");
});

test("what cannot run cannot be scheduled", async () => {
  await using own = await openTestCore();
  assert.match(
    await own.refusal("mutation", "later:schedule", { path: "notes:all", args: {}, delayMs: 0 }),
    /Queries can't be scheduled/,
  );
  assert.match(
    await own.refusal("mutation", "later:schedule", { path: "notes:zzz", args: {}, delayMs: 0 }),
    /Couldn't find "zzz"/,
  );
});

test("a due action is claimed once, and one that a restart interrupted is failed", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-core-"));
  let id: unknown;
  {
    await using first = await openTestCore({ dir });
    id = await first.mutate("later:schedule", { path: "act:work", args: {}, delayMs: 0 });
    const claimed = await first.core.runDue(Date.now() + 1);
    assert.deepEqual(
      claimed.map((one) => [one.id, one.path, one.kind]),
      [[id, "act:work", "action"]],
    );
    assert.deepEqual(await first.core.runDue(Date.now() + 1), []);
    assert.equal((await first.query<Job>("later:look", { id })).state.kind, "inProgress");
  }
  await using second = await openTestCore({ dir });
  assert.deepEqual((await second.query<Job>("later:look", { id })).state, {
    kind: "failed",
    error: "Transient error while executing action",
  });
  rmSync(dir, { recursive: true, force: true });
});

test("an action that was settled says so", async () => {
  await using own = await openTestCore();
  const id = await own.mutate<string>("later:schedule", { path: "act:work", args: {}, delayMs: 0 });
  await own.core.runDue(Date.now() + 1);
  await own.core.settleJob(id, { ok: true });
  assert.equal((await own.query<Job>("later:look", { id })).state.kind, "success");
});

test("an interval runs at once, then at its period; what was missed is skipped", async () => {
  await using own = await openTestCore();
  const start = Date.now();
  await own.core.runDue(start);
  await own.core.runDue(start + 1000);
  assert.equal(await own.query("counters:read", { name: "cron" }), 1);
  await own.core.runDue(start + 61_000);
  await own.core.runDue(start + 600_000);
  assert.equal(await own.query("counters:read", { name: "cron" }), 3);
});

test("after the clock was set back, an interval runs within its period and not a second time for what it has done", async () => {
  await using own = await openTestCore();
  const start = Date.now() + 3600_000;
  await own.core.runDue(start);
  assert.equal(await own.query("counters:read", { name: "cron" }), 1);
  const back = start - 3600_000;
  await own.core.runDue(back);
  assert.equal(await own.core.nextDueMs(), back + 60_000);
  await own.core.runDue(back + 59_000);
  assert.equal(await own.query("counters:read", { name: "cron" }), 1);
  await own.core.runDue(back + 61_000);
  assert.equal(await own.query("counters:read", { name: "cron" }), 2);
});

test("a daily action is handed out at its minute and not again while it runs", async () => {
  await using own = await openTestCore();
  const [job] = await own.core.runDue(Date.now() + dayMs);
  assert.deepEqual([job?.path, job?.kind], ["act:work", "action"]);
  assert.deepEqual(await own.core.runDue(Date.now() + 3 * dayMs), []);
  await own.core.settleJob(job?.id ?? "", { ok: true });
  assert.equal((await own.core.runDue(Date.now() + 4 * dayMs)).length, 1);
});

test("scheduling wakes whoever listens, and the next due time is the earliest", async () => {
  await using own = await openTestCore();
  await own.core.runDue(Date.now());
  let woken = 0;
  const stop = own.core.onSchedule(() => void woken++);
  const dueMs = Date.now() + 1000;
  await own.mutate("later:schedule", { path: "counters:tick", args: { name: "soon" }, delayMs: 1000 });
  stop();
  assert.equal(woken, 1);
  assert.ok(Math.abs(((await own.core.nextDueMs()) ?? 0) - dueMs) < 500);
});
