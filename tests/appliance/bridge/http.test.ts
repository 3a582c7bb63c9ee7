/** The bridge over plain HTTP: who may do what, and waiting without asking again. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import { openFakeState } from "../../fakes/state.ts";
import { openPlace } from "./place.ts";

const state = openFakeState();
const place = await openPlace(state);
after(() => place.close());
const agent = await place.token("felt-agent", "agent", "nexus:felt");
const client = await place.token("claude", "client");
const narrow = await place.token("felt-only", "client", "nexus:felt");
await state.owner.mutation(api.bridge.addTarget, { name: "homelab" });

test("an agent takes, reports and ends; a client hears of it with a place of its own", async () => {
  const sent = await place.post("send", client, { target: "nexus:felt", message: "Build it" });
  assert.equal(sent.status, 200);
  const { id } = sent.body;
  const next = await place.post("next", agent, {});
  assert.deepEqual([(next.body["message"] as { id: string }).id, next.body["open"]], [id, []]);
  for (const verb of ["ack", "start"]) assert.equal((await place.post(verb, agent, { id })).status, 200);
  await place.post("update", agent, { id, content: "half", key: "1" });
  await place.post("update", agent, { id, content: "half", key: "1" });
  assert.equal((await place.post("complete", agent, { id, content: "built" })).body["state"], "complete");
  const pulled = await place.post("pull", client, {});
  const updates = pulled.body["updates"] as { content: string; message_id: string; created_at: string }[];
  assert.deepEqual(
    updates.map(({ content, message_id }) => [content, message_id]),
    [
      ["half", id],
      ["built", id],
    ],
  );
  assert.deepEqual((await place.post("pull", client, {})).body["updates"], []);
  const since = new Date(Date.parse(updates[0]?.created_at ?? "")).toISOString();
  assert.equal(((await place.post("pull", client, { since })).body["updates"] as []).length, 1);
  assert.equal(((await place.post("pull", narrow, {})).body["updates"] as []).length, 2);
});

test("a wait ends as soon as there is something, and empty when there is nothing", async () => {
  assert.deepEqual((await place.post("pull", client, { wait: 0.05 })).body["updates"], []);
  assert.equal((await place.post("next", agent, { wait: 0.05 })).body["message"], null);
  const pulling = place.post("pull", client, { wait: 25 });
  const nexting = place.post("next", agent, { wait: 25 });
  const { body } = await place.post("send", client, { target: "nexus:felt", message: "STOP" });
  const { message } = (await nexting).body as { message: { id: string; urgent: boolean } };
  assert.deepEqual([message.id, message.urgent], [body["id"], true]);
  await place.post("ack", agent, { id: message.id });
  await place.post("complete", agent, { id: message.id });
  assert.deepEqual(
    ((await pulling).body["updates"] as { content: string }[]).map(({ content }) => content),
    ["Done."],
  );
});

for (const [what, verb, token, body, status, code] of [
  ["a client may not speak as an agent", "ack", client, { id: "x" }, 401, "denied"],
  ["an agent may not send", "send", agent, { message: "x" }, 401, "denied"],
  ["a token of one target is good for no other", "send", narrow, { target: "homelab", message: "x" }, 401, "denied"],
  ["a stranger may do nothing", "status", "nkb_stranger_0123456789", {}, 401, "denied"],
  ["only the owner reads as somebody else", "pull", client, { as: "another" }, 401, "denied"],
  ["a message without text is refused", "send", client, { target: "homelab" }, 400, "invalid"],
  ["text that is none is refused", "send", client, { target: "homelab", message: 7 }, 400, "invalid"],
  ["a time that is none is refused", "pull", client, { since: "yesterday" }, 400, "invalid"],
  ["a cursor that is none is refused", "pull", client, { cursor: "'; drop" }, 400, "invalid"],
  ["a wait that is none is refused", "pull", client, { wait: "long" }, 400, "invalid"],
  ["a target that is none is refused", "status", client, { target: "nobody" }, 404, "missing"],
  ["several targets want one named", "send", client, { message: "x" }, 400, "invalid"],
  ["a message that is none is refused", "complete", agent, { id: "' or 1" }, 404, "missing"],
] as const)
  test(what, async () => {
    const answer = await place.post(verb, token, body);
    assert.deepEqual([answer.status, answer.body["code"]], [status, code]);
    assert.match(String(answer.body["message"]), /^["A-Z].*\.$/u);
  });

test("the owner may do everything, and names the target", async () => {
  const { body } = await place.post("send", place.ownerToken, { target: "homelab", message: "Look" });
  assert.equal((await place.post("start", place.ownerToken, { id: body["id"] })).body["state"], "in_progress");
  const status = await place.post("status", place.ownerToken, { target: "homelab" });
  assert.deepEqual(status.body, { pending: 0, in_progress: 1, total_updates: 0, current_task: "Look" });
});

test("a revoked token opens nothing any more", async () => {
  await state.owner.mutation(api.bridgeTokens.revoke, { name: "felt-only" });
  assert.equal((await place.post("status", narrow, {})).status, 401);
});

test("a path beside ours is nothing of ours", async () => {
  for (const path of ["/api/bridge/", "/api/bridge/drop", "/mcp/other"])
    assert.equal((await fetch(`${place.url}${path}`, { method: "POST" })).status, 405);
});

test("a speaker with many calls under way is told to wait, and others are not", async () => {
  const gone = new AbortController();
  const headers = { authorization: `Bearer ${client}`, "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify({ wait: 25 }), signal: gone.signal };
  await place.post("pull", client, {});
  const waits = Array.from({ length: 80 }, () => fetch(`${place.url}/api/bridge/pull`, request));
  const refused = await Promise.any(waits);
  assert.equal(refused.status, 507);
  assert.equal((await place.post("status", agent, {})).status, 200);
  gone.abort();
  await Promise.allSettled(waits);
});
