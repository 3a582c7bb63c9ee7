/** A schedule that writes to a remote agent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { ScheduleSpec } from "../../../convex/model/schedule.ts";
import type { Ports } from "../../../functions/define.ts";
import { runSchedule } from "../../../functions/schedules/run.ts";
import { understand } from "../../../functions/schedules/understand.ts";
import { only } from "../../contracts/lab.ts";
import { openFakeState } from "../../fakes/state.ts";

const now = Date.parse("2026-11-21T09:00:00Z");
const targets = ["homelab", "nexus:felt"];
const read = (text: string, known = targets): Pick<ScheduleSpec, "action" | "prompt"> => {
  const preview = understand({ text, zone: "Europe/Paris", now, targets: known });
  assert(preview.type === "rule", preview.type);
  const { action, prompt } = preview.spec;
  return { action, prompt };
};

test("words that send something to a known agent become a message to it", () => {
  const backup = { action: { type: "message", target: "homelab" }, prompt: "vérifie les sauvegardes" };
  assert.deepEqual(read("tous les lundis à 8h envoie à homelab : vérifie les sauvegardes"), backup);
  assert.deepEqual(read("every day at 7 AM tell nexus:felt: pull and build").action, { type: "message", target: "nexus:felt" });
});

test("to an agent that nobody knows nothing is sent: the owner is told", () => {
  assert.deepEqual(read("tous les lundis à 8h envoie à homelab : vérifie les sauvegardes", []).action, { type: "remind" });
  assert.deepEqual(read("every day at 7 AM tell stranger: pull").action, { type: "remind" });
});

test("at its time the message is queued once, even when the job runs twice and the first has ended", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.bridge.addTarget, { name: "homelab" });
  const { action, prompt } = read("every day at 7 AM tell homelab: pull and build");
  const rule: ScheduleSpec["rule"] = { type: "calendar", zone: "UTC", times: ["07:00"], days: { type: "every" } };
  const spec: ScheduleSpec = { name: "Build", prompt, rule, action, backend: "persistent", overlap: "queue", misfire: "skip" };
  const { id } = await state.mutation(internal.schedules.create, { spec, nextAts: [Date.now() + 3_600_000] });
  await state.mutation(internal.schedules.start, { id });
  const [occurrence] = await state.owner.query(api.schedules.occurrences, { id });
  assert(occurrence);
  const run = async (): Promise<string> => {
    const outcome = await runSchedule.run(
      { args: { occurrenceId: occurrence.id }, signal: new AbortController().signal } as Parameters<typeof runSchedule.run>[0],
      { state } as unknown as Ports,
    );
    assert(outcome.type === "done" && outcome.result?.type === "said");
    return outcome.result.text;
  };
  assert.equal(await run(), "Sent to homelab: pull and build");
  const sent = only(await state.owner.query(api.bridge.messages, {}));
  assert.deepEqual([sent.target, sent.text, sent.from], ["homelab", "pull and build", "schedule: Build"]);
  await state.mutation(internal.bridge.say, { verb: "complete", messageId: sent.id });
  await run();
  only(await state.owner.query(api.bridge.messages, {}));
  await state.owner.mutation(api.bridge.removeTarget, { name: "homelab" });
  await assert.rejects(run(), { code: "missing" });
});
