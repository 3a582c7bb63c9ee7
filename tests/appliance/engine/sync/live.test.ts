import assert from "node:assert/strict";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { WebSocket } from "ws";
import { fakeCore, type FakeFunctions } from "../../../fakes/core.ts";
import { collector, serve } from "../served.ts";

const functions: FakeFunctions = {
  "notes:list": { kind: "query", run: (db) => db.list("note/") },
  "notes:get": { kind: "query", run: (db, { id }) => db.get(`note/${String(id)}`) },
  "notes:put": {
    kind: "mutation",
    run: (db, { id, text }) => {
      db.put(`note/${String(id)}`, text);
      return id;
    },
  },
  "counter:get": { kind: "query", run: (db) => db.get("counter") ?? 0 },
  "counter:add": {
    kind: "mutation",
    run: (db) => {
      const next = Number(db.get("counter") ?? 0) + 1;
      db.put("counter", next);
      return next;
    },
  },
};
const list = makeFunctionReference<"query", Record<string, never>, string[]>("notes:list");
const get = makeFunctionReference<"query", { id: string }, string | null>("notes:get");
const put = makeFunctionReference<"mutation", { id: string; text: string }, string>("notes:put");
const count = makeFunctionReference<"query", Record<string, never>, number>("counter:get");
const add = makeFunctionReference<"mutation", Record<string, never>, number>("counter:add");

test("a subscriber sees what another client wrote", async () => {
  await using served = await serve(async () => fakeCore({ functions }));
  const seen = collector<string[]>();
  served.client().onUpdate(list, {}, seen.push);
  await seen.until((notes) => notes.length === 0);

  await served.client().mutation(put, { id: "a", text: "hello" });

  assert.deepEqual(await seen.until((notes) => notes.length === 1), ["hello"]);
});

test("a write re-runs the one query of a hundred that read it, once, however many watch it", async () => {
  const core = fakeCore({ functions });
  await using served = await serve(async () => core);
  const clients = [served.client(), served.client(), served.client()];
  const changed = collector<string | null>();
  const ready: Promise<unknown>[] = [];
  for (const client of clients)
    for (let i = 0; i < 100; i++) {
      const seen = collector<string | null>();
      client.onUpdate(get, { id: String(i) }, (value) => (seen.push(value), i === 42 && changed.push(value)));
      ready.push(seen.until((value) => value === null));
    }
  await Promise.all(ready);
  assert.equal(core.ran.length, 100);

  await clients[0]?.mutation(put, { id: "42", text: "touched" });
  await changed.until(() => changed.seen.filter((value) => value === "touched").length === 3);

  assert.equal(core.ran.length, 101);
});

test("a client's own mutation resolves after its subscription shows it", async () => {
  await using served = await serve(async () => fakeCore({ functions }));
  const client = served.client();
  const seen = collector<number>();
  client.onUpdate(count, {}, seen.push);
  await seen.until((value) => value === 0);

  for (let i = 1; i <= 20; i++) {
    await client.mutation(add, {});
    assert.equal(seen.seen.at(-1), i);
  }
});

test("sockets cut right after sending lose no mutation and double none", async () => {
  await using served = await serve(async () => fakeCore({ functions }));
  const client = served.client();
  const seen = collector<number>();
  client.onUpdate(count, {}, seen.push);
  await seen.until((value) => value === 0);

  const done: Promise<number>[] = [];
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 5; i++) done.push(client.mutation(add, {}));
    await new Promise((resolve) => setImmediate(resolve));
    for (const socket of served.sockets) socket.destroy();
    await Promise.all(done);
  }

  assert.deepEqual(
    await Promise.all(done),
    Array.from({ length: 10 }, (_, i) => i + 1),
  );
  await seen.until((value) => value === 10);
});

test("a page of a foreign origin cannot open a socket where origins are listed, and programs can", async () => {
  await using served = await serve(async () => fakeCore({ functions }), { allowedOrigins: ["https://nika.test"] });
  const status = (origin: string): Promise<number> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${served.url.replace("http", "ws")}/api/sync`, { origin });
      socket.on("open", () => (socket.terminate(), resolve(101)));
      socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
      socket.on("error", () => undefined);
    });

  assert.deepEqual(
    [await status("https://evil.test"), await status("https://nika.test"), await status(served.url)],
    [403, 101, 101],
  );
  assert.equal(await served.client().mutation(add, {}), 1);
});
