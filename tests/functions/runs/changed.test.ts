/** Code that changed under a run: it is put aside with what differs, and never guessed at. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import type { Json, RunContext } from "../../../functions/defineRun.ts";
import { defineRun } from "../../../functions/defineRun.ts";
import { openStage, through } from "./stage.ts";

after(() => mock.timers.reset());

type Handler = (run: RunContext) => Promise<unknown>;
const step = (run: RunContext, key: string, input?: Json): Promise<string> =>
  run.step(key, () => key, input === undefined ? {} : { input });

const before: Handler = async (run) => {
  await step(run, "fetch", { page: 1 });
  await run.parallel({ left: (one) => step(one, "read"), right: (one) => step(one, "read") });
  await run.sleep("pause", 60_000);
  return step(run, "write");
};

const changes: readonly {
  readonly what: string;
  readonly now: Handler;
  readonly message: RegExp;
  readonly diff: readonly RegExp[];
}[] = [
  {
    what: "another step in the place of one",
    now: async (run) => {
      await step(run, "download", { page: 1 });
    },
    message: /asks for “download” where it did “fetch”/u,
    diff: [/^- 1\. step fetch, done$/u, /^- 2\. sleep pause, waiting$/u, /^\+ 1\. step download/u],
  },
  {
    what: "another input",
    now: async (run) => {
      await step(run, "fetch", { page: 2 });
    },
    message: /“fetch” with another input/u,
    diff: [/^- 1\. step fetch \(input [0-9a-f]{8}\), done$/u, /^\+ 1\. step fetch \(input [0-9a-f]{8}\)$/u],
  },
  {
    what: "a step between",
    now: async (run) => {
      await step(run, "fetch", { page: 1 });
      await step(run, "check");
    },
    message: /“check” where it did “pause”/u,
    diff: [/^  1\. step fetch/u, /^- 2\. sleep pause, waiting$/u, /^\+ 2\. step check$/u],
  },
  {
    what: "another order",
    now: async (run) => {
      await run.sleep("pause", 60_000);
      await step(run, "fetch", { page: 1 });
    },
    message: /“pause” where it did “fetch”/u,
    diff: [/^- 1\. step fetch/u, /^- 2\. sleep pause/u, /^\+ 1\. sleep pause$/u],
  },
  {
    what: "another wait",
    now: async (run) => {
      await step(run, "fetch", { page: 1 });
      await run.parallel({ left: (one) => step(one, "read"), right: (one) => step(one, "read") });
      await run.sleep("pause", 90_000);
    },
    message: /“pause” with another input/u,
    diff: [/^  1\. step fetch/u, /^- 2\. sleep pause/u, /^\+ 2\. sleep pause/u],
  },
  {
    what: "a branch less",
    now: async (run) => {
      await step(run, "fetch", { page: 1 });
      await run.parallel({ left: (one) => step(one, "read") });
      await run.sleep("pause", 60_000);
      await step(run, "write");
    },
    message: /no longer asks for “right\/read”/u,
    diff: [/^- 1\. step right\/read, done$/u, /^\+ \(its end\)$/u],
  },
  {
    what: "an earlier end",
    now: async (run) => {
      await step(run, "fetch", { page: 1 });
    },
    message: /no longer asks for/u,
    diff: [/^- 1\. step left\/read, done$/u, /^\+ \(its end\)$/u],
  },
  {
    what: "an earlier end by failing, although the code catches what it can",
    now: async (run) => {
      await step(run, "fetch", { page: 1 });
      throw new Error("new mistake");
    },
    message: /no longer asks for/u,
    diff: [/left\/read/u, /its end/u],
  },
  {
    what: "a difference that the code would swallow",
    now: async (run) => {
      await step(run, "download").catch(() => "never mind");
      await step(run, "fetch", { page: 1 }).catch(() => "never mind");
    },
    message: /“download” where it did “fetch”/u,
    diff: [/fetch/u, /pause/u, /download/u],
  },
];

for (const { what, now, message, diff } of changes) {
  test(`parked: ${what}`, async () => {
    const stage = openStage(defineRun("report", before));
    const id = await stage.begin("report");
    await stage.work();
    assert.equal((await stage.get(id)).state, "waiting");

    stage.deploy(defineRun("report", now));
    const run = await through(stage, id);
    assert.equal(run.state, "parked");
    assert.equal(run.problem?.type, "changed");
    assert.match(run.problem?.message ?? "", message);
    assert.equal(run.problem?.diff.length, diff.length, run.problem?.diff.join("\n"));
    for (const [i, line] of diff.entries()) assert.match(run.problem?.diff[i] ?? "", line);
    const [event] = await stage.state.owner.query(api.events.list, {});
    assert.equal(event?.type, "runParked");

    // The code is what it was: it goes on where it stood.
    stage.deploy(defineRun("report", before));
    await assert.rejects(stage.state.as(undefined).mutation(api.runs.resume, { id }), /owner/u);
    await stage.state.owner.mutation(api.runs.resume, { id });
    const resumed = await through(stage, id);
    assert.deepEqual([resumed.state, resumed.result], ["done", '"write"']);
  });
}

test("more steps at the end are no change", async () => {
  const stage = openStage(defineRun("report", before));
  const id = await stage.begin("report");
  await stage.work();
  stage.deploy(defineRun("report", async (run) => [await before(run), await step(run, "and more")]));
  assert.equal((await through(stage, id)).result, '["write","and more"]');
});

test("a run whose code is gone, or is a version that does not go on with it, waits for the owner", async () => {
  const stage = openStage(defineRun("report", before, { version: 3 }));
  const id = await stage.begin("report");
  await stage.work();
  stage.deploy();
  const gone = await through(stage, id);
  assert.deepEqual([gone.state, gone.problem?.type], ["parked", "unknown"]);
  stage.deploy(defineRun("report", before, { version: 4 }));
  await stage.state.owner.mutation(api.runs.resume, { id });
  const other = await through(stage, id);
  assert.deepEqual([other.problem?.type, other.problem?.diff], ["version", ["- version 3", "+ version 4"]]);
  stage.deploy(defineRun("report", before, { version: 4, continues: [3] }));
  await stage.state.owner.mutation(api.runs.resume, { id });
  assert.equal((await through(stage, id)).state, "done");
});

test("the owner may have it start over instead, or stop it", async () => {
  const stage = openStage(defineRun("report", before));
  const [first, second] = [await stage.begin("report"), await stage.begin("report")];
  await stage.work();
  stage.deploy(defineRun("report", (run) => step(run, "download")));
  await through(stage, first);
  await through(stage, second);
  await stage.state.owner.mutation(api.runs.restart, { id: first });
  const run = await through(stage, first);
  assert.deepEqual([run.state, run.life, run.steps.map(({ path }) => path)], ["done", 2, ["download"]]);
  await stage.state.owner.mutation(api.runs.cancel, { id: second });
  assert.equal((await stage.get(second)).state, "cancelled");
  await assert.rejects(stage.state.owner.mutation(api.runs.resume, { id: second }), /put aside/u);
});
