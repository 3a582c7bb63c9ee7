import assert from "node:assert/strict";
import { test } from "node:test";
import type { Core } from "../../../../appliance/engine/core.ts";
import type { Commit } from "../../../../appliance/engine/model/commit.ts";
import { openLiveQueries } from "../../../../appliance/engine/subscriptions/liveQueries.ts";
import { fakeCore, type FakeCore } from "../../../fakes/core.ts";

const nobody = { type: "none" } as const;
const question = (path: string, args: object = {}) => ({ path, args: JSON.stringify(args), journal: null, identity: nobody });
const ignore = (): void => undefined;

function core(): FakeCore {
  return fakeCore({
    functions: {
      "q:get": { kind: "query", run: (db, { key }) => db.get(String(key)) },
      "q:list": { kind: "query", run: (db) => db.list("") },
      "q:now": { kind: "query", run: (db) => db.now() },
      "q:put": { kind: "mutation", run: (db, { key, value }) => db.put(String(key), value) },
    },
  });
}

function opened(made: Core, clock = { ms: 0 }) {
  return openLiveQueries({ core: made, uptimeMs: () => clock.ms, requestId: () => "0" });
}

async function put(made: Core, key: string, value: unknown): Promise<void> {
  await made.mutation({ path: "q:put", args: JSON.stringify({ key, value }), identity: nobody, requestId: "0" });
}

test("askers of the same share one run, also while it is still on its way", async () => {
  const made = core();
  const queries = opened(made);
  const release = made.holdQueries();
  const answers = Promise.all([queries.ask(question("q:list")), queries.ask(question("q:list"))]);
  release();
  await answers;
  await queries.ask(question("q:list"));

  assert.equal(made.ran.length, 1);
});

test("an answer is never older than its question", async () => {
  const made = core();
  const queries = opened(made);
  const release = made.holdQueries();
  const before = queries.ask(question("q:get", { key: "k" }));
  await new Promise((resolve) => setImmediate(resolve));
  await put(made, "k", "new");
  const after = queries.ask(question("q:get", { key: "k" }));
  release();

  assert.deepEqual((await before).run.result, { ok: true, value: "null" });
  assert.deepEqual((await after).run.result, { ok: true, value: '"new"' });
});

test("a result from ahead of the news waits for the news", async () => {
  const made = core();
  const news: Commit[] = [];
  const listeners = new Set<(commit: Commit) => void>();
  made.onCommit((commit) => news.push(commit));
  const queries = opened({
    ...made,
    onCommit: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const old = queries.open(question("q:get", { key: "k" }), ignore);
  await queries.refresh([old]);
  await put(made, "k", "new");
  let isAnswered = false;
  const other = queries.ask(question("q:list")).then((result) => {
    isAnswered = true;
    return result;
  });
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([isAnswered, old.isTrue()], [false, true]);

  for (const commit of news) for (const listener of listeners) listener(commit);

  assert.equal((await other).sinceTs, queries.publishedTs());
  assert.equal(old.isTrue(), false);
});

test("a result that looked at the clock is not given to newcomers for long, and stays with who has it", async () => {
  const made = core();
  const clock = { ms: 0 };
  const queries = opened(made, clock);
  const first = queries.open(question("q:now"), ignore);
  await queries.refresh([first]);
  clock.ms = 16_000;
  await queries.ask(question("q:now"));
  assert.equal(made.ran.length, 1);

  clock.ms = 18_000;
  await queries.ask(question("q:now"));

  assert.equal(made.ran.length, 2);
  assert.ok(first.isTrue());
});

test("results that nobody watches are kept for the next, and not without bound", async () => {
  const made = core();
  const queries = opened(made);
  for (let i = 0; i < 11_000; i++) await queries.ask(question("q:get", { key: `k${i}` }));
  assert.equal(queries.stats().computations, 10_240);

  await queries.ask(question("q:get", { key: "k10999" }));
  // The oldest that is left, so that the next one is forgotten instead of it.
  await queries.ask(question("q:get", { key: `k${11_000 - 10_240}` }));
  assert.equal(made.ran.length, 11_000);
  await queries.ask(question("q:get", { key: "another" }));
  await queries.ask(question("q:get", { key: `k${11_000 - 10_240}` }));
  assert.equal(made.ran.length, 11_001);
  await put(made, "k10999", 1);
  assert.equal(queries.stats().computations, 10_239);
});

test("what was true at a time is known while it is remembered", async () => {
  const made = core();
  const queries = opened(made);
  await put(made, "a", 1);
  const before = queries.publishedTs();
  await put(made, "b", 1);

  const [a, b] = [await queries.ask(question("q:get", { key: "a" })), await queries.ask(question("q:get", { key: "b" }))];

  assert.deepEqual([queries.wasTrueAt(a, before), queries.wasTrueAt(b, before)], [true, false]);
  assert.ok(queries.wasTrueAt(b, queries.publishedTs()));
  assert.ok(!queries.wasTrueAt(a, 1n));
});

test("a query that took its thread down is asked again when what it read changes, not before, and not more often than it may", async () => {
  const made = core();
  const clock = { ms: 0 };
  let isDown = true;
  const queries = opened(
    {
      ...made,
      queries: async (requests) => {
        const runs = await made.queries(requests);
        const result = { ok: false as const, message: "timed out" };
        return isDown ? runs.map((run) => ({ ...run, isFatal: true as const, result })) : runs;
      },
    },
    clock,
  );
  let staleCount = 0;
  const one = queries.open(question("q:get", { key: "k" }), () => void staleCount++);
  await queries.refresh([one]);

  clock.ms += 10_000;
  for (const key of ["a", "b", "c"]) await put(made, key, 1);
  assert.deepEqual([staleCount, made.ran.length, one.isTrue()], [0, 1, true], "what else is written does not concern it");
  await queries.ask(question("q:get", { key: "k" }));
  assert.equal(made.ran.length, 2, "who asks anew after the rest is not put off with the old error");
  await put(made, "k", 1);
  assert.equal(staleCount, 1);
  await queries.refresh([one]);

  await put(made, "k", 2);
  assert.deepEqual([staleCount, one.isTrue()], [1, true], "it rests");
  isDown = false;
  clock.ms += 10_000;
  await put(made, "a", 2);
  assert.equal(staleCount, 2, "and is asked again once it has rested");
  await queries.refresh([one]);
  assert.deepEqual(one.result()?.run.result, { ok: true, value: "2" });
});

test("a query of which nobody knows what it read is asked again after the next commit, and not more often than it may", async () => {
  const made = core();
  const clock = { ms: 0 };
  let isDown = true;
  const queries = opened(
    {
      ...made,
      queries: async (requests) => {
        const runs = await made.queries(requests);
        return isDown
          ? runs.map((run) => ({
              ...run,
              ts: 0n,
              reads: [],
              isFatal: true as const,
              result: { ok: false as const, message: "timed out" },
            }))
          : runs;
      },
    },
    clock,
  );
  let staleCount = 0;
  const one = queries.open(question("q:get", { key: "k" }), () => void staleCount++);
  await queries.refresh([one]);
  assert.equal(one.result()?.run.result.ok, false);

  isDown = false;
  await put(made, "k", 1);
  assert.deepEqual([staleCount, one.isTrue()], [0, true], "it rests");
  clock.ms += 10_000;
  await put(made, "k", 2);
  assert.equal(staleCount, 1);
  await queries.refresh([one]);

  assert.deepEqual(one.result()?.run.result, { ok: true, value: "2" });
});
