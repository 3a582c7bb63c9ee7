import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { RunNote } from "../../../../appliance/engine/model/run.ts";
import { admin, openTestCore, requestId, type TestCore } from "../openTestCore.ts";

const notes: RunNote[] = [];
let shared: TestCore;
before(async () => {
  shared = await openTestCore({ onRun: (note) => notes.push(note) });
});
after(() => shared[Symbol.asyncDispose]());

for (const module of ["act", "actInNode"]) {
  test(`an action of ${module} reads, writes, calls, stores, and knows who asked`, async () => {
    const user = { type: "user", attributes: { subject: "ann" } } as const;
    const args = JSON.stringify({ name: `tour ${module}` });
    const { result, logLines } = await shared.core.action({ path: `${module}:tour`, args, identity: user, requestId });
    assert.ok(result.ok, JSON.stringify(result));
    const { storageId, url, ...rest } = JSON.parse(result.value) as Record<string, unknown> & { storageId: string; url: string };
    assert.deepEqual(rest, { count: 1, read: 1, inner: "worked", text: "some bytes", subject: "ann" });
    assert.match(url, /^http:\/\/127\.0\.0\.1:6452\/api\/storage\/[0-9a-f-]{36}$/);
    assert.deepEqual(logLines, [`[LOG] 'touring' 'tour ${module}'`]);
    assert.equal(await shared.query("files:url", { id: storageId }), url);
  });

  test(`a ConvexError passes through an action of ${module} with its data`, async () => {
    const { result } = await shared.core.action({ path: `${module}:fails`, args: "{}", identity: admin, requestId });
    assert.ok(!result.ok);
    assert.deepEqual(JSON.parse(result.data ?? ""), { seen: "refused" });
  });
}

test("an action that may use Node runs in a process that knows the deployment's variables and nothing of ours", async () => {
  const { result } = await shared.core.action({ path: "actInNode:surroundings", args: "{}", identity: admin, requestId });
  assert.ok(result.ok, JSON.stringify(result));
  const { names, pid, words } = JSON.parse(result.value) as { names: string[]; pid: number; words: string[] };
  assert.notEqual(pid, process.pid);
  assert.deepEqual(words, []);
  const ours = ["COLOUR", "CONVEX_CLOUD_URL", "CONVEX_SITE_URL", "ISSUER", "NODE_COMPILE_CACHE"];
  assert.deepEqual(names, ours);
});

test("an action's arguments are checked before it starts", async () => {
  assert.match(await shared.refusal("action", "act:tour", { name: 1 }), /ArgumentValidationError/);
});

test("an action may schedule", async () => {
  const { result } = await shared.core.action({ path: "act:plans", args: `{"delayMs":0}`, identity: admin, requestId });
  assert.ok(result.ok);
  // On a busy machine one call does not get to all that is due.
  while (((await shared.core.nextDueMs()) ?? Infinity) <= Date.now()) await shared.core.runDue(Date.now() + 1);
  assert.equal(await shared.query("counters:read", { name: "planned" }), 1);
});

test("an HTTP action answers with its own status, headers and body", async () => {
  const request = new Request("http://127.0.0.1:6452/echo", { method: "POST", body: "hello", headers: { "x-word": "oh" } });
  const response = await shared.core.http(request, { path: "/echo", method: "POST" }, { type: "none" });
  assert.deepEqual([response.status, response.headers.get("x-made-by"), await response.text()], [201, "app", "oh hello"]);
});

test("an HTTP action that throws is a 500 that says so", async () => {
  const response = await shared.core.http(
    new Request("http://127.0.0.1:6452/deep/er"),
    { path: "/deep/*", method: "GET" },
    { type: "none" },
  );
  assert.equal(response.status, 500);
  assert.match(((await response.json()) as { trace: string }).trace, /http kaput/);
  // The log says where.
  assert.match(
    notes.find((one) => one.path === "GET /deep/*")?.error ?? "",
    /^Uncaught Error: http kaput\n +at \.\.\/convex\/http\.ts:\d+:\d+/,
  );
});

test("an uploaded file is known by its id and its uuid until it is deleted", async () => {
  const bytes = Buffer.from("uploaded");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  await assert.rejects(shared.core.storeFile({ sha256, sizeBytes: bytes.length, contentType: null }), /upload them again/);
  writeFileSync(shared.core.filePath(sha256), bytes);
  const file = await shared.core.storeFile({ sha256, sizeBytes: bytes.length, contentType: "text/plain" });
  assert.deepEqual(await shared.core.findFile(file.uuid), file);
  const row = await shared.query<{ sha256: string; size: number }>("files:row", { id: file.storageId });
  assert.deepEqual([row.sha256, row.size], [createHash("sha256").update(bytes).digest("base64"), 8]);

  await shared.mutate("files:drop", { id: file.storageId });
  assert.equal(await shared.core.findFile(file.uuid), undefined);
  assert.equal(await shared.query("files:url", { id: file.storageId }), null);
  assert.ok(existsSync(shared.core.filePath(sha256)), "the bytes wait for the sweep");
  assert.match(await shared.refusal("mutation", "files:drop", { id: file.storageId }), /StorageIdNotFound/);
});

test("only permits that the engine made open the upload", async () => {
  const url = new URL(await shared.mutate<string>("files:uploadUrl"));
  const token = url.searchParams.get("token") ?? "";
  assert.equal(url.pathname, "/api/storage/upload");
  assert.ok(shared.core.isUploadToken(token));
  assert.ok(!shared.core.isUploadToken(`9${token}`));
  assert.ok(!shared.core.isUploadToken(""));
});
