import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Served } from "../served.ts";
import { api, opened } from "./served.ts";

let shared: Served;
before(async () => {
  shared = await opened();
  const client = shared.httpClient();
  for (const [text, shelf, embedding] of [
    ["east", "a", [1, 0, 0]],
    ["north", "a", [0, 2, 0]],
    ["north-east", "b", [3, 3, 0]],
    ["up", "c", [0, 0, 0.5]],
    ["down", "c", [0, 0, -1]],
  ] as const)
    ids.set(await client.mutation(api.articles.add, { text, shelf, embedding: [...embedding] }), text);
  await client.mutation(api.articles.add, { text: "without", shelf: "a" });
});
after(() => shared[Symbol.asyncDispose]());
const ids = new Map<string, string>();

test("an action finds the nearest by cosine, exactly and in order", async () => {
  const found = await shared.httpClient().action(api.articles.near, { vector: [2, 0, 0] });
  assert.deepEqual(
    found.slice(0, 2).map(({ id }) => ids.get(id)),
    ["east", "north-east"],
  );
  assert.equal(found[0]?.score, 1);
  assert.ok(Math.abs((found[1]?.score ?? 0) - Math.SQRT1_2) < 1e-7);
  assert.equal(found.length, 5);
});

test("filters are one or several values of a field, and the limit holds", async () => {
  const client = shared.httpClient();
  const near = async (shelves: string[], limit?: number) =>
    (await client.action(api.articles.near, { vector: [0, 0, 1], shelves, ...(limit ? { limit } : {}) })).map(({ id }) =>
      ids.get(id),
    );
  assert.deepEqual(await near(["c"]), ["up", "down"]);
  assert.deepEqual(new Set(await near(["b", "c"])), new Set(["down", "north-east", "up"]));
  assert.deepEqual(await near(["b", "c"], 1), ["up"]);
  assert.deepEqual(await near(["none"]), []);
});

test("a question of another length is refused, and so is a limit of none or over 256; such a document is kept and not found", async () => {
  const client = shared.httpClient();
  await assert.rejects(client.action(api.articles.near, { vector: [1, 2] }), /Expected a vector with dimensions 3, received 2\./);
  await client.mutation(api.articles.add, { text: "long", shelf: "misfits", embedding: [1, 2, 3, 4] });
  assert.deepEqual(await client.action(api.articles.near, { vector: [1, 2, 3], shelves: ["misfits"] }), []);
  await assert.rejects(client.action(api.articles.near, { vector: [1, 2, 3], limit: 257 }), /limit between 1 and 256/);
});

test("a vector goes with its document", async () => {
  const client = shared.httpClient();
  const id = await client.mutation(api.articles.add, { text: "brief", shelf: "brief", embedding: [1, 1, 1] });
  const near = () => client.action(api.articles.near, { vector: [1, 1, 1], shelves: ["brief", "moved"] });
  assert.equal((await near()).length, 1);
  await client.mutation(api.articles.change, { id, fields: { shelf: "moved" } });
  assert.equal((await near()).length, 1);
  await client.mutation(api.articles.remove, { id });
  assert.equal((await near()).length, 0);
});
