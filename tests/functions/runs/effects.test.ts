/** What runs do to the world: written down before it happens, and honest when nobody knows. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import { NikaError } from "../../../convex/model/error.ts";
import { defineRun, StepError, type Effect } from "../../../functions/defineRun.ts";
import { Died, mayDie, openStage, through, type Stage } from "./stage.ts";

after(() => mock.timers.reset());

/** A server out there, which knows keys or does not. */
function openServer(knowsKeys: boolean) {
  const sent: string[] = [];
  return {
    sent,
    send(key: string): string {
      const at = sent.indexOf(key);
      if (knowsKeys && at >= 0) return `receipt ${at}`;
      sent.push(key);
      return `receipt ${sent.length - 1}`;
    },
    look: (key: string) => (sent.includes(key) ? { value: `receipt ${sent.indexOf(key)}` } : undefined),
  };
}

/** Sends, with one chance to die before and one after it was sent. */
function openMail(effect: (server: ReturnType<typeof openServer>) => Effect<string>, knowsKeys = false) {
  const server = openServer(knowsKeys);
  const stage: Stage = openStage(
    defineRun("mail", ({ step }) =>
      step(
        "send",
        ({ key }) => {
          mayDie(stage, "before");
          const receipt = server.send(key);
          mayDie(stage, "after");
          return receipt;
        },
        { effect: effect(server), label: "Send the letter" },
      ),
    ),
  );
  return { stage, server };
}

function dieOnceAt(stage: Stage, where: string): void {
  stage.at = (point) => {
    if (point !== where) return;
    stage.at = () => undefined;
    throw new Died(point);
  };
}

test("the intent stands before the effect, under a key that is the run's and the step's own", async () => {
  const { stage, server } = openMail(() => "idempotent");
  dieOnceAt(stage, "before");
  const id = await stage.begin("mail");
  await stage.work();
  const { effect } = await stage.step(id, "send");
  assert.deepEqual([effect?.class, effect?.state, server.sent], ["idempotent", "intended", []]);
  const run = await through(stage, id);
  assert.deepEqual(server.sent, [effect?.key]);
  assert.deepEqual([run.state, run.steps[0]?.effect?.state], ["done", "sent"]);
  const other = await stage.begin("mail");
  await through(stage, other);
  assert.equal(new Set(server.sent).size, 2);
});

for (const point of ["before", "after"]) {
  test(`an idempotent effect whose worker died ${point} it is sent again under the same key`, async () => {
    const { stage, server } = openMail(() => "idempotent", true);
    dieOnceAt(stage, point);
    const run = await through(stage, await stage.begin("mail"));
    assert.deepEqual([run.state, run.result, server.sent.length], ["done", '"receipt 0"', 1]);
  });

  test(`a reconcilable effect whose worker died ${point} it is looked up`, async () => {
    const { stage, server } = openMail((one) => ({ look: async (key) => one.look(key) }));
    dieOnceAt(stage, point);
    const run = await through(stage, await stage.begin("mail"));
    assert.deepEqual([run.state, run.result, server.sent.length], ["done", '"receipt 0"', 1]);
  });

  test(`of an ambiguous effect whose worker died ${point} it nobody knows, and the owner is asked`, async () => {
    const { stage, server } = openMail(() => "ambiguous");
    dieOnceAt(stage, point);
    const id = await stage.begin("mail");
    const asked = await through(stage, id);
    assert.deepEqual([asked.state, asked.asks, asked.steps[0]?.effect?.state], ["waiting", 1, "unknown"]);
    assert.equal(server.sent.length, point === "before" ? 0 : 1, "not sent again by itself");
    const [open] = await stage.state.owner.query(api.effects.list, {});
    assert.deepEqual([open?.step, open?.runId], ["Send the letter", id]);
    const [event] = await stage.state.owner.query(api.events.list, {});
    assert.equal(event?.type, "runAsks");

    const stepId = asked.steps[0]!.id;
    await assert.rejects(stage.state.as("somebody").mutation(api.effects.decide, { stepId, as: "sent" }), /owner/u);
    if (point === "before") await stage.state.owner.mutation(api.effects.decide, { stepId, as: "again" });
    else await stage.state.owner.mutation(api.effects.decide, { stepId, as: "sent", result: '"receipt 0"' });
    const run = await through(stage, id);
    assert.deepEqual([run.state, run.result, run.asks, server.sent.length], ["done", '"receipt 0"', 0, 1]);
    assert.equal(run.steps[0]?.effect?.state, "sent");
    await assert.rejects(stage.state.owner.mutation(api.effects.decide, { stepId, as: "again" }), /not asked/u);
  });
}

test("the owner may say that it did not happen and is not to: the run hears so", async () => {
  const { stage } = openMail(() => "ambiguous");
  dieOnceAt(stage, "before");
  const id = await stage.begin("mail");
  const { steps } = await through(stage, id);
  await stage.state.owner.mutation(api.effects.decide, { stepId: steps[0]!.id, as: "failed" });
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.error?.code, run.steps[0]?.effect?.state], ["failed", "cancelled", "failed"]);
});

test("what was refused did not happen; what was not answered may have, and only the owner sends it again", async () => {
  const failures = [
    new StepError("unavailable", "Too many.", { retryAfterMs: 1_000, isUnsent: true }),
    new NikaError("unavailable", "No answer."),
    new NikaError("denied", "Not you."),
  ];
  const stage: Stage = openStage(
    defineRun("post", ({ step }) => step("send", () => Promise.reject(failures.shift()!), { effect: "ambiguous" })),
  );
  const id = await stage.begin("post");
  await stage.work();
  assert.deepEqual(
    [(await stage.step(id, "send")).waitFor?.type, (await stage.step(id, "send")).effect?.state],
    ["retry", "intended"],
  );
  const asked = await through(stage, id);
  assert.deepEqual([asked.steps[0]?.waitFor?.type, asked.steps[0]?.effect?.state], ["decision", "unknown"]);
  await stage.state.owner.mutation(api.effects.decide, { stepId: asked.steps[0]!.id, as: "again" });
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.error?.message, run.steps[0]?.effect?.state], ["failed", "Not you.", "failed"]);
});

test("a cancelled run leaves what was being sent as unknown", async () => {
  const { stage } = openMail(() => "idempotent");
  dieOnceAt(stage, "before");
  const id = await stage.begin("mail");
  await stage.work();
  await stage.state.owner.mutation(api.runs.cancel, { id });
  const run = await stage.get(id);
  assert.deepEqual([run.state, run.steps[0]?.state, run.steps[0]?.effect?.state], ["cancelled", "cancelled", "unknown"]);
});

test("a run that starts over sends under other keys", async () => {
  const { stage, server } = openMail(() => "idempotent", true);
  const id = await stage.begin("mail");
  await through(stage, id);
  await stage.state.owner.mutation(api.runs.restart, { id });
  const run = await through(stage, id);
  assert.deepEqual([run.state, run.life, run.result, server.sent.length], ["done", 2, '"receipt 1"', 2]);
});
