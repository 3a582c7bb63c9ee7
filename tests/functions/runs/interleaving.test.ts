/** Workers that die anywhere, again and again: whatever happens, a run ends as if nobody had died. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import { NikaError } from "../../../convex/model/error.ts";
import { defineRun, type RunContext } from "../../../functions/defineRun.ts";
import { Died, mayDie, openStage, type Stage } from "./stage.ts";

after(() => mock.timers.reset());

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`steps, waits, children, branches and effects in random deaths ${seed}`, async () => {
    const random = lcg(seed);
    const known = new Set<string>();
    const applied = new Map<string, number>();
    const allowed = new Map<string, number>();
    const apply = (key: string): void => void applied.set(key, (applied.get(key) ?? 0) + 1);
    let runs = 0;
    const stage: Stage = openStage(
      defineRun("work", async (run, { depth }: { depth: number }) => {
        const first = await run.step("first", () => here(runs++));
        const sides = await run.parallel({
          calm: async (one) => {
            await one.sleep("rest", 30_000);
            return one.step("after", () => here(runs++));
          },
          told: async (one) => (await one.waitSignal("go", { to: "you" }, 3_600_000))?.body ?? "nobody",
          sent: (one) => send(one),
          under: (one) => (depth > 0 ? one.spawn("work", { depth: depth - 1 }) : one.step("leaf", () => here("leaf"))),
        });
        let flaky = 0;
        const again = await run.step("flaky", () => {
          here(0);
          if ((flaky += 1) === 1 && random(3) === 0) throw new NikaError("unavailable", "Not now.");
          return "fine";
        });
        for (const page of [1, 2, 3]) await run.step("page", () => here(page), { input: page });
        return { first, sides: Object.keys(sides).length, again };
      }),
    );
    const here = <T>(value: T): T => {
      mayDie(stage, "in a step");
      return value;
    };
    const send = async (run: RunContext): Promise<void> => {
      await run.step(
        "keyed",
        ({ key }) => {
          mayDie(stage, "at an effect");
          // The server knows its keys.
          if (!known.has(key)) apply(key);
          known.add(key);
          mayDie(stage, "at an effect");
        },
        { effect: "idempotent" },
      );
      await run.step(
        "looked up",
        ({ key }) => {
          mayDie(stage, "at an effect");
          apply(key);
          mayDie(stage, "at an effect");
        },
        { effect: { look: async (key) => (applied.has(key) ? { value: undefined } : undefined) } },
      );
      await run.step(
        "blind",
        ({ key }) => {
          mayDie(stage, "at an effect");
          apply(key);
          mayDie(stage, "at an effect");
        },
        { effect: "ambiguous" },
      );
    };
    stage.at = (point) => {
      if (random(point === "at an effect" ? 4 : 18) === 0) throw new Died(point);
    };

    const ids = [await stage.begin("work", { depth: 1 }), await stage.begin("work", { depth: 0 })];
    const done = new Map<string, string>();
    for (let round = 0; round < 400; round += 1) {
      await stage.work();
      await assertOnce(stage, done);
      if (random(5) === 0) await signalSome(stage, random);
      for (const { step: _step, key, runId } of await stage.state.owner.query(api.effects.list, {})) {
        // Whoever is asked looks for himself.
        const { steps } = await stage.get(runId);
        const step = steps.find((one) => one.effect?.key === key);
        if (step?.waitFor?.type !== "decision") continue;
        const as = random(2) === 0 ? "again" : "sent";
        if (as === "again") allowed.set(key, (allowed.get(key) ?? 0) + 1);
        await stage.state.owner.mutation(api.effects.decide, { stepId: step.id, as });
      }
      for (const { id } of await stage.state.owner.query(api.runs.list, { state: "parked" })) {
        assert.equal((await stage.get(id)).problem?.type, "stuck");
        await stage.state.owner.mutation(api.runs.resume, { id });
      }
      const open = (await Promise.all(ids.map((id) => stage.get(id)))).filter(({ endedAt }) => endedAt === undefined);
      if (open.length === 0) break;
      await stage.pass(random(20 * 60_000));
      // What was scheduled for now happens in timers of this process.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const id of ids) assert.equal((await stage.get(id)).state, "done", JSON.stringify(await stage.get(id), undefined, 1));
    const effects = await stage.state.run((ctx) => ctx.db.query("effects").collect());
    assert.equal(effects.length, 9);
    for (const { key, class: sort, state } of effects) {
      assert.equal(state, "sent");
      const most = sort === "ambiguous" ? 1 + (allowed.get(key) ?? 0) : 1;
      const times = applied.get(key) ?? 0;
      assert(times <= most, `${sort} effect happened ${times} times`);
      if (sort !== "ambiguous") assert.equal(times, 1);
    }
    assert.deepEqual(await stage.state.run((ctx) => ctx.db.query("waits").collect()), []);
  });
}

/** A step that is done stays as it is, and there is one row for each. */
async function assertOnce(stage: Stage, done: Map<string, string>): Promise<void> {
  const steps = await stage.state.run((ctx) => ctx.db.query("steps").collect());
  const waits = await stage.state.run((ctx) => ctx.db.query("waits").collect());
  const paths = steps.map(({ runId, path }) => `${runId} ${path}`);
  assert.equal(new Set(paths).size, paths.length, "a step is one row");
  const waiting = steps.filter(({ state }) => state === "waiting").map(({ _id }) => _id);
  assert.deepEqual(new Set(waits.map(({ stepId }) => stepId)), new Set(waiting), "what waits is known to wait");
  for (const step of steps) {
    if (step.state !== "done" && step.state !== "failed") continue;
    const outcome = JSON.stringify([step.state, step.value, step.error]);
    assert.equal(done.get(step._id) ?? outcome, outcome, "an outcome stays");
    done.set(step._id, outcome);
  }
  const runs = await stage.state.run((ctx) => ctx.db.query("runs").collect());
  for (const run of runs) {
    assert.equal(run.jobId !== undefined, run.state === "running");
    assert.equal(run.endedAt !== undefined, ["done", "failed", "cancelled"].includes(run.state));
  }
}

async function signalSome(stage: Stage, random: (below: number) => number): Promise<void> {
  const runs = await stage.state.run((ctx) => ctx.db.query("runs").collect());
  const run = runs[random(runs.length)];
  if (run?.endedAt !== undefined || !run) return;
  const body = JSON.stringify({ to: random(2) === 0 ? "you" : "them" });
  await stage.state.owner.mutation(api.signals.send, { id: run._id, kind: "go", body });
}

function lcg(seed: number): (below: number) => number {
  let x = seed;
  return (below) => ((x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0) >>> 8) % below;
}
