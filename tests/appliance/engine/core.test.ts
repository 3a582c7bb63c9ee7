import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Commit, ReadRange } from "../../../appliance/engine/model/commit.ts";
import type { QueryRun } from "../../../appliance/engine/model/run.ts";
import { admin, openTestCore, requestId, type TestCore } from "./openTestCore.ts";

type Note = { _id: string; _creationTime: number; text: string; rank: number; tags?: string[] };

let shared: TestCore;
before(async () => {
  shared = await openTestCore();
});
after(() => shared[Symbol.asyncDispose]());

function touches(commit: Commit, reads: readonly ReadRange[]): boolean {
  return commit.writes.some(({ index, key }) =>
    reads.some((range) => range.index === index && Buffer.compare(range.lower, key) <= 0 && Buffer.compare(key, range.upper) < 0),
  );
}

test("the app's functions, providers and routes are found as Convex would find them", () => {
  const { functions, authProviders, httpRoutes } = shared.core.deployment;
  assert.ok(functions.some((one) => one.path === "notes:add" && one.kind === "mutation" && one.visibility === "public"));
  assert.ok(functions.some((one) => one.path === "notes:secret" && one.visibility === "internal"));
  assert.ok(!functions.some((one) => one.path.startsWith("two.dots") || one.path.startsWith("schema")));
  assert.deepEqual(authProviders, [{ domain: "https://issuer.test", applicationID: "app" }]);
  assert.deepEqual(httpRoutes, [
    { path: "/echo", method: "POST" },
    { path: "/deep/*", method: "GET" },
  ]);
});

test("what a mutation wrote is there for the next query, and for its snapshot time", async () => {
  const { core } = shared;
  const args = JSON.stringify({ text: "seen", rank: 3 });
  const { result, ts } = await core.mutation({ path: "notes:add", args, identity: admin, requestId });
  assert.ok(result.ok && ts !== null);
  const { result: read, ts: readTs } = await shared.run("notes:get", { id: JSON.parse(result.value) as string });
  assert.ok(read.ok);
  assert.equal((JSON.parse(read.value) as Note).text, "seen");
  assert.ok(readTs >= ts && core.ts() >= readTs);
});

test("arguments, results and documents are held against their validators", async () => {
  assert.match(
    await shared.refusal("mutation", "notes:add", { text: "no rank" }),
    /ArgumentValidationError: Object is missing the required field `rank`/,
  );
  assert.match(await shared.refusal("mutation", "notes:add", { text: "x", rank: 1, more: 1 }), /contains extra field `more`/);
  assert.match(await shared.refusal("query", "notes:wrongReturn"), /ReturnsValidationError: Value does not match validator/);
  const id = await shared.mutate<string>("notes:add", { text: "strict", rank: 1 });
  assert.match(
    await shared.refusal("mutation", "notes:edit", { id, patch: { rank: "high" } }),
    /in table "notes" because it does not match the schema/,
  );
});

test("a patch merges, removes what is undefined, and cannot touch system fields", async () => {
  const id = await shared.mutate<string>("notes:add", { text: "before", rank: 1 });
  const edited = await shared.mutate<Note>("notes:edit", { id, patch: { text: "after", tags: ["a"] } });
  assert.deepEqual([edited.text, edited.rank, edited.tags], ["after", 1, ["a"]]);
  await shared.mutate("notes:untag", { id });
  assert.equal((await shared.query<Note>("notes:get", { id })).tags, undefined);
  assert.match(
    await shared.refusal("mutation", "notes:edit", { id, patch: { _creationTime: 1 } }),
    /does not match the document's `_creationTime`/,
  );
});

test("a mutation that throws leaves nothing, and its ConvexError reaches the client as data", async () => {
  const { result, ts } = await shared.core.mutation({
    path: "notes:refuse",
    args: `{"text":"gone"}`,
    identity: admin,
    requestId,
  });
  assert.ok(!result.ok && ts === null);
  assert.deepEqual(JSON.parse(result.data ?? ""), { code: "refused", text: "gone" });
  assert.ok(!(await shared.query<Note[]>("notes:all")).some((one) => one.text === "gone"));
});

test("an error tells its request, its class and the place in the app's own file", async () => {
  const message = await shared.refusal("mutation", "notes:crash");
  assert.match(
    message,
    /^\[Request ID: 0123456789abcdef\] Server Error\nUncaught TypeError: kaput\n {4}at .*\.\.\/convex\/notes\.ts:\d+:\d+/,
  );
});

test("a missing and an internal function look the same to a stranger", async () => {
  const ask = async (path: string): Promise<string> => {
    const { result } = (
      await shared.core.queries([{ path, args: "{}", identity: { type: "none" }, requestId, journal: null }])
    )[0] as QueryRun;
    return result.ok ? "" : result.message.replace(path, "X");
  };
  assert.equal(await ask("notes:secret"), await ask("notes:nothing"));
  assert.equal(await shared.query("notes:secret"), 42);
  assert.match(await shared.refusal("query", "notes:add"), /Trying to execute notes:add as Query, but it is defined as Mutation/);
});

test("ranges, orders and filters select what they say", async () => {
  await using own = await openTestCore();
  for (const rank of [5, 1, 4, 2, 3]) await own.mutate("notes:add", { text: `n${rank}`, rank });
  assert.deepEqual(await own.query("notes:between", { from: 2, to: 5 }), [2, 3, 4]);
  assert.deepEqual(await own.query("notes:between", { from: 2, to: 5, desc: true }), [4, 3, 2]);
  assert.equal(await own.query("notes:filtered", { above: 2 }), 3);
  assert.deepEqual(
    (await own.query<Note[]>("notes:all")).map((one) => one.rank),
    [5, 1, 4, 2, 3],
  );
});

test("a loop over a query sees what it writes ahead of itself", async () => {
  await using own = await openTestCore();
  await own.mutate("notes:add", { text: "start", rank: 1 });
  assert.equal(await own.mutate("notes:loopWhileWriting"), 5);
});

test("pages follow each other without gap or overlap, and a re-run with its journal stays a page", async () => {
  await using own = await openTestCore();
  for (let rank = 0; rank < 10; rank++) await own.mutate("notes:add", { text: "p", rank });
  const ask = async (cursor: string | null, journal: string | null): Promise<QueryRun> =>
    (
      await own.core.queries([
        {
          path: "notes:page",
          args: JSON.stringify({ paginationOpts: { numItems: 4, cursor } }),
          identity: admin,
          requestId,
          journal,
        },
      ])
    )[0] as QueryRun;
  const read = (run: QueryRun) => {
    if (!run.result.ok) throw new Error(run.result.message);
    return JSON.parse(run.result.value) as { page: Note[]; isDone: boolean; continueCursor: string };
  };
  const seen: number[] = [];
  let cursor: string | null = null;
  for (let isDone = false; !isDone;) {
    const page = read(await ask(cursor, null));
    seen.push(...page.page.map((one) => one.rank));
    ({ isDone, continueCursor: cursor } = page);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

  const first = await ask(null, null);
  await own.mutate("notes:add", { text: "between", rank: 1.5 });
  const again = read(await ask(null, first.journal));
  assert.deepEqual(
    again.page.map((one) => one.rank),
    [0, 1, 1.5, 2, 3],
  );
  assert.match(
    await own.refusal("query", "notes:page", { paginationOpts: { numItems: 4, cursor: "other.cursor" } }),
    /InvalidCursor/,
  );
});

test("a query depends on what it consumed and on nothing more", async () => {
  await using own = await openTestCore();
  for (let rank = 0; rank < 5; rank++) await own.mutate("notes:add", { text: "r", rank });
  const commits: Commit[] = [];
  own.core.onCommit((commit) => void commits.push(commit));
  const { reads } = await own.run("notes:firstByRank");

  await own.mutate("notes:add", { text: "far", rank: 100 });
  await own.mutate("notes:add", { text: "new first", rank: -1 });
  assert.deepEqual(
    commits.map((commit) => touches(commit, reads)),
    [false, true],
  );
});

test("a missing document is a dependency, and so is an empty table", async () => {
  await using own = await openTestCore();
  const id = await own.mutate<string>("notes:add", { text: "x", rank: 1 });
  await own.mutate("notes:remove", { id });
  const gone = await own.run("notes:get", { id });
  assert.ok(gone.result.ok && gone.result.value === "null");
  assert.deepEqual(
    gone.reads.map((one) => one.index),
    ["notes.by_id"],
  );
  const empty = await own.run("notes:all");
  const commits: Commit[] = [];
  own.core.onCommit((commit) => void commits.push(commit));
  await own.mutate("notes:add", { text: "first", rank: 1 });
  assert.ok(touches(commits[0] as Commit, empty.reads));
});

test("nested mutations share the transaction: a caught failure undoes its own writes only", async () => {
  await using own = await openTestCore();
  assert.deepEqual(await own.mutate("nested:both"), { kept: "inside", caught: "inner", secret: 42 });
  assert.deepEqual(
    (await own.query<Note[]>("notes:all")).map((one) => one.text),
    ["kept"],
  );
});

test("what is asked after a nested run waits for it", async () => {
  await using own = await openTestCore();
  assert.deepEqual(await own.mutate("nested:inOrder"), ["first", "second"]);
});

test("functions nest eight deep and no deeper, and a query never runs a mutation", async () => {
  assert.equal(await shared.mutate("nested:deep", { left: 8 }), 8);
  assert.match(await shared.refusal("mutation", "nested:deep", { left: 9 }), /8 deep at most/);
  assert.match(await shared.refusal("query", "nested:writeFromQuery"), /Trying to execute nested:both as Query/);
});

test("a session's mutation runs once, however often it is sent", async () => {
  await using own = await openTestCore();
  const send = () =>
    own.core.mutation({
      path: "counters:add",
      args: `{"name":"once"}`,
      identity: admin,
      requestId,
      session: { id: "s", requestId: 7 },
    });
  const [first, second] = [await send(), await send()];
  assert.deepEqual(second, first);
  assert.equal(await own.query("counters:read", { name: "once" }), 1);
});

test("a session's failed mutation may be tried again", async () => {
  const session = { id: "failing", requestId: 1 };
  const failed = await shared.core.mutation({ path: "notes:refuse", args: `{"text":"a"}`, identity: admin, requestId, session });
  assert.ok(!failed.result.ok);
  const passed = await shared.core.mutation({
    path: "counters:add",
    args: `{"name":"retry"}`,
    identity: admin,
    requestId,
    session,
  });
  assert.ok(passed.result.ok);
});

test("queries of one call see one snapshot while mutations pour in", async () => {
  await using own = await openTestCore();
  const writes = Array.from({ length: 40 }, () => own.mutate("counters:add", { name: "busy" }));
  const request = { path: "counters:read", args: `{"name":"busy"}`, identity: admin, requestId, journal: null };
  const batches = await Promise.all(Array.from({ length: 10 }, () => own.core.queries([request, request, request])));
  await Promise.all(writes);
  for (const runs of batches)
    assert.equal(new Set(runs.map((one) => `${one.ts} ${one.result.ok ? one.result.value : ""}`)).size, 1);
});

test("a query is answered though a mutation that failed had the last word in its group", async () => {
  await using own = await openTestCore();
  for (let turn = 1; turn <= 20; turn++) {
    const done = own.mutate("counters:add", { name: "group" });
    const failed = Array.from({ length: 3 }, () => own.refusal("mutation", "counters:add", { name: 1 }));
    await Promise.all([done, ...failed]);
    assert.equal(await own.query("counters:read", { name: "group" }), turn);
  }
});

test("identity reaches the function, and only asking for it makes the result personal", async () => {
  const user = { type: "user", attributes: { subject: "ann", issuer: "i", tokenIdentifier: "i|ann" } } as const;
  const { result, usedIdentity } = (
    await shared.core.queries([{ path: "behave:whoami", args: "{}", identity: user, requestId, journal: null }])
  )[0] as QueryRun;
  assert.ok(result.ok && usedIdentity);
  assert.equal((JSON.parse(result.value) as { subject: string }).subject, "ann");
  assert.equal((await shared.run("notes:all")).usedIdentity, false);
  assert.equal(await shared.query("behave:whoami"), null);
});

test("commits come in order of time, before the mutations in them resolve", async () => {
  const seen: bigint[] = [];
  const stop = shared.core.onCommit(({ ts }) => void seen.push(ts));
  const runs = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const run = await shared.core.mutation({ path: "counters:add", args: `{"name":"order"}`, identity: admin, requestId });
      assert.ok(run.ts !== null && seen.includes(run.ts));
      return run.ts;
    }),
  );
  stop();
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => (a < b ? -1 : 1)),
  );
  assert.equal(new Set(runs).size, 20);
});

test("time goes on from what was stored and from what clients have seen", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-core-"));
  let last: bigint;
  {
    await using first = await openTestCore({ dir });
    const ahead = BigInt(Date.now() + 60_000) * 1_000_000n;
    first.core.observe(ahead);
    await first.mutate("counters:add", { name: "a" });
    last = first.core.ts();
    assert.ok(last > ahead);
  }
  await using second = await openTestCore({ dir });
  assert.ok(second.core.ts() > last);
  assert.equal(await second.query("counters:read", { name: "a" }), 1);
  rmSync(dir, { recursive: true, force: true });
});
