/** What functions may ask about themselves, and files inside mutations, through the official client. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { anyApi, type ApiFromModules } from "convex/server";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { serve, type Served } from "../served.ts";
import type * as meta from "./app/meta.ts";

const api = anyApi as unknown as ApiFromModules<{ meta: typeof meta }>;
let served: Served;
before(async () => {
  const functionsDir = join(import.meta.dirname, "app");
  served = await serve((dir, origin) => openCore({ dir, functionsDir, env: {}, origin, log: () => undefined }));
});
after(() => served[Symbol.asyncDispose]());

test("a mutation stores bytes and reads them back, and they are there for everybody afterwards", async () => {
  const client = served.httpClient();
  const { id, ...seen } = await client.mutation(api.meta.store, { text: "grüße" });
  assert.deepEqual(seen, { text: "grüße", type: "text/plain", size: 7, part: "r\uFFFD" });
  const url = await client.query(api.meta.url, { id });
  const response = await fetch(url ?? "");
  assert.deepEqual([await response.text(), response.headers.get("content-type")], ["grüße", "text/plain"]);
});

test("what a failed mutation stored is nobody's", async () => {
  const client = served.httpClient();
  let id: string | undefined;
  await assert.rejects(client.mutation(api.meta.store, { text: "gone", fail: true }), (error: Error) => {
    id = /stored (\w+)/.exec(error.message)?.[1];
    return true;
  });
  assert.equal(await client.query(api.meta.url, { id: id as never }), null);
});

test("a function knows what it has used, what it is called, and when it is", async () => {
  const client = served.httpClient();
  const used = await client.mutation(api.meta.metrics, {});
  assert.deepEqual(
    [used.documentsRead, used.documentsWritten, used.databaseQueries.used],
    // Three documents, of which two are one and the same: a range each for it and for the query.
    [{ used: 3, remaining: 31_997 }, { used: 1, remaining: 15_999 }, 2],
  );
  // An object, and for each field its name, one, and its value: a number has 9, text 2 and its length.
  const size = 2 + (3 + 1 + 2 + 32) + (13 + 1 + 9) + (4 + 1 + 9);
  assert.deepEqual(used.bytes, [3 * size, size]);
  assert.deepEqual(await client.mutation(api.meta.fileMetrics, {}), [1, 5, 1, 5]);
  const request = await client.mutation(api.meta.request, {});
  assert.match(request.requestId, /^[0-9a-f]{16}$/);
  assert.equal(request.scheduledFunctionId, null);
  assert.equal(request.authToken, null);
  const { ts, name, type } = await client.query(api.meta.moment, {});
  assert.deepEqual([name, type], ["meta:moment", "query"]);
  assert.ok(ts > BigInt(Date.now() - 3_600_000) * 1_000_000n);
});

test("a function learns of the request that called it, and so do those that it calls; a scheduled one has none", async () => {
  const seen = await served.httpClient().action(api.meta.requestOfAction, {});
  assert.deepEqual([seen.own.ip, seen.own.userAgent], ["127.0.0.1", "node"]);
  assert.deepEqual(seen.nested, seen.own);
  const client = served.client();
  const overSocket = await client.mutation(api.meta.request, {});
  assert.equal(overSocket.ip, "127.0.0.1");
  const id = await client.mutation(api.meta.scheduleRequest, {});
  const scheduled = await new Promise((resolve) => {
    client.onUpdate(api.meta.requests, {}, ([found]) => {
      if (found) resolve([found.ip, found.userAgent, found.scheduledFunctionId]);
    });
  });
  assert.deepEqual(scheduled, [null, null, id]);
});

test("a query on a stale snapshot sees nothing of what its mutation has written", async () => {
  const client = served.httpClient();
  const before = (await client.query(api.meta.requests, {})).length;
  await assert.rejects(client.mutation(api.meta.stale, {}), (error: { data?: unknown }) => {
    assert.deepEqual(error.data, { fresh: [before + 1, true], old: [before, true] });
    return true;
  });
});
