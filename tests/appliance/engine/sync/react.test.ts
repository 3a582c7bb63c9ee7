import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexReactClient } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { fakeCore, type FakeFunctions } from "../../../fakes/core.ts";
import { collector, serve } from "../served.ts";

const functions: FakeFunctions = {
  "list:all": { kind: "query", run: (db) => db.list("item/") },
  "list:add": { kind: "mutation", run: (db, { name }) => db.put(`item/${String(name)}`, name) },
  "list:refuse": {
    kind: "mutation",
    run: () => {
      throw new Error("refused");
    },
  },
};
const all = makeFunctionReference<"query", Record<string, never>, string[]>("list:all");
const add = makeFunctionReference<"mutation", { name: string }, null>("list:add");
const refuse = makeFunctionReference<"mutation", { name: string }, null>("list:refuse");

test("a page shows an optimistic update at once, then the truth, and nothing in between", async () => {
  await using served = await serve(async () => fakeCore({ functions }));
  const client = new ConvexReactClient(served.url, { logger: false });
  const shown = collector<string[]>();
  const watch = client.watchQuery(all, {});
  const stop = watch.onUpdate(() => shown.push(watch.localQueryResult() ?? []));
  await shown.until((items) => items.length === 0);
  const before = shown.seen.length;

  const sent = client.mutation(add, { name: "b" }, { optimisticUpdate: (store) => store.setQuery(all, {}, ["b (sending)"]) });
  await sent;
  await assert.rejects(
    client.mutation(refuse, { name: "c" }, { optimisticUpdate: (store) => store.setQuery(all, {}, ["b", "c (sending)"]) }),
    /refused/,
  );

  assert.deepEqual(shown.seen.slice(before), [["b (sending)"], ["b"], ["b", "c (sending)"], ["b"]]);
  stop();
  await client.close();
});
