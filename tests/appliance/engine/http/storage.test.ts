import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { sweepUploads } from "../../../../appliance/engine/http/upload.ts";
import { parseRange } from "../../../../appliance/engine/http/range.ts";
import type { Core } from "../../../../appliance/engine/core.ts";
import { fakeCore } from "../../../fakes/core.ts";
import { serve, type Served } from "../served.ts";

const open = async (dir: string): Promise<Core> => fakeCore({ functions: {}, dir });

async function upload(served: Served, body: Buffer | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${served.url}/api/storage/upload?token=permit`, { method: "POST", body: new Blob([body]), headers });
}

/** The address of a file; the fake's storage ids lead to it. */
async function stored(served: Served, body: Buffer | string, contentType = "text/plain"): Promise<string> {
  const core = cores.get(served) as Core;
  const { storageId } = (await (await upload(served, body, { "Content-Type": contentType })).json()) as { storageId: string };
  return `${served.url}/api/storage/${(await core.findFile(storageId))?.uuid}`;
}
const cores = new WeakMap<Served, Core>();
async function started(): Promise<Served> {
  const made: Core[] = [];
  const served = await serve(async (dir) => {
    const core = await open(dir);
    made.push(core);
    return core;
  });
  cores.set(served, made[0] as Core);
  return served;
}

test("bytes that were uploaded come back, whole and in parts", async () => {
  await using served = await started();
  const bytes = randomBytes(300_000);
  const url = await stored(served, bytes, "application/pdf");

  const whole = await fetch(url);
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), bytes);
  assert.equal(whole.headers.get("content-type"), "application/pdf");
  assert.equal(whole.headers.get("digest"), `sha-256=${createHash("sha256").update(bytes).digest("base64")}`);
  const part = await fetch(url, { headers: { Range: "bytes=100-199" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), "bytes 100-199/300000");
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(100, 200));
  const tail = await fetch(url, { headers: { Range: "bytes=-10" } });
  assert.deepEqual(Buffer.from(await tail.arrayBuffer()), bytes.subarray(-10));
  const beyond = await fetch(url, { headers: { Range: "bytes=300000-" } });
  assert.deepEqual([beyond.status, beyond.headers.get("content-range")], [416, "bytes */300000"]);
  const head = await fetch(url, { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, "300000"]);
  const known = await fetch(url, { headers: { "If-None-Match": whole.headers.get("etag") ?? "" } });
  assert.equal(known.status, 304);
});

test("the embedding program is told where the bytes behind an address lie, and of no others", async () => {
  await using served = await started();
  const url = await stored(served, "the keys of the mill");

  const found = await served.engine.findFile(url.slice(url.lastIndexOf("/") + 1));
  assert.deepEqual([found?.sizeBytes, found && (await readFile(found.path, "utf8"))], [20, "the keys of the mill"]);
  assert.equal(await served.engine.findFile("00000000-0000-4000-8000-000000000000"), undefined);
});

test("what the embedding program keeps is a file like any other, and half of it is none", async () => {
  await using served = await started();
  const id = await served.engine.keepFile([Buffer.from("the keys "), Buffer.from("of the mill")], { contentType: "text/plain" });
  const kept = await (cores.get(served) as Core).findFile(id);
  const answer = await fetch(`${served.url}/api/storage/${kept?.uuid}`);
  assert.deepEqual([answer.headers.get("content-type"), await answer.text()], ["text/plain", "the keys of the mill"]);

  const broken = (async function* () {
    yield Buffer.from("half");
    throw new RangeError("the source is gone");
  })();
  await assert.rejects(served.engine.keepFile(broken), { message: "the source is gone" });
  assert.deepEqual(await readdir(join(served.dir, "uploads")), []);
});

test("an empty file is a file", async () => {
  await using served = await started();
  const response = await fetch(await stored(served, ""));

  assert.deepEqual([response.status, await response.text()], [200, ""]);
});

test("a stored page cannot run as a page of the appliance", async () => {
  await using served = await started();
  const { headers } = await fetch(await stored(served, "<script>alert(1)</script>", "text/html"));

  assert.match(headers.get("content-security-policy") ?? "", /^sandbox;/);
  assert.equal(headers.get("content-disposition"), "attachment");
  assert.equal(headers.get("x-content-type-options"), "nosniff");
});

test("a wrong permit, a wrong digest and a wrong address are refused and leave nothing behind", async () => {
  await using served = await started();

  assert.equal((await fetch(`${served.url}/api/storage/upload?token=no`, { method: "POST", body: "x" })).status, 401);
  assert.equal((await fetch(`${served.url}/api/storage/upload`, { method: "GET" })).status, 405);
  const wrong = createHash("sha256").update("other").digest("base64");
  assert.equal((await upload(served, "x", { Digest: `sha-256=${wrong}` })).status, 400);
  assert.equal((await fetch(`${served.url}/api/storage/..%2fsecret`)).status, 400);
  assert.equal((await fetch(`${served.url}/api/storage/00000000-0000-4000-8000-000000000000`)).status, 404);
  assert.deepEqual(await readdir(join(served.dir, "uploads")), []);
});

test("an upload that breaks off leaves no file behind", async () => {
  await using served = await started();
  const uploads = join(served.dir, "uploads");
  const request = httpRequest(`${served.url}/api/storage/upload?token=permit`, {
    method: "POST",
    headers: { "Content-Length": 1_000_000 },
  });
  request.on("error", () => undefined);
  request.write(randomBytes(100_000));
  while ((await readdir(uploads)).length === 0) await new Promise((resolve) => setImmediate(resolve));
  request.destroy();
  while ((await readdir(uploads)).length > 0) await new Promise((resolve) => setImmediate(resolve));

  assert.deepEqual((await readdir(served.dir)).toSorted(), ["uploads"]);
});

test("what an earlier process left half-done is swept away", async () => {
  await using served = await started();
  const uploads = join(served.dir, "uploads");
  await writeFile(join(uploads, "half"), "half");

  await sweepUploads(uploads);

  assert.deepEqual(await readdir(uploads), []);
});

const ranges: readonly [string | undefined, number, ReturnType<typeof parseRange>][] = [
  [undefined, 10, { type: "whole" }],
  ["bytes=0-", 10, { type: "part", first: 0, last: 9 }],
  ["bytes=3-5", 10, { type: "part", first: 3, last: 5 }],
  ["bytes=3-99", 10, { type: "part", first: 3, last: 9 }],
  ["bytes=-3", 10, { type: "part", first: 7, last: 9 }],
  ["bytes=-99", 10, { type: "part", first: 0, last: 9 }],
  ["bytes=-0", 10, { type: "unsatisfiable" }],
  ["bytes=10-", 10, { type: "unsatisfiable" }],
  ["bytes=0-1,3-4", 10, { type: "unsatisfiable" }],
  ["bytes=5-3", 10, { type: "whole" }],
  ["bytes=x-3", 10, { type: "whole" }],
  ["lines=1-3", 10, { type: "whole" }],
  ["bytes=0-", 0, { type: "unsatisfiable" }],
];
for (const [header, size, wanted] of ranges)
  test(`Range ${header ?? "absent"} of ${size} bytes is ${JSON.stringify(wanted)}`, () => {
    assert.deepEqual(parseRange(header, size), wanted);
  });
