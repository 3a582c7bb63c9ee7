import assert from "node:assert/strict";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { ConvexError } from "convex/values";
import { openState } from "../../appliance/state.ts";
import { fakeCore, FakeError } from "../fakes/core.ts";
import { serve } from "./engine/served.ts";

const functions = {
  "notes:add": { kind: "mutation", run: (db, { key, text }) => (db.put(String(key), text), text) },
  "notes:get": { kind: "query", run: (db, { key }) => db.get(String(key)) ?? null },
  "notes:refuse": {
    kind: "query",
    run: () => {
      throw new FakeError({ code: "invalid", message: "no" });
    },
  },
  "notes:add2": {
    kind: "mutation",
    run: () => {
      throw new FakeError({ code: "conflict", message: "not now" });
    },
  },
} satisfies Parameters<typeof fakeCore>[0]["functions"];
const add = makeFunctionReference<"mutation">("notes:add");
const add2 = makeFunctionReference<"mutation">("notes:add2");
const get = makeFunctionReference<"query">("notes:get");
const refuse = makeFunctionReference<"query">("notes:refuse");
const absent = makeFunctionReference<"query">("notes:absent");

test("with the engine in this process, calls need no socket, and each sees what was written before it", async () => {
  await using served = await serve(async (dir) => fakeCore({ functions, dir }));
  // Nothing listens there.
  const state = openState({ url: "http://127.0.0.1:1", adminKey: "none", near: served.engine });
  try {
    for (let round = 0; round < 20; round += 1) {
      const text = { round, big: 12n, when: new Uint8Array([round]).buffer };
      assert.deepEqual(await state.mutation(add, { key: "a", text }), text);
      assert.deepEqual(await state.query(get, { key: "a" }), text);
    }
    assert.equal(await state.query(get, { key: "nothing" }), null);
  } finally {
    await state.close();
  }
});

test("what a function refuses is told with its data, whether it reads or writes", async () => {
  await using served = await serve(async (dir) => fakeCore({ functions, dir }));
  const state = openState({ url: "http://127.0.0.1:1", adminKey: "none", near: served.engine });
  const told = (code: string) => (error: unknown) =>
    error instanceof ConvexError && (error.data as { code: string }).code === code;
  try {
    await assert.rejects(state.query(refuse, {}), told("invalid"));
    await assert.rejects(state.mutation(add2, {}), told("conflict"));
    await assert.rejects(state.query(absent, {}), Error);
  } finally {
    await state.close();
  }
});
