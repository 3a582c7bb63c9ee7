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
    [used.documentsRead, used.documentsWritten, used.databaseQueries.used, used.hasBytes],
    [{ used: 2, remaining: 31_998 }, { used: 1, remaining: 15_999 }, 1, true],
  );
  const request = await client.mutation(api.meta.request, {});
  assert.match(request.requestId, /^[0-9a-f]{16}$/);
  assert.equal(request.scheduledFunctionId, null);
  const { ts, name, type } = await client.query(api.meta.moment, {});
  assert.deepEqual([name, type], ["meta:moment", "query"]);
  assert.ok(ts > BigInt(Date.now() - 3_600_000) * 1_000_000n);
});
