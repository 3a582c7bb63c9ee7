/** What is remembered of how searches are used: only with the owner's leave, and gone when he says so. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { openFakeState, type FakeState } from "../fakes/state.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 4, 1) });
});
after(() => mock.timers.reset());

const shown = [
  { documentId: "a", ordinal: 0 },
  { documentId: "b", ordinal: 2 },
];
const ask = (state: FakeState, key: string) =>
  state.mutation(internal.uses.record, { key, session: "visit 1", question: `question ${key}`, shown });
const react = (state: FakeState, key: string, type: "opened" | "cited" | "liked" | "disliked", passage = shown[0]!) =>
  state.owner.mutation(api.uses.react, { key, type, ...passage });
const uses = async (state: FakeState) =>
  (await state.query(internal.uses.page, { paginationOpts: { cursor: null, numItems: 100 } })).uses;
const counts = async (state: FakeState) => {
  const { questions, reactions } = await state.owner.query(api.uses.get, {});
  return [questions, reactions];
};

test("nothing is remembered before the owner says of which documents, and nothing after he takes it back", async () => {
  const state = openFakeState();
  await ask(state, "1");
  await react(state, "1", "cited");
  assert.deepEqual(await uses(state), []);
  await assert.rejects(state.owner.mutation(api.uses.allow, { scopes: ["everything"] }), /no scope/);
  await state.owner.mutation(api.uses.allow, { scopes: ["private", "private"] });
  assert.deepEqual((await state.owner.query(api.uses.get, {})).scopes, ["private"]);
  await ask(state, "2");
  await state.owner.mutation(api.uses.allow, { scopes: [] });
  await ask(state, "3");
  assert.deepEqual(
    (await uses(state)).map(({ key }) => key),
    ["2"],
  );
});

test("what was done counts once, with passages that were shown, and the last word of two that contradict", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  await ask(state, "1");
  await ask(state, "1");
  await react(state, "1", "opened");
  await react(state, "1", "opened");
  await react(state, "1", "liked", shown[1]);
  await react(state, "1", "disliked", shown[1]);
  await react(state, "1", "cited", { documentId: "never shown", ordinal: 0 });
  await react(state, "no such key", "cited");
  const [use] = await uses(state);
  assert.deepEqual(
    use!.reactions.map(({ type, documentId }) => `${type} ${documentId}`),
    ["opened a", "disliked b"],
  );
  assert.deepEqual(await counts(state), [1, 2]);
});

test("it goes with a document that answered, by the owner's word, and with age", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  for (const key of ["1", "2", "3"]) await ask(state, key);
  await react(state, "1", "cited");
  await react(state, "2", "cited", shown[1]);
  await state.mutation(internal.uses.forget, { documentId: "a" });
  assert.deepEqual(
    (await uses(state)).map(({ key }) => key),
    ["2", "3"],
  );
  assert.deepEqual(await counts(state), [2, 1]);
  mock.timers.setTime(Date.UTC(2029, 0, 1));
  await ask(state, "4");
  await state.mutation(internal.upkeep.sweep, {});
  assert.deepEqual(
    (await uses(state)).map(({ key }) => key),
    ["4"],
  );
  await state.mutation(internal.uses.eraseSome, {});
  assert.deepEqual(await counts(state), [0, 0]);
});
