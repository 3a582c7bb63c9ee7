import assert from "node:assert/strict";
import { test } from "node:test";
import { passReply, passTask, takeReply, takeTask } from "../../../../appliance/engine/exec/brief.ts";
import type { Reply, TaskMessage } from "../../../../appliance/engine/exec/message.ts";

const request = { path: "notes:add", args: '{"n":1}', requestId: "0123456789abcdef" };
const session = { id: "s", requestId: 3 };
const client = { ip: "127.0.0.1", userAgent: null, authToken: "t" };
const mutations = [
  { request: { ...request, identity: { type: "none" }, client }, session },
  { request: { ...request, identity: { type: "admin" }, client }, session },
  { request: { ...request, identity: { type: "user", attributes: { subject: "u" } }, client }, session },
  { request: { ...request, identity: { type: "none" }, client } },
  { request: { ...request, identity: { type: "none" } }, session },
  { request: { ...request, identity: { type: "none" }, client, caller: "Action", scheduledId: "j" }, session },
] as const;
const tasks: readonly TaskMessage[] = [
  ...mutations.map((one, id) => ({ id, origin: "http://here", task: { type: "mutation", ...one } }) as const),
  { id: 9, origin: "http://here", task: { type: "sweep" } },
];
const replies: readonly Reply[] = [
  { type: "mutation", result: { ok: true, value: "null" }, ts: 5n, logLines: [], ms: 0.2 },
  { type: "mutation", result: { ok: true, value: "null" }, ts: 5n, logLines: ["[LOG] 'a'"], ms: 0.2 },
  { type: "mutation", result: { ok: true, value: "null" }, ts: 5n, logLines: [] },
  { type: "mutation", result: { ok: false, message: "no", data: "1" }, ts: null, logLines: [], ms: 0.2 },
  { type: "done" },
];

test("what is put briefly arrives as it was, and so does the rest", () => {
  for (const task of tasks) assert.deepEqual(takeTask(structuredClone(passTask(task))), task);
  for (const reply of replies) assert.deepEqual(takeReply(structuredClone(passReply({ id: 7, reply }))), { id: 7, reply });
});
