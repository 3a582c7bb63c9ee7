import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api } from "../../convex/_generated/api.js";
import type { ScheduleView } from "../../convex/model/schedule.ts";
import type { Ports } from "../../functions/define.ts";
import type { Said } from "../../functions/schedules/say.ts";
import type { Preview } from "../../functions/schedules/understand.ts";
import { answerSchedules } from "../../appliance/http/schedules.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { HostSchedules } from "../../appliance/host/hostSchedules.ts";
import { schedulesOf } from "../../appliance/schedules.ts";
import { openFakeState } from "../fakes/state.ts";

const now = Date.parse("2026-11-21T09:00:00Z");
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now });
});
after(() => mock.timers.reset());

/** No cron here. */
const openFakeHost = (): HostSchedules => ({
  sync: () => Promise.reject(new NikaError("unavailable", "cron is not installed on this machine.")),
  look: () => Promise.resolve({ lines: [] }),
});

function open() {
  const state = openFakeState();
  const ports = { state, clock: { now: () => Date.now() } } as unknown as Ports;
  const schedules = { ...schedulesOf(ports, openFakeHost()), zone: "Europe/Paris" };
  const ask = async (method: string, path: string, body: object = {}, ifMatch?: string) => {
    const answer = await answerSchedules(schedules, {
      method,
      path: `/api/schedules${path}`,
      ifMatch,
      body: async () => body as Record<string, unknown>,
      signal: new AbortController().signal,
    });
    assert(answer);
    return answer;
  };
  const say = async (text: string, more: object = {}): Promise<Said> =>
    (await ask("POST", "/say", { text, ...more })).body as Said;
  const list = (): Promise<ScheduleView[]> => state.owner.query(api.schedules.list, {});
  return { ask, say, list };
}

test("a sentence becomes a schedule, with its rule, its zone, the next times and what was assumed", async () => {
  const { say, list } = open();
  const said = await say("tous les lundis à 8h cherche des offres data engineer");
  assert(said.type === "created" && said.preview.type === "rule");
  assert.equal(said.preview.label, "Chaque lundi à 8 h");
  assert.deepEqual(
    said.preview.next.map((at) => new Date(at).toISOString()),
    ["2026-11-23T07:00:00.000Z", "2026-11-30T07:00:00.000Z", "2026-12-07T07:00:00.000Z"],
  );
  const [schedule] = await list();
  assert.equal(schedule?.name, "Cherche des offres data engineer");
  assert.equal(schedule.nextAts.length, 16);
  assert.deepEqual(schedule.action, { type: "remind" });
});

test("a dry run shows the same and keeps nothing", async () => {
  const { say, list } = open();
  const said = await say("every Friday at 5pm", { dryRun: true });
  assert(said.type === "preview" && said.preview.type === "rule");
  assert.equal(said.preview.label, "Every Friday at 5 PM");
  assert.deepEqual(await list(), []);
});

test("schedules are changed, moved, paused, resumed, run and deleted in words", async () => {
  const { say, list } = open();
  await say("tous les lundis à 8h recherche Indeed");
  assert.equal((await say("change la recherche Indeed à tous les mercredis")).type, "changed");
  assert.deepEqual((await list())[0]?.rule, {
    type: "calendar",
    zone: "Europe/Paris",
    times: ["08:00"],
    days: { type: "weekdays", weekdays: [3] },
  });
  assert.equal((await say("décale la recherche Indeed d'une heure")).type, "changed");
  const [moved] = await list();
  assert.deepEqual(moved?.rule.type === "calendar" && moved.rule.times, ["09:00"]);
  assert.equal((await say("désactive la recherche Indeed")).type, "paused");
  assert.equal((await list())[0]?.isEnabled, false);
  assert.equal((await say("réactive la recherche Indeed")).type, "resumed");
  assert.deepEqual([(await list())[0]?.isEnabled, (await list())[0]?.nextAts[0]], [true, Date.parse("2026-11-25T08:00:00Z")]);
  assert.equal((await say("lance la recherche Indeed maintenant")).type, "started");
  assert.equal((await say("quelles sont mes tâches récurrentes ?")).type, "listed");
  assert.equal((await say("supprime la recherche Indeed")).type, "deleted");
  assert.deepEqual(await list(), []);
});

test("a pause may have an end", async () => {
  const { say, list } = open();
  await say("tous les jours à 8h brief");
  await say("mets en pause le brief jusqu'à lundi à 9h");
  assert.equal((await list())[0]?.pausedUntil, Date.parse("2026-11-23T08:00:00Z"));
});

test("two of one name are asked about, and none of a name is said to be none", async () => {
  const { say } = open();
  await say("tous les lundis à 8h rapport des ventes");
  await say("tous les mardis à 8h rapport des stocks");
  const which = await say("supprime le rapport");
  assert(which.type === "which");
  assert.equal(which.schedules.length, 2);
  assert.deepEqual(await say("supprime la facture"), { type: "unknown", target: "facture" });
});

test("what a question repeats is asked of the vault", async () => {
  const { say } = open();
  const said = await say("chaque lundi à 9h, combien avons-nous payé EDF ce mois ?");
  assert(said.type === "created");
  assert.deepEqual(said.schedule.action, { type: "ask" });
});

test("an edit over HTTP names the version it saw, or is refused", async () => {
  const { ask } = open();
  const made = await ask("POST", "", { text: "tous les lundis à 8h brief", zone: "Europe/Paris" });
  assert.deepEqual([made.status, made.etag], [201, '"1"']);
  const { id } = made.body as ScheduleView;
  await assert.rejects(ask("PATCH", `/${id}`, { enabled: false }), { code: "invalid" });
  const changed = await ask("PATCH", `/${id}`, { text: "à 9h", prompt: "Read the news" }, '"1"');
  const view = changed.body as ScheduleView;
  assert.deepEqual(
    [changed.etag, view.prompt, view.rule.type === "calendar" && view.rule.times],
    ['"2"', "Read the news", ["09:00"]],
  );
  await assert.rejects(
    ask("PATCH", `/${id}`, { enabled: false }, '"1"'),
    (error: { data?: { code?: string } }) => error.data?.code === "conflict",
  );
  assert.equal(((await ask("PATCH", `/${id}`, { enabled: false }, '"2"')).body as ScheduleView).isEnabled, false);
  assert.equal((await ask("DELETE", `/${id}`)).status, 204);
  await assert.rejects(ask("GET", `/${id}`), { code: "missing" });
});

for (const [what, method, path, body, code] of [
  ["an empty sentence", "POST", "/say", { text: " " }, "invalid"],
  ["a zone that is none", "POST", "/say", { text: "every day at 8am", zone: "Mars/Base" }, "invalid"],
  ["a text without a time", "POST", "", { text: "read the news" }, "invalid"],
  ["a field it has not", "PATCH", "/aaaaaaaaaaaa", { colour: "red" }, "invalid"],
  ["an id that is none", "GET", "/..", {}, "missing"],
  ["a path that is none", "GET", "/aaaaaaaaaaaa/b/c", {}, "missing"],
] as const) {
  test(`${what} is refused with a sentence`, async () => {
    const { ask } = open();
    await assert.rejects(ask(method, path, body, '"1"'), { code });
  });
}

test("another time for a schedule is shown before it counts, and the rest of it stays", async () => {
  const { ask, list } = open();
  const { id } = (await ask("POST", "", { text: "tous les lundis à 8h brief", zone: "Europe/Paris" })).body as ScheduleView;
  const preview = (await ask("POST", `/${id}/preview`, { text: "à 9h" })).body as Preview;
  assert(preview.type === "rule");
  assert.deepEqual([preview.label, preview.spec.name], ["Chaque lundi à 9 h", "Brief"]);
  assert.equal((await list())[0]?.version, 1);
});

test("a change in words tells what the new time means, also when it is only tried", async () => {
  const { say, list } = open();
  await say("tous les lundis à 8h recherche Indeed");
  const said = await say("change la recherche Indeed à tous les mercredis", { dryRun: true });
  assert(said.type === "changed" && said.preview?.type === "rule");
  assert.equal(said.preview.label, "Chaque mercredi à 8 h");
  assert.equal((await list())[0]?.version, 1);
});

test("what is said with a session is kept with it, shown before, and goes when the session ends", async () => {
  const { ask, say, list } = open();
  const session = { sessionId: "session-1234" };
  assert.equal((await ask("POST", "/sessions/session-1234", {})).status, 200);
  const tried = await say("every 2 minutes check the build", { ...session, ofSession: true, dryRun: true });
  assert(tried.type === "preview" && tried.preview.type === "rule");
  assert.equal(tried.preview.spec.backend, "session");
  await say("every 2 minutes check the build", { ...session, ofSession: true });
  await say("in this session, every 5 minutes look at the mail", session);
  await say("every day at 8am brief", session);
  const backends = async (): Promise<string[]> => (await list()).map(({ backend }) => backend).toSorted();
  assert.deepEqual(await backends(), ["persistent", "session", "session"]);
  assert.equal((await ask("DELETE", "/sessions/session-1234")).status, 204);
  assert.deepEqual(await backends(), ["persistent"]);
});

test("words that ask for a session where there is none are kept for good, and say so", async () => {
  const { say } = open();
  const said = await say("dans cette session, toutes les 2 minutes vérifie le build");
  assert(said.type === "created" && said.preview.type === "rule");
  assert.equal(said.schedule.backend, "persistent");
  assert.match(said.preview.warnings.join(), /pas ici de session/u);
});

test("a session's id and its hold are checked", async () => {
  const { ask } = open();
  await assert.rejects(ask("POST", "/sessions/..", {}), { code: "invalid" });
  await assert.rejects(ask("POST", "/sessions/session-1234", { holdMs: "long" }), { code: "invalid" });
  await assert.rejects(
    ask("POST", "/sessions/session-1234", { holdMs: 86_400_000 }),
    (error: { data?: { code?: string } }) => error.data?.code === "invalid",
  );
  await assert.rejects(ask("GET", "/sessions/session-1234", {}), { code: "missing" });
});

test("a schedule that trains beside a base keeps what it may spend each time, and an amount that is none is refused", async () => {
  const { ask } = open();
  const weekly = { text: "every Sunday at 3 AM", zone: "Europe/Paris", name: "training", prompt: "" };
  const costMax = { micros: 5_000_000, currency: "EUR" };
  const made = (await ask("POST", "", { ...weekly, action: { type: "learn", lora: { costMax } } })).body as ScheduleView;
  assert.deepEqual(made.action, { type: "learn", deploys: false, lora: { costMax } });
  for (const wrong of [5, { micros: 0, currency: "EUR" }, { micros: 5, currency: "GBP" }])
    await assert.rejects(ask("POST", "", { ...weekly, action: { type: "learn", lora: { costMax: wrong } } }), {
      code: "invalid",
    });
});

test("upkeep is for the machine's cron; where there is none it is refused and nothing is kept", async () => {
  const { ask, list } = open();
  const backup = { text: "every day at 2am", zone: "Europe/Paris", name: "backup", action: { type: "upkeep", script: "backup" } };
  await assert.rejects(ask("POST", "", backup), { code: "unavailable" });
  assert.deepEqual(await list(), []);
  await assert.rejects(ask("POST", "", { ...backup, action: { type: "upkeep", script: "rm -rf /" } }), { code: "invalid" });
});
