/** A schedule that runs a function of the owner's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { ScheduleSpec } from "../../../convex/model/schedule.ts";
import { toManifest } from "../../../convex/model/userFunction.ts";
import { declare, type Planner } from "../../../appliance/owned/declared.ts";
import { understand } from "../../../functions/schedules/understand.ts";
import { joinWorker, only } from "../../contracts/lab.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const now = Date.parse("2026-11-21T09:00:00Z");
const functions = ["report", "releve-prix", "report-daily"];
const read = (text: string): Pick<ScheduleSpec, "action" | "prompt"> => {
  const preview = understand({ text, zone: "Europe/Paris", now, functions });
  assert(preview.type === "rule", preview.type);
  const { action, prompt } = preview.spec;
  return { action, prompt };
};
const runs = (name: string, prompt = "") => ({ action: { type: "function", name }, prompt });

for (const [text, expected] of [
  ["every Monday at 8 AM run report", runs("report")],
  ["every day at 7 AM run the function report-daily", runs("report-daily")],
  ["tous les jours à 7h lance la fonction releve-prix", runs("releve-prix")],
  ["tous les lundis à 8h exécute releve-prix avec Paris et Évry", runs("releve-prix", "Paris et Évry")],
  ['every hour call report with {"year": 2026}', runs("report", '{"year": 2026}')],
  ["toutes les heures fais tourner relevé prix", runs("releve-prix")],
] as const)
  test(`"${text}" runs ${expected.action.name}`, () => assert.deepEqual(read(text), expected));

for (const text of [
  "every Monday at 8 AM report the figures",
  "every Monday at 8 AM run reports",
  "tous les lundis à 8h lance une lessive",
])
  test(`"${text}" names no function: the owner is told`, () => assert.deepEqual(read(text).action, { type: "remind" }));

async function serve(state: FakeState, name: string, manifest: object = {}): Promise<void> {
  const whole = toManifest(name, manifest, ["index.ts"]);
  const report = { name, state: "serving" as const, sourceVersion: "1", version: "1", isBare: false, manifest: whole };
  await state.mutation(internal.functions.report, { functions: [report], isAll: false });
}

const rule: ScheduleSpec["rule"] = { type: "calendar", zone: "UTC", times: ["07:00"], days: { type: "every" } };
async function schedule(state: FakeState, given: Partial<ScheduleSpec> = {}): Promise<Id<"schedules">> {
  const spec: ScheduleSpec = {
    name: "Prices",
    prompt: "Paris",
    rule,
    action: { type: "function", name: "report" },
    backend: "persistent",
    overlap: "queue",
    misfire: "skip",
    ...given,
  };
  return (await state.mutation(internal.schedules.create, { spec, nextAts: [Date.now() + 3_600_000] })).id;
}

const facts = { version: "1", isBare: false, tookMs: 3 };

test("its time is a run of the function, and ends with it", async () => {
  const state = openFakeState();
  await serve(state, "report");
  const id = await schedule(state);
  await state.mutation(internal.schedules.start, { id });
  const run = only(await state.owner.query(api.functions.invocations, { name: "report" }));
  assert.deepEqual([run.trigger, run.state], ["schedule", "open"]);
  const { input } = (await state.owner.query(api.functions.invocation, { id: run.id })) ?? {};
  assert.equal((JSON.parse(input ?? "") as { text: string }).text, "Paris");
  const worker = await joinWorker(state);
  const job = only((await worker.claim()).filter(({ kind }) => kind !== "schedules.plan"));
  assert.equal(job.kind, "functions.invoke");
  assert(await worker.settle(job, { type: "done", result: { type: "invoked", output: '"3 prices"', facts } }));
  const occurrence = only(await state.owner.query(api.schedules.occurrences, { id }));
  assert.deepEqual([occurrence.state, occurrence.text, occurrence.jobId], ["done", 'report: "3 prices"', job.jobId]);
  const f = await state.owner.query(api.functions.get, { name: "report" });
  assert.deepEqual([f?.done, f?.failed, f?.p50Ms], [1, 0, 3]);
});

test("a function that is gone by then is told, and nothing waits", async () => {
  const state = openFakeState();
  const id = await schedule(state);
  await state.mutation(internal.schedules.start, { id });
  const occurrence = only(await state.owner.query(api.schedules.occurrences, { id }));
  assert.deepEqual([occurrence.state, occurrence.text], ["failed", "There is no function called report any more."]);
  const waiting = await state.owner.query(api.jobs.list, {});
  assert.deepEqual([...new Set(waiting.map(({ kind }) => kind))], ["schedules.plan"]);
});

test("a schedule that is deleted stops its run", async () => {
  const state = openFakeState();
  await serve(state, "report");
  const id = await schedule(state);
  await state.mutation(internal.schedules.start, { id });
  await state.mutation(internal.schedules.remove, { id });
  assert.equal(only(await state.owner.query(api.functions.invocations, {})).state, "cancelled");
});

test("a manifest's schedule is kept once, follows its words, stays off when turned off, and goes with them", async () => {
  const state = openFakeState();
  await serve(state, "report");
  const planner: Planner = {
    zone: "Europe/Paris",
    list: () => state.query(internal.schedules.all, {}),
    understand: async ({ text, zone }) => understand({ text, zone, now: Date.now(), functions }),
    keep: (spec) => state.mutation(internal.schedules.create, { spec, nextAts: [Date.now() + 3_600_000] }),
    remove: async (id) => void (await state.mutation(internal.schedules.remove, { id: id as Id<"schedules"> })),
  };
  for (let i = 0; i < 2; i++) assert.equal(await declare(planner, "report", "every Monday at 8 AM"), undefined);
  const first = only(await planner.list());
  assert.deepEqual(first.action, { type: "function", name: "report", isDeclared: true });
  await state.mutation(internal.schedules.update, { id: first.id, version: first.version, isEnabled: false, nextAts: [] });
  await declare(planner, "report", "every Monday at 8 AM");
  assert.equal(only(await planner.list()).isEnabled, false);
  await declare(planner, "report", "every Friday at 9 AM");
  assert.equal(only(await planner.list()).phrase, "every Friday at 9 AM");
  // The owner's own schedule of the same function is the owner's.
  await schedule(state);
  await declare(planner, "report", undefined);
  assert.equal(only(await planner.list()).name, "Prices");
  assert.match((await declare(planner, "report", "blue cheese")) ?? "", /names no time/);
});
