/** A schedule that asks for several things: a run of sub-tasks, each with a state of its own. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import { NikaError } from "../../../convex/model/error.ts";
import type { Action, ScheduleSpec, ScheduleView } from "../../../convex/model/schedule.ts";
import type { Ports } from "../../../functions/define.ts";
import type { AnyRunDefinition } from "../../../functions/defineRun.ts";
import type { Answers } from "../../../functions/ports/answers.ts";
import { runTasks } from "../../../functions/schedules/tasks.ts";
import { understand } from "../../../functions/schedules/understand.ts";
import { only } from "../../contracts/lab.ts";
import { openStage, start, through, type Stage } from "../runs/stage.ts";

after(() => mock.timers.reset());

const read = (text: string): { action: Action; spec: ScheduleSpec } => {
  const preview = understand({
    text,
    zone: "Europe/Paris",
    now: start,
    targets: ["homelab"],
    functions: ["invoice-sums", "report"],
  });
  assert(preview.type === "rule", preview.type);
  return { action: preview.spec.action, spec: preview.spec };
};

test("words that ask for several things become a run of them, each understood by itself", () => {
  assert.deepEqual(read("every Monday at 8 AM read the news; find my lease; tell homelab: pull and build").action, {
    type: "run",
    isInTurn: false,
    tasks: [
      { text: "read the news", action: { type: "remind" } },
      { text: "find my lease", action: { type: "ask" } },
      { text: "pull and build", action: { type: "message", target: "homelab" } },
    ],
  });
  assert.deepEqual(read("tous les lundis à 8h prépare le rapport puis envoie à homelab : c'est prêt").action, {
    type: "run",
    isInTurn: true,
    tasks: [
      { text: "prépare le rapport", action: { type: "remind" } },
      { text: "c'est prêt", action: { type: "message", target: "homelab" } },
    ],
  });
});

test("a part may be a function of the owner's, with what it is to be given", () => {
  assert.deepEqual(read("every Monday at 8 AM run invoice sums with March; then tell homelab: summed").action, {
    type: "run",
    isInTurn: true,
    tasks: [
      { text: "March", action: { type: "function", name: "invoice-sums" } },
      { text: "summed", action: { type: "message", target: "homelab" } },
    ],
  });
  assert.deepEqual(read("chaque jour à 7h lance report").action, { type: "function", name: "report" });
});

test("a message stays whole, and one thing stays one thing", () => {
  assert.equal(read("every day at 7 AM tell homelab: pull; then build").action.type, "message");
  assert.equal(read("every day at 7 AM read the news and the mail").action.type, "remind");
});

/** The stage with the ports that tasks need. */
function openTasks(ask: Answers["ask"], call: Answers["call"] = () => Promise.reject(new NikaError("missing", "None."))): Stage {
  const answers = { ask, call };
  const withPorts: AnyRunDefinition = {
    ...runTasks,
    handler: (context, args, ports) => runTasks.handler(context, args, { ...(ports as Pick<Ports, "state">), answers }),
  };
  return openStage(withPorts);
}

async function schedule(stage: Stage, text: string): Promise<ScheduleView> {
  const { spec } = read(text);
  return stage.state.mutation(internal.schedules.create, { spec, nextAts: [start + 3_600_000, start + 7_200_000] });
}

test("at its time each part is done, with a state and an outcome of its own, and the time with all of them", async () => {
  const stage = openTasks(async (question) => `answer to ${question}`);
  await stage.state.owner.mutation(api.bridge.addTarget, { name: "homelab" });
  const { id } = await schedule(stage, "every day at 7 AM find my lease; call the bank; tell homelab: build");
  await stage.state.mutation(internal.schedules.start, { id });
  const opened = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  assert.deepEqual([opened.state, opened.jobId], ["open", undefined]);
  const run = await through(stage, opened.runId!);
  assert.deepEqual(
    run.steps.map(({ path, label, state, result }) => [path, label, state, result]),
    [
      ["1/task 1", "find my lease", "done", '"answer to find my lease"'],
      ["2/task 2", "call the bank", "done", '"call the bank"'],
      ["3/task 3", "build", "done", '"Sent to homelab: build"'],
    ],
  );
  const occurrence = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  assert.equal(occurrence.state, "done");
  assert.equal(occurrence.text, "• answer to find my lease\n• call the bank\n• Sent to homelab: build");
  const event = only(await stage.state.owner.query(api.events.list, {}));
  assert.deepEqual([event.type, event.name], ["scheduled", run.label]);
  only(await stage.state.owner.query(api.bridge.messages, {}));
});

test("a function's part says what it returned, or why it failed", async () => {
  const asked: string[] = [];
  const stage = openTasks(
    async () => undefined,
    async (name, prompt) => {
      asked.push(`${name}(${prompt})`);
      if (name === "report") throw new NikaError("conflict", "No paper.");
      return "42 euros";
    },
  );
  const { id } = await schedule(stage, "every day at 7 AM run invoice-sums with March; run report");
  await stage.state.mutation(internal.schedules.start, { id });
  const { runId } = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  const run = await through(stage, runId!);
  assert.deepEqual(asked.toSorted(), ["invoice-sums(March)", "report()"]);
  assert.deepEqual(
    run.steps.map(({ label, state }) => [label, state]),
    [
      ["invoice-sums March", "done"],
      ["report", "failed"],
    ],
  );
  const { text } = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  assert.equal(text, "1 of 2 were done.\n• invoice-sums: 42 euros\n• (failed) report: No paper.");
});

test("a part that fails does not keep the others from being done, and the time says so", async () => {
  const stage = openTasks(() => Promise.reject(new NikaError("denied", "Not for you.")));
  const { id } = await schedule(stage, "every day at 7 AM find my lease; call the bank");
  await stage.state.mutation(internal.schedules.start, { id });
  const { runId } = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  const run = await through(stage, runId!);
  assert.deepEqual([run.state, ...run.steps.map(({ state }) => state)], ["failed", "failed", "done"]);
  const occurrence = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  assert.deepEqual([occurrence.state, occurrence.text?.split("\n")[0]], ["failed", "1 of 2 were done."]);
});

test("who edits or deletes the schedule stops the run of its time", async () => {
  const stage = openTasks(() => Promise.reject(new NikaError("unavailable", "Later.")));
  const { id, version } = await schedule(stage, "every day at 7 AM find my lease then call the bank");
  await stage.state.mutation(internal.schedules.start, { id });
  await stage.work();
  const { runId } = only(await stage.state.owner.query(api.schedules.occurrences, { id }));
  assert.equal((await stage.get(runId!)).state, "waiting");
  await stage.state.mutation(internal.schedules.update, { id, version, isEnabled: false, nextAts: [] });
  assert.equal((await stage.get(runId!)).state, "cancelled");
  assert.equal(only(await stage.state.owner.query(api.schedules.occurrences, { id })).state, "cancelled");
});

test("one may begin such a run without a schedule, and a wrong one says what is wrong", async () => {
  const stage = openTasks(async () => undefined);
  const begin = (args: unknown) =>
    stage.state.owner.mutation(api.runs.start, { name: "schedules.tasks", args: JSON.stringify(args) });
  const good = await through(
    stage,
    await begin({ tasks: ["water the plants", { text: "lease?", action: "ask" }], isInTurn: true }),
  );
  assert.deepEqual([good.state, good.result], ["done", '"• water the plants\\n• Nothing in the vault bears on it."']);
  for (const wrong of [{}, { tasks: [] }, { tasks: [{ text: "" }] }, { tasks: [{ text: "x", action: "shout" }] }]) {
    const run = await through(stage, await begin(wrong));
    assert.deepEqual([run.state, run.error?.code], ["failed", "invalid"]);
  }
});
