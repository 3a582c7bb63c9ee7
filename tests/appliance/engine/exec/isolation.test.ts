import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Commit, ReadRange } from "../../../../appliance/engine/model/commit.ts";
import { admin, openTestCore, requestId, type TestCore } from "../openTestCore.ts";

let shared: TestCore;
before(async () => {
  shared = await openTestCore();
});
after(() => shared[Symbol.asyncDispose]());

test("time stands still within a run and a Date is still a Date", async () => {
  assert.deepEqual(await shared.query("behave:clock"), { isFrozen: true, isDate: true, parts: 2020 });
  assert.equal((await shared.run("behave:clock")).usedTime, true);
  assert.equal((await shared.run("behave:quiet")).usedTime, false);
});

test("dice differ from throw to throw and from run to run", async () => {
  const [first, second] = [await shared.query<number[]>("behave:dice"), await shared.query<number[]>("behave:dice")];
  assert.equal(new Set([...first, ...second]).size, 4);
});

test("the network, timers and code from strings are out of reach", async () => {
  assert.match(
    await shared.refusal("query", "behave:fetches"),
    /Can't use fetch\(\) in queries and mutations\. Please consider using an action/,
  );
  assert.match(await shared.refusal("query", "behave:evals"), /EvalError|Code generation from strings/);
  assert.equal(
    await shared.query("behave:reaches"),
    "require:undefined Buffer:undefined setTimeout:function module:undefined SharedArrayBuffer:undefined",
  );
});

test("functions see the deployment's environment and not the machine's", async () => {
  assert.deepEqual(await shared.query("behave:env"), ["green", "undefined"]);
});

test("bytes and big integers cross the border whole", async () => {
  const data = Buffer.from("abc").toString("base64");
  const big = Buffer.alloc(8, 0xff).toString("base64");
  assert.deepEqual(await shared.query("behave:bytes", { data: { $bytes: data }, big: { $integer: big } }), {
    data: { $bytes: Buffer.from("abc!").toString("base64") },
    big: { $integer: Buffer.alloc(8).toString("base64") },
    text: "186,120",
  });
});

test("what a module remembers does not outlive a run that failed", async () => {
  await using own = await openTestCore();
  await own.refusal("query", "behave:counts", { fail: true });
  assert.equal(await own.query("behave:counts", { fail: false }), 1);
});

test("console lines come back as Convex writes them", async () => {
  const { logLines } = await shared.run("behave:says");
  assert.deepEqual(logLines, ["[LOG] 'hello' { a: 1 } [ 1, 'two' ]", "[ERROR] 'bad'"]);
});

test("a promise that nobody settles fails the run", async () => {
  assert.match(await shared.refusal("query", "behave:never"), /Returned promise will never resolve/);
});

test("a rejection that nobody hears fails the run and undoes it", async () => {
  await using own = await openTestCore();
  assert.match(await own.refusal("mutation", "behave:lost"), /Uncaught Error: nobody waits/);
  assert.deepEqual(await own.query("notes:all"), []);
});

test("a write that nobody awaits still happens", async () => {
  await using own = await openTestCore();
  await own.mutate("behave:unawaited");
  assert.equal((await own.query<unknown[]>("notes:all")).length, 1);
});

test("an endless mutation is ended, and those that waited with it are done", async () => {
  await using own = await openTestCore();
  const endless = own.refusal("mutation", "behave:forever");
  const others = Array.from({ length: 5 }, () => own.mutate("counters:add", { name: "beside" }));
  assert.match(await endless, /timed out/);
  await Promise.all(others);
  assert.equal(await own.query("counters:read", { name: "beside" }), 5);
});

test("of many mutations around an endless one, each is done once, in whatever group it was", async () => {
  await using own = await openTestCore();
  const before = Array.from({ length: 120 }, () => own.mutate<number>("counters:add", { name: "crowd" }));
  const endless = own.refusal("mutation", "behave:forever");
  const after = Array.from({ length: 120 }, () => own.mutate<number>("counters:add", { name: "crowd" }));
  assert.match(await endless, /timed out/);
  const values = await Promise.all([...before, ...after]);
  assert.deepEqual(
    values.toSorted((a, b) => a - b),
    Array.from({ length: 240 }, (_, at) => at + 1),
  );
});

test("an endless query is ended with what it had read, so that it can be asked again when that changes", async () => {
  await shared.mutate("counters:add", { name: "odd" });
  const id = await shared.query<string>("behave:idOf", { name: "odd" });
  const asked = [
    ["behave:spinsWhenOdd", { name: "odd" }, "counters.by_name"],
    ["behave:spinsByIdWhenOdd", { id }, "counters.by_id"],
  ] as const;
  for (const [path, args, index] of asked) {
    const ended = await shared.run(path, args);
    assert.match(ended.result.ok ? "" : ended.result.message, /timed out/);
    assert.ok(ended.isFatal && ended.ts > 0n && ended.ts <= shared.core.ts());
    const touched: string[] = [];
    const stop = shared.core.onCommit(({ writes }) => {
      for (const write of writes) if (ended.reads.some((one) => isIn(one, write))) touched.push(write.index);
    });
    await shared.mutate("counters:add", { name: `another ${index}` });
    assert.deepEqual(touched, []);
    await shared.mutate("counters:add", { name: "odd" });
    stop();
    assert.deepEqual(touched, [index]);
    assert.equal(await shared.query(path, args), (await shared.mutate<number>("counters:add", { name: "odd" })) - 1);
  }
});

function isIn({ index, lower, upper }: ReadRange, write: Commit["writes"][number]): boolean {
  return index === write.index && Buffer.compare(lower, write.key) <= 0 && Buffer.compare(write.key, upper) < 0;
}

test("an endless query is ended, and the others of its batch and of the engine go on", async () => {
  await using own = await openTestCore();
  const request = { args: "{}", identity: admin, requestId, journal: null };
  const [endless, quiet] = await own.core.queries([
    { ...request, path: "behave:foreverQuery" },
    { ...request, path: "behave:quiet" },
  ]);
  assert.equal(endless?.result.ok, false);
  assert.deepEqual(quiet?.result, { ok: true, value: `"no clock"` });
  assert.equal(await own.query("behave:quiet"), "no clock");
});
