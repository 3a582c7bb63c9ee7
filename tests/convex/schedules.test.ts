/** Schedules as time goes by. The clock is moved; nothing is waited for. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { lateMaxMs, occurrencesKeptMax, type ScheduleSpec, type ScheduleView } from "../../convex/model/schedule.ts";
import { nextInstants } from "../../ml/time/next.ts";
import { joinWorker, only } from "../contracts/lab.ts";
import { openFakeState, type FakeState } from "../fakes/state.ts";

const hourMs = 3_600_000;
const start = Date.UTC(2026, 10, 21, 9);
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
});
after(() => mock.timers.reset());
const pass = (ms: number): void => mock.timers.tick(ms);

const daily: ScheduleSpec = {
  name: "Brief",
  prompt: "Read the news",
  rule: { type: "calendar", zone: "UTC", times: ["10:00"], days: { type: "every" } },
  action: { type: "ask" },
  backend: "persistent",
  overlap: "skip",
  misfire: "coalesce",
};

async function create(state: FakeState, changes: Partial<ScheduleSpec> = {}): Promise<ScheduleView> {
  const spec = { ...daily, ...changes };
  return state.mutation(internal.schedules.create, { spec, nextAts: nextInstants(spec.rule, Date.now(), 16) });
}
const fire = (state: FakeState): Promise<unknown> => state.mutation(internal.schedules.fire, {});
const get = async (state: FakeState, { id }: ScheduleView): Promise<ScheduleView> => {
  const schedule = await state.owner.query(api.schedules.get, { id });
  assert(schedule);
  return schedule;
};
const states = async (state: FakeState, { id }: ScheduleView): Promise<string[]> =>
  (await state.owner.query(api.schedules.occurrences, { id })).map((occurrence) => occurrence.state);

test("at its time a schedule becomes one job, however often it is fired, and what came of it is kept", async () => {
  const state = openFakeState();
  const schedule = await create(state);
  await fire(state);
  assert.deepEqual(await states(state, schedule), [], "not before its time");

  pass(hourMs);
  await fire(state);
  await fire(state);
  await state.mutation(internal.schedules.check, {});
  const worker = await joinWorker(state);
  const job = only(await worker.claim());
  assert.equal(job.kind, "schedules.run");
  assert(await worker.settle(job, { type: "done", result: { type: "said", text: "Read the news" } }));

  const occurrence = only(await state.owner.query(api.schedules.occurrences, { id: schedule.id }));
  assert.deepEqual(
    [occurrence.state, occurrence.text, occurrence.isLate, occurrence.at],
    ["done", "Read the news", false, start + hourMs],
  );
  const event = only(await state.owner.query(api.events.list, {}));
  assert.deepEqual([event.type, event.name, event.text], ["scheduled", "Brief", "Read the news"]);
  const after = await get(state, schedule);
  assert.deepEqual([after.fired, after.lastAt, after.nextAts[0]], [1, start + hourMs, start + 25 * hourMs]);
});

test("the old version of an edited schedule never happens, not even what of it already waits", async () => {
  const state = openFakeState();
  const schedule = await create(state);
  pass(hourMs);
  await fire(state);
  const rule: ScheduleSpec["rule"] = { type: "calendar", zone: "UTC", times: ["12:00"], days: { type: "every" } };
  const edited = await state.mutation(internal.schedules.update, {
    id: schedule.id,
    version: 1,
    spec: { ...daily, rule },
    nextAts: nextInstants(rule, Date.now(), 16),
  });
  assert.equal(edited.version, 2);
  assert.deepEqual(await (await joinWorker(state)).claim(), []);
  assert.deepEqual(await states(state, schedule), ["cancelled"]);

  await fire(state);
  assert.deepEqual(await states(state, schedule), ["cancelled"], "the call made for the old version does nothing");
});

test("an edit of a version that is not the newest is refused and changes nothing", async () => {
  const state = openFakeState();
  const schedule = await create(state);
  const edit = { id: schedule.id, version: 1, isEnabled: false, nextAts: [] };
  await state.mutation(internal.schedules.update, edit);
  await assert.rejects(
    state.mutation(internal.schedules.update, edit),
    (error: { data?: { code?: string } }) => error.data?.code === "conflict",
  );
});

test("what is off does not happen, and is planned anew when it is on again", async () => {
  const state = openFakeState();
  const schedule = await create(state);
  const off = await state.mutation(internal.schedules.update, {
    id: schedule.id,
    version: 1,
    isEnabled: false,
    pausedUntil: start + 48 * hourMs,
    nextAts: [],
  });
  pass(hourMs);
  await fire(state);
  await state.mutation(internal.schedules.check, {});
  assert.deepEqual(await states(state, schedule), []);

  pass(47 * hourMs);
  await state.mutation(internal.schedules.resume, { id: schedule.id, version: off.version });
  const worker = await joinWorker(state);
  assert.equal(only(await worker.claim()).kind, "schedules.plan");
  const plan = only(await state.query(internal.schedules.forPlan, { ids: [schedule.id] }));
  const nextAts = nextInstants(plan.rule, Math.max(plan.after, Date.now()), 16, plan.fired);
  await state.mutation(internal.schedules.planned, { planned: [{ id: schedule.id, version: plan.version, nextAts }] });
  assert.equal((await get(state, schedule)).nextAts[0], start + 49 * hourMs);
});

test("a time that comes while the last is being worked on is skipped, queued, or takes its place", async () => {
  for (const [overlap, expected] of [
    ["skip", ["skipped", "open"]],
    ["queue", ["open", "open"]],
    ["replace", ["open", "cancelled"]],
  ] as const) {
    const state = openFakeState();
    const schedule = await create(state, { overlap });
    pass(hourMs);
    await fire(state);
    pass(24 * hourMs);
    await fire(state);
    assert.deepEqual(await states(state, schedule), expected, overlap);
    mock.timers.setTime(start);
  }
});

test("after an outage the latest of a daily rule is made up for once, late; of a frequent one nothing is", async () => {
  const state = openFakeState();
  const brief = await create(state);
  const often: ScheduleSpec["rule"] = { type: "every", everyMs: 60_000, anchor: start, zone: "UTC" };
  const frequent = await create(state, { name: "Look", rule: often, misfire: "skip" });
  pass(3 * 24 * hourMs);
  await state.mutation(internal.schedules.check, {});

  const made = await state.owner.query(api.schedules.occurrences, { id: brief.id });
  // The last one was due 23 hours ago, which is too long for a morning's brief.
  assert.deepEqual(
    made.map(({ state: became }) => became),
    ["missed", "missed", "missed"],
  );
  assert.ok((await states(state, frequent)).every((became) => became === "missed"));
});

test("a brief missed by less than half a day still comes", async () => {
  const state = openFakeState();
  const brief = await create(state);
  pass(hourMs + lateMaxMs - 1);
  await state.mutation(internal.schedules.check, {});
  const occurrence = only(await state.owner.query(api.schedules.occurrences, { id: brief.id }));
  assert.deepEqual([occurrence.state, occurrence.isLate], ["open", true]);
});

test("what was asked for in a session ends with it, also when the session falls silent", async () => {
  const state = openFakeState();
  await state.mutation(internal.schedules.holdSession, { sessionId: "s1", holdMs: 60_000 });
  await state.mutation(internal.schedules.holdSession, { sessionId: "s2", holdMs: 60_000 });
  const one = await create(state, { backend: "session", sessionId: "s1" });
  const other = await create(state, { backend: "session", sessionId: "s2" });
  const kept = await create(state);
  await state.mutation(internal.schedules.endSession, { sessionId: "s1" });
  assert.equal(await state.owner.query(api.schedules.get, { id: one.id }), null);
  pass(61_000);
  await state.mutation(internal.schedules.check, {});
  assert.equal(await state.owner.query(api.schedules.get, { id: other.id }), null);
  assert.deepEqual(
    (await state.owner.query(api.schedules.list, {})).map(({ id }) => id),
    [kept.id],
  );
});

test("a deleted schedule leaves nothing behind and nothing to do", async () => {
  const state = openFakeState();
  const schedule = await create(state);
  pass(hourMs);
  await fire(state);
  await state.mutation(internal.schedules.remove, { id: schedule.id });
  assert.deepEqual(await states(state, schedule), []);
  assert.deepEqual(await (await joinWorker(state)).claim(), []);
});

test("more instants are asked for before the stored ones run out", async () => {
  const state = openFakeState();
  await create(state);
  for (let day = 0; day < 13; day++) {
    pass(day === 0 ? hourMs : 24 * hourMs);
    await fire(state);
  }
  const worker = await joinWorker(state);
  const kinds = (await worker.claim(64)).map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === "schedules.plan").length, 1);
});

test("a schedule that never happens, or has no name, is refused", async () => {
  const state = openFakeState();
  const isInvalid = (error: { data?: { code?: string } }): boolean => error.data?.code === "invalid";
  await assert.rejects(state.mutation(internal.schedules.create, { spec: daily, nextAts: [] }), isInvalid);
  await assert.rejects(state.mutation(internal.schedules.create, { spec: daily, nextAts: [start - 1] }), isInvalid);
  await assert.rejects(
    state.mutation(internal.schedules.create, { spec: { ...daily, name: " " }, nextAts: [start + 1] }),
    isInvalid,
  );
});

test("of a schedule that happens often only the latest times are kept", async () => {
  const state = openFakeState();
  const rule: ScheduleSpec["rule"] = { type: "every", everyMs: 60_000, anchor: start, zone: "UTC" };
  const schedule = await create(state, { rule, misfire: "skip", overlap: "skip" });
  await state.run(async (ctx) => {
    await ctx.db.patch(schedule.id, { fired: occurrencesKeptMax + 1 });
    for (let i = 0; i < occurrencesKeptMax + 3; i++)
      await ctx.db.insert("occurrences", {
        scheduleId: schedule.id,
        version: 1,
        at: start - 1_000_000 + i,
        state: "done",
        isLate: false,
      });
  });
  pass(60_000);
  await fire(state);
  const left = await state.run((ctx) => ctx.db.query("occurrences").collect());
  assert.equal(left.length, occurrencesKeptMax + 2, "two go for the one that came");
});

test("schedules of one instant share one call and one commit, and are planned together", async () => {
  const state = openFakeState();
  for (let i = 0; i < 150; i++) await create(state, { name: `Brief ${i}` });
  const calls = await state.run((ctx) => ctx.db.system.query("_scheduled_functions").collect());
  assert.equal(calls.filter(({ name }) => name.startsWith("schedules")).length, 1);
  await state.run(async (ctx) => {
    for (const { _id, nextAts } of await ctx.db.query("schedules").collect())
      await ctx.db.patch(_id, { nextAts: nextAts.slice(0, 3) });
  });
  pass(hourMs);
  await fire(state);
  const begun = (): Promise<number> => state.run(async (ctx) => (await ctx.db.query("occurrences").collect()).length);
  assert.equal(await begun(), 100, "the first hundred; the rest in the call that follows");
  await fire(state);
  assert.equal(await begun(), 150);
  const plans = await state.run(async (ctx) =>
    (await ctx.db.query("jobs").collect()).flatMap(({ kind, args }) =>
      kind === "schedules.plan" && "scheduleIds" in args ? [args.scheduleIds.length] : [],
    ),
  );
  assert.deepEqual(plans, [100, 50]);
});

test("a session that is held on lives on, for a day at most, and nothing is kept with one that is over", async () => {
  const state = openFakeState();
  const hold = (): Promise<{ until: number }> =>
    state.mutation(internal.schedules.holdSession, { sessionId: "s1", holdMs: 60_000 });
  const isOf = (code: string) => (error: { data?: { code?: string } }) => error.data?.code === code;
  await assert.rejects(create(state, { backend: "session", sessionId: "s1" }), isOf("missing"));
  await hold();
  const schedule = await create(state, { backend: "session", sessionId: "s1" });
  pass(50_000);
  assert.equal((await hold()).until, start + 110_000);
  pass(20_000);
  await state.mutation(internal.schedules.endSilent, { sessionId: "s1" });
  assert.ok(await get(state, schedule));
  await state.run(async (ctx) => {
    const session = only(await ctx.db.query("sessions").collect());
    await ctx.db.patch(session._id, { until: start + 24 * hourMs, startedAt: start });
  });
  pass(24 * hourMs - 100_000);
  assert.equal((await hold()).until, start + 24 * hourMs);
  pass(30_000);
  await assert.rejects(hold(), isOf("invalid"));
  await state.mutation(internal.schedules.endSilent, { sessionId: "s1" });
  assert.equal(await state.owner.query(api.schedules.get, { id: schedule.id }), null);
});

test("what the machine's cron runs is never made a job; its reports are kept, each time once, and only failures are news", async () => {
  const state = openFakeState();
  const schedule = await create(state, { backend: "host", action: { type: "upkeep", script: "backup" } });
  pass(hourMs);
  await fire(state);
  assert.deepEqual(await states(state, schedule), []);
  assert.equal((await get(state, schedule)).nextAts[0], start + 25 * hourMs);
  const report = { id: schedule.id, at: start + hourMs, endedAt: start + hourMs, code: 0, text: "Saved." };
  await state.mutation(internal.schedules.reportHost, report);
  await state.mutation(internal.schedules.reportHost, report);
  assert.deepEqual(await states(state, schedule), ["done"]);
  assert.deepEqual(await state.owner.query(api.events.list, {}), []);
  await state.mutation(internal.schedules.reportHost, { ...report, at: start + 25 * hourMs, code: 73, text: "Disk full." });
  assert.equal(only(await state.owner.query(api.events.list, {})).text, "Disk full.");
  const isInvalid = (error: { data?: { code?: string } }): boolean => error.data?.code === "invalid";
  await assert.rejects(state.mutation(internal.schedules.start, { id: schedule.id }), isInvalid);
  await assert.rejects(create(state, { backend: "host" }), isInvalid);
});

test("a reminder needs no worker: it is told in the transaction that fires it, once", async () => {
  const state = openFakeState();
  const schedule = await create(state, { action: { type: "remind" } });
  pass(hourMs);
  await fire(state);
  await fire(state);
  const occurrence = only(await state.owner.query(api.schedules.occurrences, { id: schedule.id }));
  assert.deepEqual([occurrence.state, occurrence.text], ["done", "Read the news"]);
  assert.equal(only(await state.owner.query(api.events.list, {})).text, "Read the news");
  assert.deepEqual(await state.owner.query(api.jobs.list, {}), [], "there is nothing to work on");
});
