/** The bridge's queue. What the first bridge got wrong is kept here as it should be. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { advance, fromCursor, hashOf, isUrgentText, keptMs, toCursor, toInstant } from "../../convex/model/bridge.ts";
import { only } from "../contracts/lab.ts";
import { openFakeState, type FakeState } from "../fakes/state.ts";

const start = Date.UTC(2026, 2, 30, 1);
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
});
after(() => mock.timers.reset());

async function open(...targets: string[]): Promise<FakeState> {
  const state = openFakeState();
  for (const name of targets.length === 0 ? ["homelab"] : targets) await state.owner.mutation(api.bridge.addTarget, { name });
  return state;
}
const send = (state: FakeState, text: string, target?: string) =>
  state.mutation(internal.bridge.deliver, { text, from: "claude", ...(target !== undefined && { target }) });
const pull = async (
  state: FakeState,
  more: { consumer?: string; target?: string; cursor?: string; sinceAt?: number; limit?: number } = {},
) => state.mutation(internal.bridge.pull, { consumer: "claude", ...more });
type Say = {
  verb: "ack" | "start" | "update" | "complete" | "error";
  messageId?: string;
  target?: string;
  text?: string;
  key?: string;
};
const say = (state: FakeState, said: Say) => state.mutation(internal.bridge.say, said);
const texts = (pulled: { updates: readonly { text: string }[] }): string[] => pulled.updates.map(({ text }) => text);
const hasCode = (code: string) => (error: { data?: { code?: string } }) => error.data?.code === code;

test("the same message waits only once for its target, however it was typed, and again once it has ended", async () => {
  const state = await open("homelab", "nexus:felt");
  const first = await send(state, "Répare le DNS\r\nvite", "homelab");
  assert(first.queued);
  const again = await send(state, "  Re\u0301pare le DNS\nvite ", "HomeLab");
  assert.deepEqual(again, { queued: false, reason: "duplicate", id: first.id, target: "homelab" });
  assert.equal((await send(state, "Répare le DNS\nvite", "nexus:felt")).queued, true, "each target has its own queue");
  for (const verb of ["ack", "start"] as const) {
    await say(state, { verb, messageId: first.id });
    assert.equal((await send(state, "Répare le DNS\nvite", "homelab")).queued, false, verb);
  }
  await say(state, { verb: "complete", messageId: first.id });
  assert.equal((await send(state, "Répare le DNS\nvite", "homelab")).queued, true);
});

test("a pull without a time gives only what is new to that consumer", async () => {
  const state = await open();
  const { id } = await send(state, "Look");
  await say(state, { verb: "update", messageId: id, text: "one" });
  assert.deepEqual(texts(await pull(state)), ["one"]);
  assert.deepEqual(texts(await pull(state)), []);
  await say(state, { verb: "update", messageId: id, text: "two" });
  assert.deepEqual(texts(await pull(state, { consumer: "phone" })), ["one", "two"], "another consumer has its own place");
  assert.deepEqual(texts(await pull(state)), ["two"]);
});

test("the cursor of an answer that arrived gives again what was lost after it", async () => {
  const state = await open("a", "b");
  await say(state, { verb: "update", target: "a", text: "a1" });
  const { cursor } = await pull(state);
  mock.timers.tick(10);
  await say(state, { verb: "update", target: "a", text: "a2" });
  mock.timers.tick(10);
  await say(state, { verb: "update", target: "b", text: "b1" });
  assert.deepEqual(texts(await pull(state, { limit: 1 })), ["a2"]);
  assert.deepEqual(texts(await pull(state, { cursor })), ["a2", "b1"]);
  assert.deepEqual(texts(await pull(state)), []);
});

test("a pull that is full says that there is more, and leaves nothing out", async () => {
  const state = await open("a", "b");
  for (let i = 0; i < 5; i++) await say(state, { verb: "update", target: i % 2 === 0 ? "a" : "b", text: String(i) });
  const first = await pull(state, { limit: 3 });
  assert.deepEqual([texts(first), first.isMore], [["0", "1", "2"], true]);
  const rest = await pull(state, { limit: 3 });
  assert.deepEqual([texts(rest), rest.isMore], [["3", "4"], false]);
});

test("times are compared as instants, with a zone or without, and no two updates of a target share one", async () => {
  const state = await open();
  await say(state, { verb: "update", target: "homelab", text: "one" });
  await say(state, { verb: "update", target: "homelab", text: "two" });
  mock.timers.setTime(start - 3_600_000); // The machine's clock is set back.
  await say(state, { verb: "update", target: "homelab", text: "three" });
  const { updates } = await pull(state);
  assert.deepEqual(
    updates.map(({ createdAt, seq }) => [createdAt - start, seq]),
    [
      [0, 1],
      [1, 2],
      [2, 3],
    ],
  );
  assert.deepEqual(texts(await pull(state, { sinceAt: toInstant("2026-03-30T01:00:00") })), ["two", "three"]);
  assert.deepEqual(texts(await pull(state, { sinceAt: toInstant("2026-03-30T03:00:00.001+02:00") })), ["three"]);
  assert.equal(toInstant("2026-03-30T01:00:00Z"), toInstant("2026-03-30 03:00:00+0200"));
  assert.equal(toInstant("2026-03-30"), toInstant("2026-03-30T00:00:00.000Z"));
  for (const text of ["yesterday", "2026-13-01", "1743296400", ""]) assert.throws(() => toInstant(text), { code: "invalid" });
});

test("an update belongs to the message it names, not to what happens to be in progress", async () => {
  const state = await open();
  const first = await send(state, "First");
  const second = await send(state, "Second");
  await say(state, { verb: "start", messageId: first.id });
  await say(state, { verb: "update", messageId: second.id, text: "about the second" });
  await say(state, { verb: "update", target: "homelab", text: "about none" });
  const { updates } = await pull(state);
  assert.deepEqual(
    updates.map(({ messageId }) => messageId),
    [second.id, undefined],
  );
});

test("an agent may repeat itself: nothing moves twice, nothing is said twice, and what has ended stays ended", async () => {
  const state = await open();
  const { id: messageId } = await send(state, "Work");
  const states = async (verb: Say["verb"], more: Partial<Say> = {}) => (await say(state, { verb, messageId, ...more })).state;
  assert.equal(await states("ack"), "acknowledged");
  assert.equal(await states("ack"), "acknowledged");
  assert.equal(await states("start"), "in_progress");
  assert.equal(await states("ack"), "in_progress");
  await states("update", { text: "half", key: "k1" });
  await states("update", { text: "half", key: "k1" });
  assert.equal(await states("complete", { text: "all" }), "complete");
  assert.equal(await states("complete", { text: "all" }), "complete");
  await assert.rejects(states("error"), hasCode("conflict"));
  await assert.rejects(states("update", { text: "late" }), hasCode("conflict"));
  assert.deepEqual(texts(await pull(state)), ["half", "all"]);
  const target = only(await state.owner.query(api.bridge.targets, {}));
  assert.deepEqual(target.counts, { pending: 0, acknowledged: 0, in_progress: 0, complete: 1, error: 0 });
});

test("every verb in every state either moves a message on, leaves it, or is refused", () => {
  const table = (["pending", "acknowledged", "in_progress", "complete", "error"] as const).map((state) =>
    (["ack", "start", "update", "complete", "error"] as const).map((verb) => {
      try {
        return advance(state, verb);
      } catch {
        return "refused";
      }
    }),
  );
  assert.deepEqual(table, [
    ["acknowledged", "in_progress", "acknowledged", "complete", "error"],
    ["acknowledged", "in_progress", "acknowledged", "complete", "error"],
    ["in_progress", "in_progress", "in_progress", "complete", "error"],
    ["complete", "refused", "refused", "complete", "refused"],
    ["error", "refused", "refused", "refused", "error"],
  ]);
});

test("urgent messages go first, the agent hears of them with every answer, and what it took on is told anew", async () => {
  const state = await open();
  const one = await send(state, "One");
  const two = await send(state, "Two");
  await say(state, { verb: "start", messageId: one.id });
  const next = async (isUrgentOnly = false) => state.query(internal.bridge.next, { target: "homelab", isUrgentOnly });
  assert.equal((await next()).message?.id, two.id);
  assert.equal((await next(true)).message, null);
  const stop = await send(state, "STOP the migration");
  assert.equal((await next()).message?.id, stop.id);
  assert.equal((await next(true)).message?.id, stop.id);
  assert.equal((await say(state, { verb: "update", messageId: one.id, text: "half" })).urgent, 1);
  assert.deepEqual(
    (await next()).open.map(({ id }) => id),
    [one.id],
  );
  for (const text of ["URGENT: disk full", "stop", "Arrête tout", "Emergency!", "‼ halte"]) assert(isUrgentText(text), text);
  for (const text of ["Stopwatch app", "Do not stop", "urgently wanted"]) assert(!isUrgentText(text), text);
});

test("the queue's state is told for one target and over all of them, in the same shape", async () => {
  const state = await open("a", "b");
  const status = (target?: string) => state.query(internal.bridge.queueStatus, target === undefined ? {} : { target });
  assert.deepEqual(await status(), { pending: 0, in_progress: 0, total_updates: 0, current_task: null });
  const { id } = await send(state, "Fix it", "a");
  await send(state, "Later", "a");
  await send(state, "Other", "b");
  await say(state, { verb: "start", messageId: id });
  await say(state, { verb: "update", messageId: id, text: "step" });
  assert.deepEqual(await status("a"), { pending: 1, in_progress: 1, total_updates: 1, current_task: "Fix it" });
  assert.deepEqual(await status("b"), { pending: 1, in_progress: 0, total_updates: 0, current_task: null });
  assert.deepEqual(await status(), { pending: 2, in_progress: 1, total_updates: 1, current_task: "Fix it" });
});

test("an agent sees and moves only its own target's messages", async () => {
  const state = await open("a", "b");
  const { id: messageId } = await send(state, "For a", "a");
  await assert.rejects(say(state, { verb: "ack", messageId, target: "b" }), hasCode("missing"));
  await assert.rejects(say(state, { verb: "ack", messageId: "nonsense", target: "a" }), hasCode("missing"));
  assert.equal((await say(state, { verb: "ack", messageId, target: "a" })).state, "acknowledged");
});

test("a target is named when there are several, and one that does not exist is said to be none", async () => {
  const state = await open("a", "b");
  await assert.rejects(send(state, "Hello"), hasCode("invalid"));
  await assert.rejects(send(state, "Hello", "c"), hasCode("missing"));
  await assert.rejects(send(state, " \n", "a"), hasCode("invalid"));
  await assert.rejects(state.owner.mutation(api.bridge.addTarget, { name: "no spaces" }), hasCode("invalid"));
});

test("a token opens what its hash names until it is revoked, and is listed without it", async () => {
  const state = await open();
  const hash = "ab".repeat(32);
  await state.owner.mutation(api.bridgeTokens.add, { name: "agent on mgmt", role: "agent", target: "nexus:felt", hash });
  assert.equal((await state.query(internal.bridgeTokens.authorize, { hash }))?.target, "nexus:felt");
  assert.equal(await state.query(internal.bridgeTokens.authorize, { hash: "cd".repeat(32) }), null);
  assert.deepEqual(Object.keys(only(await state.owner.query(api.bridgeTokens.list, {}))).toSorted(), [
    "createdAt",
    "name",
    "role",
    "target",
  ]);
  const again = { name: "agent on mgmt", role: "client" as const, hash: "ef".repeat(32) };
  await assert.rejects(state.owner.mutation(api.bridgeTokens.add, again), hasCode("conflict"));
  await state.owner.mutation(api.bridgeTokens.revoke, { name: "agent on mgmt" });
  assert.equal(await state.query(internal.bridgeTokens.authorize, { hash }), null);
  await assert.rejects(state.owner.mutation(api.bridgeTokens.add, { name: "x", role: "agent", hash }), hasCode("invalid"));
});

test("nobody but the owner reads or changes the bridge from outside", async () => {
  const state = await open();
  for (const stranger of [state.as("guest"), state.as(undefined)]) {
    await assert.rejects(stranger.query(api.bridge.messages, {}), hasCode("denied"));
    await assert.rejects(stranger.query(api.bridgeTokens.list, {}), hasCode("denied"));
    await assert.rejects(stranger.mutation(api.bridge.send, { target: "homelab", text: "x" }), hasCode("denied"));
    await assert.rejects(stranger.query(api.telegram.status, {}), hasCode("denied"));
  }
});

test("a removed target leaves nothing behind, tokens included", async () => {
  const state = await open("a", "b");
  await send(state, "One", "a");
  await send(state, "Other", "b");
  await say(state, { verb: "update", target: "a", text: "x" });
  await pull(state);
  await state.owner.mutation(api.bridgeTokens.add, { name: "t", role: "client", target: "a", hash: "ab".repeat(32) });
  await state.owner.mutation(api.bridge.removeTarget, { name: "a" });
  const left = await state.run(async (ctx) => ({
    messages: (await ctx.db.query("bridgeMessages").collect()).map(({ target }) => target),
    updates: await ctx.db.query("bridgeUpdates").collect(),
    cursors: await ctx.db.query("bridgeCursors").collect(),
    tokens: await ctx.db.query("bridgeTokens").collect(),
  }));
  assert.deepEqual(left, { messages: ["b"], updates: [], cursors: [], tokens: [] });
  await state.owner.mutation(api.bridge.addTarget, { name: "a" });
  await say(state, { verb: "update", target: "a", text: "anew" });
  assert.deepEqual(texts(await pull(state)), ["anew"]);
});

test("what ended long ago is swept away and not counted any more; what is open stays", async () => {
  const state = await open();
  const { id } = await send(state, "Old");
  await send(state, "Open");
  await say(state, { verb: "complete", messageId: id, text: "done" });
  mock.timers.setTime(start + keptMs + 60_000);
  await state.mutation(internal.upkeep.sweep, {});
  assert.deepEqual(
    (await state.owner.query(api.bridge.messages, {})).map(({ text }) => text),
    ["Open"],
  );
  const target = only(await state.owner.query(api.bridge.targets, {}));
  assert.deepEqual([target.counts.complete, target.counts.pending, target.updates], [0, 1, 0]);
  await say(state, { verb: "update", target: "homelab", text: "new" });
  assert.equal(only((await pull(state)).updates).seq, 2, "numbers are not used again");
});

test("cursors travel as text and come back as they were; anything else is refused", () => {
  const seen = { homelab: 3, "nexus:felt": 0 };
  assert.deepEqual(fromCursor(toCursor(seen)), seen);
  assert.deepEqual(fromCursor(""), {});
  for (const cursor of ["homelab", "homelab=-1", "a=1;b=2", "=1"]) assert.throws(() => fromCursor(cursor), { code: "invalid" });
});

test("the hash is the SHA-256 of target and normalised text", async () => {
  assert.equal(await hashOf("homelab", "e\u0301\r\n"), await hashOf("homelab", "\u00e9"));
  assert.notEqual(await hashOf("homelab", "a"), await hashOf("nexus", "a"));
  // echo -ne 'homelab\na' | sha256sum
  assert.equal(await hashOf("homelab", "a"), "530a86718aaf670937c62bdd534d259697b4731eecad63fbd6928f5f7863e57f");
});
