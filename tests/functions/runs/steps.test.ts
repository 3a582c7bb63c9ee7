/** What a run promises to who writes it. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import { NikaError } from "../../../convex/model/error.ts";
import { defineRun, StepError, type RunContext } from "../../../functions/defineRun.ts";
import { joinWorker } from "../../contracts/lab.ts";
import { mayDie, openStage, start, through, Died } from "./stage.ts";

after(() => mock.timers.reset());

test("steps run once each, one write between two of them, and their results make the run's", async () => {
  const ran: string[] = [];
  const stage = openStage(
    defineRun("sum", async ({ step }, { by }: { by: number }) => {
      const a = await step("a", () => ran.push("a") && 1);
      const b = await step("b", () => ran.push("b") && a + by);
      const nothing = await step("nothing", () => void ran.push("nothing"));
      return { a, b, nothing };
    }),
  );
  const id = await stage.begin("sum", { by: 5 });
  assert.equal(await stage.work(), false);
  const run = await stage.get(id);
  assert.deepEqual([run.state, run.result, ran], ["done", '{"a":1,"b":6}', ["a", "b", "nothing"]]);
  assert.deepEqual(
    run.steps.map(({ path, state, result }) => [path, state, result]),
    [
      ["a", "done", "1"],
      ["b", "done", "6"],
      ["nothing", "done", undefined],
    ],
  );
  assert.equal(stage.writes.count, 4, "begin, two boundaries, end");
});

test("a step that was done before its worker died is answered from memory", async () => {
  const ran: string[] = [];
  const stage = openStage(
    defineRun("two", async ({ step }) => {
      const a = await step("a", () => ran.push("a"));
      return [
        a,
        await step("b", () => {
          ran.push("b");
          mayDie(stage, "in b");
          return "b";
        }),
      ];
    }),
  );
  let hasDied = false;
  stage.at = (point) => {
    if (point !== "in b" || hasDied) return;
    hasDied = true;
    throw new Died(point);
  };
  const id = await stage.begin("two");
  assert.equal(await stage.work(), true);
  assert.deepEqual(
    (await stage.get(id)).steps.map(({ state }) => state),
    ["done", "started"],
  );
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result], ["done", '[1,"b"]']);
  assert.deepEqual(ran, ["a", "b", "b"]);
});

test("a step that fails is tried again after a wait, and no slot is held meanwhile", async (t) => {
  // The wait is a matter of chance and may be none at all; here it is half of the most.
  t.mock.method(Math, "random", () => 0.5);
  let tries = 0;
  const stage = openStage(
    defineRun("flaky", ({ step }) =>
      step("call", ({ attempt }) => {
        assert.equal(attempt, (tries += 1));
        if (tries < 3) throw new NikaError("unavailable", "Away.");
        return "ok";
      }),
    ),
  );
  const id = await stage.begin("flaky");
  await stage.work();
  const waiting = await stage.get(id);
  assert.deepEqual([waiting.state, waiting.steps[0]?.attempts, waiting.steps[0]?.error?.message], ["waiting", 1, "Away."]);
  assert((waiting.wakeAt ?? 0) > start && (waiting.wakeAt ?? 0) <= start + 1_000);
  assert.deepEqual((await stage.state.owner.query(api.jobs.counts, {})).leased, 0);
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result, tries], ["done", '"ok"', 3]);
});

test("whoever refuses says when to come back, and how often it is tried is the step's to say", async () => {
  const stage = openStage(
    defineRun("busy", async ({ step }) => {
      await step("call", () => Promise.reject(new StepError("unavailable", "Later.", { retryAfterMs: 90_000 })), {
        retry: { attemptsMax: 2 },
      });
    }),
  );
  const id = await stage.begin("busy");
  await stage.work();
  assert.equal((await stage.get(id)).wakeAt, start + 90_000);
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.error?.code, run.steps[0]?.attempts], ["failed", "unavailable", 2]);
});

test("a failure that cannot be helped is not tried again, and the code may live with it", async () => {
  let tries = 0;
  const stage = openStage(
    defineRun("plan", async ({ step }) => {
      const first = await step("a", () => {
        tries += 1;
        throw new NikaError("denied", "No.");
      }).catch((error: NikaError) => error.code);
      return [first, await step("b", () => "instead")];
    }),
  );
  const id = await stage.begin("plan");
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result, tries], ["done", '["denied","instead"]', 1]);
});

test("a step out of time is told so and tried again", async () => {
  let tries = 0;
  const stage = openStage(
    defineRun("slow", ({ step }) =>
      step(
        "call",
        ({ signal }) => {
          tries += 1;
          return tries > 1
            ? "ok"
            : new Promise<string>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        },
        { timeoutMs: 10 },
      ),
    ),
  );
  const id = await stage.begin("slow");
  await stage.work();
  assert.equal((await stage.get(id)).steps[0]?.error?.code, "timeout");
  assert.deepEqual((await through(stage, id)).result, '"ok"');
});

test("a run sleeps through the death of its worker, and as long as it was told to", async () => {
  const stage = openStage(
    defineRun("nap", async (run) => {
      await run.sleep("a while", 3_600_000);
      await run.sleep("until noon", new Date(start + 2 * 3_600_000));
      return run.step("then", () => Date.now() - start);
    }),
  );
  const id = await stage.begin("nap");
  await stage.work();
  assert.deepEqual([(await stage.get(id)).state, (await stage.get(id)).wakeAt], ["waiting", start + 3_600_000]);
  await stage.pass(3_599_000);
  assert.equal((await stage.get(id)).state, "waiting");
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result], ["done", `${2 * 3_600_000}`]);
});

test("a signal that fits wakes the run; one that came early is kept for it, one that does not fit is not heard", async () => {
  const stage = openStage(
    defineRun("approve", async (run) => {
      const first = await run.waitSignal("verdict", { by: "ann" });
      const second = await run.waitSignal("note");
      return [first?.body, second?.body, first?.from];
    }),
  );
  const id = await stage.begin("approve");
  const say = (kind: string, body: unknown) =>
    stage.state.owner.mutation(api.signals.send, { id, kind, body: JSON.stringify(body) });
  await say("note", "early");
  await stage.work();
  await say("verdict", { by: "bob", ok: false });
  await stage.work();
  assert.equal((await stage.get(id)).state, "waiting");
  await say("verdict", { by: "ann", ok: true });
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result, run.unread], ["done", '[{"by":"ann","ok":true},"early","owner"]', 1]);
  await assert.rejects(say("note", "late"), /ended/u);
  await assert.rejects(stage.state.as(undefined).mutation(api.signals.send, { id, kind: "note", body: "1" }), /owner/u);
});

test("nobody said anything in time", async () => {
  const stage = openStage(defineRun("patient", async (run) => (await run.waitSignal("word", undefined, 60_000)) === undefined));
  const id = await stage.begin("patient");
  await stage.work();
  assert.equal((await stage.get(id)).wakeAt, start + 60_000);
  assert.equal((await through(stage, id)).result, "true");
});

test("branches go side by side, each with its own steps, and the first that failed in their order is what failed", async () => {
  const order: string[] = [];
  const branch = (name: string, ms: number) => async (run: RunContext) => {
    await run.step("one", () => order.push(`${name}1`));
    await run.sleep("rest", ms);
    await run.step("two", () => order.push(`${name}2`));
    if (name !== "a") throw new NikaError("missing", `${name} is gone.`);
  };
  const stage = openStage(
    defineRun("side", async (run) => {
      const { a, b } = await run.parallel({ a: (one) => one.step("x", () => 1), b: (one) => one.step("x", () => 2) });
      await run
        .parallel({ c: branch("c", 20_000), b: branch("b", 10_000), a: branch("a", 30_000) })
        .catch((error: NikaError) => error.message);
      return a + b;
    }),
  );
  const id = await stage.begin("side");
  await stage.work();
  assert.deepEqual([(await stage.get(id)).state, order.toSorted()], ["waiting", ["a1", "b1", "c1"]]);
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result], ["done", "3"]);
  assert.deepEqual(order.slice(3), ["b2", "c2", "a2"]);
  assert.deepEqual(
    run.steps.slice(0, 2).map(({ path }) => path),
    ["a/x", "b/x"],
  );
});

test("two steps at once in one scope are refused, since another time they would come in another order", async () => {
  const stage = openStage(defineRun("both", async ({ step }) => Promise.all([step("a", () => 1), step("b", () => 2)])));
  const run = await through(stage, await stage.begin("both"));
  assert.deepEqual([run.state, run.error?.code], ["failed", "bug"]);
  assert.match(run.error?.message ?? "", /parallel/u);
});

test("a run begins others and has what came of them, good or bad", async () => {
  const stage = openStage(
    defineRun("parent", async (run) => {
      const doubled = await run.spawn<number>("double", { n: 21 }, { label: "Twice" });
      const bad = await run.spawn("bad", {}).catch((error: NikaError) => `${error.code}: ${error.message}`);
      return [doubled, bad];
    }),
    defineRun("double", ({ step }, { n }: { n: number }) => step("it", () => n * 2)),
    defineRun("bad", async () => {
      throw new NikaError("full", "No room.");
    }),
  );
  const id = await stage.begin("parent");
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result], ["done", '[42,"full: No room."]']);
  const child = await stage.get(run.steps[0]!.childId!);
  assert.deepEqual([child.label, child.parentId, child.state], ["Twice", id, "done"]);
  assert.deepEqual(
    (await stage.state.owner.query(api.runs.list, {})).map(({ name }) => name),
    ["parent"],
    "children are theirs",
  );
});

test("who cancels a run cancels what it began and what it waits for, down to the last", async () => {
  const stage = openStage(
    defineRun("tree", async (run, { depth }: { depth: number }) => {
      if (depth === 0) return run.waitSignal("never");
      return run.parallel({
        a: (one) => one.spawn("tree", { depth: depth - 1 }),
        b: (one) => one.spawn("tree", { depth: depth - 1 }),
      });
    }),
  );
  const id = await stage.begin("tree", { depth: 2 });
  await stage.work();
  await stage.state.owner.mutation(api.runs.cancel, { id });
  const runs = await stage.state.run((ctx) => ctx.db.query("runs").collect());
  assert.equal(runs.length, 7);
  assert(runs.every(({ state }) => state === "cancelled"));
  const steps = await stage.state.run((ctx) => ctx.db.query("steps").collect());
  assert(steps.length === 10 && steps.every(({ state }) => state === "cancelled"));
  assert.deepEqual(await stage.state.run((ctx) => ctx.db.query("waits").collect()), []);
  assert.equal(await stage.work(), false);
  await assert.rejects(stage.state.owner.mutation(api.runs.cancel, { id }), /ended/u);
});

test("cancelling the job that advances a run cancels the run", async () => {
  const stage = openStage(defineRun("one", async () => 1));
  const id = await stage.begin("one");
  const [job] = await stage.state.owner.query(api.jobs.list, {});
  await stage.state.owner.mutation(api.jobs.cancel, { id: job!.id });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await stage.get(id)).state, "cancelled");
});

test("a worker whose lease was taken over writes nothing of what it did", async () => {
  let times = 0;
  const stage = openStage(
    defineRun("one", ({ step }) =>
      step("a", async () => {
        times += 1;
        if (times === 1) await joinWorker(stage.state);
        return times;
      }),
    ),
  );
  const id = await stage.begin("one");
  await stage.work();
  assert.equal((await stage.step(id, "a")).state, "started");
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.result, times], ["done", "2", 2]);
});

test("what ended a week ago is swept away, with its children and all they left", async () => {
  const stage = openStage(
    defineRun("parent", async (run) => {
      await run.spawn("child", {});
      await run.waitSignal("go");
    }),
    defineRun("child", ({ step }) => step("send", () => 1, { effect: "idempotent" })),
  );
  const [old, open] = [await stage.begin("parent"), await stage.begin("parent")];
  for (const kind of ["go", "unheard"]) await stage.state.owner.mutation(api.signals.send, { id: old, kind, body: "1" });
  await through(stage, old);
  await stage.pass(8 * 24 * 3_600_000);
  await stage.state.mutation(internal.upkeep.sweep, {});
  const left = await stage.state.run(async (ctx) => ({
    runs: (await ctx.db.query("runs").collect()).filter(({ parentId }) => !parentId).map(({ _id }) => _id),
    steps: (await ctx.db.query("steps").collect()).length,
    signals: (await ctx.db.query("signals").collect()).length,
    effects: (await ctx.db.query("effects").collect()).length,
  }));
  assert.deepEqual(left, { runs: [open], steps: 3, signals: 0, effects: 1 }, "one that is not over stays");
});

test("a run that always kills its worker is put aside and says so", async () => {
  const stage = openStage(defineRun("poison", ({ step }) => step("boom", () => mayDie(stage, "boom"))));
  stage.at = (point) => {
    if (point === "boom") throw new Died(point);
  };
  const id = await stage.begin("poison");
  for (let death = 0; death < 8; death += 1) {
    assert.equal(await stage.work(), true);
    await stage.pass(20 * 60_000);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  const run = await stage.get(id);
  assert.deepEqual([run.state, run.problem?.type], ["parked", "stuck"]);
  stage.at = () => undefined;
  await stage.state.owner.mutation(api.runs.resume, { id });
  assert.equal((await through(stage, id)).state, "done");
});

test("arguments that are wrong end the run with a sentence, and only the owner begins one", async () => {
  const stage = openStage(
    defineRun("strict", async (_, n: number) => n, {
      parse: (args) => {
        if (typeof args !== "number") throw new NikaError("invalid", "Give a number.");
        return args;
      },
    }),
  );
  const run = await through(stage, await stage.begin("strict", "seven"));
  assert.deepEqual([run.state, run.error], ["failed", { code: "invalid", message: "Give a number." }]);
  const { owner, as } = stage.state;
  await assert.rejects(owner.mutation(api.runs.start, { name: "strict", args: "{}" }), /no run strict/u);
  await assert.rejects(owner.mutation(api.runs.start, { name: "schedules.tasks", args: "{" }), /JSON/u);
  for (const stranger of [as(undefined), as("somebody")]) {
    await assert.rejects(stranger.mutation(api.runs.start, { name: "schedules.tasks", args: "{}" }), /owner/u);
    await assert.rejects(stranger.query(api.runs.get, { id: run.id }), /owner/u);
    await assert.rejects(stranger.query(api.runs.list, {}), /owner/u);
    await assert.rejects(stranger.query(api.effects.list, {}), /owner/u);
    for (const act of [api.runs.cancel, api.runs.resume, api.runs.restart])
      await assert.rejects(stranger.mutation(act, { id: run.id }), /owner/u);
  }
});
