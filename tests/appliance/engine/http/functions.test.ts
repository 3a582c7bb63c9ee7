import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexError } from "convex/values";
import { makeFunctionReference } from "convex/server";
import { fakeCore, FakeError, type FakeCore } from "../../../fakes/core.ts";
import { toCleanJson } from "../../../../appliance/engine/http/cleanJson.ts";
import { issuer } from "../auth/issuer.ts";
import { adminKey, serve, type Served } from "../served.ts";

const ours = await issuer();

function core(): FakeCore {
  return fakeCore({
    authProviders: [ours.provider],
    functions: {
      "dir/kv:get": { kind: "query", run: (db, { key }) => db.get(String(key)) },
      "dir/kv:who": { kind: "query", run: (db) => db.who() },
      "dir/kv:put": { kind: "mutation", run: (db, { key, value }) => (db.put(String(key), value), value) },
      "dir/kv:fail": {
        kind: "mutation",
        run: () => {
          throw new FakeError({ why: "no" });
        },
      },
      "dir/kv:act": { kind: "action", run: async ({ x }) => x },
    },
  });
}

const get = makeFunctionReference<"query", { key: string }, unknown>("dir/kv:get");
const who = makeFunctionReference<"query", Record<string, never>, string | null>("dir/kv:who");
const put = makeFunctionReference<"mutation", { key: string; value: unknown }, unknown>("dir/kv:put");
const fail = makeFunctionReference<"mutation", Record<string, never>, null>("dir/kv:fail");
const act = makeFunctionReference<"action", { x: number }, number>("dir/kv:act");

function post({ url }: Served, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

test("the HTTP client queries, mutates and acts, and reads what it wrote", async () => {
  await using served = await serve(async () => core());
  const client = served.httpClient();

  assert.equal(await client.query(get, { key: "a" }), null);
  for (let i = 0; i < 20; i++) {
    await client.mutation(put, { key: "a", value: i });
    assert.equal(await client.query(get, { key: "a" }), i);
  }
  assert.equal(await client.action(act, { x: 7 }), 7);
});

test("the HTTP client gets a ConvexError with its data", async () => {
  await using served = await serve(async () => core());

  await assert.rejects(
    served.httpClient().mutation(fail, {}),
    (error) => error instanceof ConvexError && JSON.stringify(error.data) === '{"why":"no"}',
  );
});

test("the HTTP client is who its token says", async () => {
  await using served = await serve(async () => core());
  const client = served.httpClient();
  assert.equal(await client.query(who, {}), null);

  client.setAuth(await ours.mint());
  assert.equal(await client.query(who, {}), "owner");
  client.setAuth("nonsense");
  await assert.rejects(client.query(who, {}), /denied/);
});

test("consistent queries see one time, and say so when they cannot", async () => {
  await using served = await serve(async () => core());
  const client = served.httpClient();
  await client.mutation(put, { key: "a", value: 1 });
  assert.equal(await client.consistentQuery(get, { key: "a" }), 1);

  await served.httpClient().mutation(put, { key: "b", value: 2 });
  assert.equal(await client.consistentQuery(get, { key: "a" }), 1);
  await assert.rejects(client.consistentQuery(get, { key: "b" }), /changed/);
});

test("a query over GET, a batch, and any function by its path", async () => {
  await using served = await serve(async () => core());
  await served.httpClient().mutation(put, { key: "a", value: 1 });
  const value = async (response: Promise<Response>): Promise<unknown> =>
    ((await (await response).json()) as { value: unknown }).value;

  assert.equal(await value(fetch(`${served.url}/api/query?path=dir/kv:get&args=${encodeURIComponent('{"key":"a"}')}`)), 1);
  const batch = await post(served, "/api/query_batch", {
    queries: ["a", "b"].map((key) => ({ path: "dir/kv:get", args: { key }, format: "json" })),
  });
  assert.deepEqual(
    ((await batch.json()) as { results: { value: unknown }[] }).results.map((one) => one.value),
    [1, null],
  );
  assert.equal(await value(post(served, "/api/run/dir/kv/put", { args: { key: "a", value: 3 } })), 3);
  assert.equal(await value(post(served, "/api/run/dir/kv/get", { args: { key: "a" } })), 3);
});

test("/api/function runs any kind, for an admin only", async () => {
  await using served = await serve(async () => core());
  const body = { path: "dir/kv.js:act", args: { x: 5 }, format: "json" };

  assert.equal((await post(served, "/api/function", body)).status, 401);
  const answer = await post(served, "/api/function", { ...body, path: "dir/kv:act" }, { Authorization: `Convex ${adminKey}` });
  assert.deepEqual(await answer.json(), { status: "success", value: 5, logLines: [] });
});

const malformed: readonly [string, string, string | object, number][] = [
  ["no JSON", "/api/query", "{", 400],
  ["a list", "/api/query", "[]", 400],
  ["no path", "/api/query", { args: {} }, 400],
  ["a number for arguments", "/api/query", { path: "a:b", args: 7 }, 400],
  ["two arguments", "/api/mutation", { path: "a:b", args: [{}, {}] }, 400],
  ["an unknown format", "/api/query", { path: "a:b", args: {}, format: "xml" }, 400],
  ["a bad time", "/api/query_at_ts", { path: "a:b", args: {}, ts: "AAA=" }, 400],
  ["a batch that is none", "/api/query_batch", { queries: 1 }, 400],
  ["nothing there", "/api/nothing", {}, 404],
  ["broken escapes", "/api/run/%E0%A4%A", {}, 400],
];
for (const [name, path, body, status] of malformed)
  test(`${name} is answered with ${status} and a code`, async () => {
    await using served = await serve(async () => core());
    const response = await post(served, path, body);

    assert.equal(response.status, status);
    assert.deepEqual(Object.keys((await response.json()) as object), ["code", "message"]);
    assert.deepEqual(served.logged, []);
  });

test("a body larger than allowed is refused before it is read", async () => {
  await using served = await serve(async () => core());
  const response = await post(served, "/api/mutation", `"${"x".repeat(33 * 1024 * 1024)}"`).catch(() => undefined);

  // The server hangs up after its answer; whether the client still reads it is a race that the client may lose.
  if (response) assert.equal(response.status, 413);
  assert.equal(await served.httpClient().query(get, { key: "a" }), null);
});

test("other origins are mirrored when all are welcome, and refused when they are not", async () => {
  const origin = "https://elsewhere.test";
  await using open = await serve(async () => core());
  await using closed = await serve(async () => core(), { allowedOrigins: [] });
  const body = { path: "dir/kv:get", args: { key: "a" } };

  const welcome = await post(open, "/api/query", body, { Origin: origin });
  assert.equal(welcome.headers.get("access-control-allow-origin"), origin);
  const preflight = await fetch(`${open.url}/api/query`, { method: "OPTIONS", headers: { Origin: origin } });
  assert.equal(preflight.status, 204);
  assert.equal((await post(closed, "/api/query", body, { Origin: origin })).status, 403);
  assert.equal((await post(closed, "/api/query", body, { Origin: closed.url })).status, 200);
  assert.equal((await post(closed, "/api/query", body, { Origin: closed.url.replace("127.0.0.1", "localhost") })).status, 200);
});

test("the version is told to whoever asks, and what is not the engine's is left to others", async () => {
  await using served = await serve(async () => core());

  assert.equal((await fetch(`${served.url}/version`)).status, 200);
  assert.equal((await fetch(`${served.url}/instance_name`)).status, 200);
  assert.equal(await (await fetch(`${served.url}/apiary`)).text(), "");
});

test("plain JSON writes integers, bytes and odd numbers as text", () => {
  const long = Buffer.alloc(8);
  long.writeBigInt64LE(-5n);
  const float = Buffer.alloc(8);
  float.writeDoubleLE(Number.POSITIVE_INFINITY);
  const encoded = {
    a: { $integer: long.toString("base64") },
    b: [{ $float: float.toString("base64") }],
    c: { $bytes: "AQI=" },
    d: 1,
  };

  assert.deepEqual(JSON.parse(toCleanJson(JSON.stringify(encoded))), { a: "-5", b: ["Infinity"], c: "AQI=", d: 1 });
});
