/** The app's HTTP actions over real sockets: bodies in both directions while they are being made. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as ask, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { anyApi, type ApiFromModules } from "convex/server";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import type * as notes from "../app/notes.ts";
import { collector, serve, type Served } from "../served.ts";

const api = anyApi as unknown as ApiFromModules<{ notes: typeof notes }>;
let served: Served;
before(async () => {
  const functionsDir = join(import.meta.dirname, "../app");
  const env = { TEST_JWKS: 'data:,{"keys":[]}' };
  served = await serve((dir, origin) => openCore({ dir, functionsDir, env, origin, log: () => undefined }));
});
after(() => served[Symbol.asyncDispose]());

test("an answer goes out while the question still comes in", async () => {
  const outgoing = ask(`${served.url}/http/shout`, { method: "POST" });
  outgoing.write("one ");
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  incoming.setEncoding("utf8");
  const chunks = incoming[Symbol.asyncIterator]();
  assert.equal((await chunks.next()).value, "ONE ");
  outgoing.write("two");
  assert.equal((await chunks.next()).value, "TWO");
  outgoing.end();
  assert.equal((await chunks.next()).done, true);
});

test("who makes a body may ask the deployment meanwhile, and hears when its reader has left", async () => {
  const client = served.client();
  const left = collector<number>();
  client.onUpdate(api.notes.count, { name: "left" }, left.push);
  const leaving = new AbortController();
  const response = await fetch(`${served.url}/http/count`, { signal: leaving.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value).split("\n")[0], "1");
  leaving.abort();
  await left.until((value) => value === 1);
});

test("a body that breaks off is a broken answer, not a short one", async () => {
  const now = await served.httpClient().query(api.notes.count, { name: "counted" });
  const response = await fetch(`${served.url}/http/count?until=${now + 3}`);
  assert.equal(response.status, 200);
  await assert.rejects(response.text());
});

test("a body that nobody reads does not hold up the connection", async () => {
  for (let times = 0; times < 3; times++) {
    const unread = await fetch(`${served.url}/http/unread`, { method: "POST", body: "x".repeat(2_000_000) });
    assert.equal(await unread.text(), "no, thanks");
  }
});

test("pages of other origins get from an HTTP action what it says, and the address it is told is its own", async () => {
  const asked = { Origin: "https://page.test", "Access-Control-Request-Method": "GET" };
  const preflight = await fetch(`${served.url}/http/shared`, { method: "OPTIONS", headers: asked });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), "https://page.test");
  assert.equal(preflight.headers.get("access-control-allow-headers"), "x-word");
  const response = await fetch(`${served.url}/http/shared`, { headers: { Origin: "https://page.test" } });
  assert.equal(response.headers.get("access-control-allow-origin"), "https://page.test");
  assert.equal(await response.text(), `${served.url}/http`);
});
