/** A function as a durable job: its answer, its log, its tries and its crashes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Outcome } from "../../../convex/model/job.ts";
import { toManifest } from "../../../convex/model/userFunction.ts";
import type { Ports } from "../../../functions/define.ts";
import { callFunction } from "../../../functions/functions/call.ts";
import { invokeFunction } from "../../../functions/functions/invoke.ts";
import type { UserCall, UserFunctions, UserReply } from "../../../functions/ports/userFunctions.ts";
import { runCall } from "../../../functions/runtime/call.ts";
import { startRuntime } from "../../../functions/runtime/runtime.ts";
import { joinWorker, only } from "../../contracts/lab.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const facts = { version: "1", isBare: false, tookMs: 3 };
const done = (output: unknown): UserReply => ({ type: "done", output: JSON.stringify(output), facts });
const failure = (retry: boolean): UserReply => ({ type: "failed", code: "invalid", message: "Error: no", retry, facts });

async function openLab(answer: (call: UserCall) => UserReply | Promise<UserReply>): Promise<{ state: FakeState; ports: Ports }> {
  const state = openFakeState();
  const manifest = toManifest("sum", { attempts: 3 }, ["index.ts"]);
  const report = { name: "sum", state: "serving" as const, sourceVersion: "1", version: "1", isBare: false, manifest };
  await state.mutation(internal.functions.report, { functions: [report], isAll: true });
  const userFunctions: UserFunctions = { call: async (call) => answer(call), attemptsMax: () => 3 };
  const files = {
    read: async (url: string) =>
      Buffer.from(await (await state.run(async (ctx) => ctx.storage.get(url as Id<"_storage">)))!.text()),
    write: async (_url: string, bytes: Uint8Array) => state.upload(Buffer.from(bytes).toString("utf8")),
  };
  const ports = { state, files, userFunctions, clock: { now: () => Date.now() } } as unknown as Ports;
  return { state, ports };
}

const ask = async (state: FakeState, input: unknown = null): Promise<Id<"invocations">> =>
  (await state.owner.mutation(api.functions.invoke, { name: "sum", input: JSON.stringify(input) })).id;

type Claimed = { readonly jobId: Id<"jobs">; readonly attempt: number; readonly token: string };
async function run({ ports }: { ports: Ports }, id: Id<"invocations">, job: Claimed): Promise<Outcome> {
  const call = { jobId: job.jobId, args: { invocationId: id }, attempt: job.attempt, signal: new AbortController().signal };
  return invokeFunction.run({ ...call, progress: () => {} }, ports);
}
const ended = (state: FakeState, id: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = state.owner.watch(
      api.functions.invocation,
      { id },
      (one) => {
        if (one?.state === "open") return;
        queueMicrotask(() => stop());
        resolve();
      },
      reject,
    );
  });

test("a run keeps what it was given, what it said and what came of it", async () => {
  const lab = await openLab((call) => {
    call.onLog("one\n");
    call.onLog("two\n");
    return done({ n: (JSON.parse(call.input) as number) + 1 });
  });
  const id = await ask(lab.state, 41);
  const worker = await joinWorker(lab.state);
  const job = only(await worker.claim());
  assert(await worker.settle(job, await run(lab, id, job)));
  const kept = await lab.state.owner.query(api.functions.invocation, { id });
  assert.deepEqual([kept?.state, kept?.input, kept?.output, kept?.log], ["done", "41", '{"n":42}', "one\ntwo\n"]);
  assert.deepEqual(kept?.facts, facts);
});

test("a worker that died in the middle leaves no second outcome: the next try's answer counts, once", async () => {
  let tries = 0;
  const lab = await openLab((call) => {
    call.onLog(`try ${call.about.attempt}\n`);
    return done((tries += 1));
  });
  const id = await ask(lab.state);
  const dead = await joinWorker(lab.state, "w");
  const lost = only(await dead.claim());
  const late = await run(lab, id, lost);
  // The same name starts again, as after kill -9: what the one before held is free.
  const worker = await joinWorker(lab.state, "w");
  const job = only(await worker.claim());
  assert.equal(job.jobId, lost.jobId);
  assert.equal(await dead.settle(lost, late), false);
  assert.equal((await lab.state.owner.query(api.functions.invocation, { id }))?.state, "open");
  assert(await worker.settle(job, await run(lab, id, job)));
  const kept = await lab.state.owner.query(api.functions.invocation, { id });
  assert.deepEqual([kept?.state, kept?.output], ["done", "2"]);
  assert.equal(await dead.settle(lost, late), false);
  assert.equal((await lab.state.owner.query(api.functions.get, { name: "sum" }))?.done, 1);
});

test("a run that fails is tried again as often as its manifest says, and each try has its own log", async () => {
  const lab = await openLab((call) => {
    call.onLog(`try ${call.about.attempt}\n`);
    return failure(true);
  });
  const id = await ask(lab.state);
  const worker = await joinWorker(lab.state);
  const { jobId } = only(await worker.claim());
  for (const attempt of [1, 2]) {
    const outcome = await run(lab, id, { jobId, attempt, token: "" });
    assert(outcome.type === "failed" && outcome.retry);
  }
  const last = await run(lab, id, { jobId, attempt: 3, token: "" });
  assert(last.type === "failed" && !last.retry);
  assert.equal((await lab.state.owner.query(api.functions.invocation, { id }))?.log, "try 3\n");
});

test("a function that says so is not tried again, and its failure is told", async () => {
  const lab = await openLab(() => failure(false));
  const runtime = startRuntime({
    state: lab.state,
    ports: lab.ports,
    functions: [invokeFunction],
    workerName: "w",
    slots: 2,
    log: () => {},
  });
  await runtime.start();
  const id = await ask(lab.state);
  await ended(lab.state, id);
  await runtime.stop({ graceMs: 1_000 });
  const kept = await lab.state.owner.query(api.functions.invocation, { id });
  assert.deepEqual([kept?.state, kept?.attempt, kept?.error?.message], ["failed", 1, "Error: no"]);
  const event = only(await lab.state.owner.query(api.events.list, {}));
  assert.deepEqual([event.type, event.name], ["functionFailed", "sum"]);
  assert.equal((await lab.state.owner.query(api.functions.get, { name: "sum" }))?.lastError, "Error: no");
});

test("an answer that is too long for its row is kept as a file, and goes with the run", async () => {
  const lab = await openLab(() => done("x".repeat(50_000)));
  const id = await ask(lab.state);
  const worker = await joinWorker(lab.state);
  const job = only(await worker.claim());
  assert(await worker.settle(job, await run(lab, id, job)));
  const kept = await lab.state.owner.query(api.functions.invocation, { id });
  assert.deepEqual([kept?.output, typeof kept?.outputUrl], [undefined, "string"]);
  await lab.state.mutation(internal.functions.report, { functions: [], isAll: true });
  assert.equal(await lab.state.run(async (ctx) => (await ctx.db.system.query("_storage").collect()).length), 0);
});

test("a flood of words costs a bounded log, which says how much is missing", async () => {
  const lab = await openLab((call) => {
    for (let i = 0; i < 10_000; i++) call.onLog(`${"y".repeat(99)}\n`);
    return done(1);
  });
  const id = await ask(lab.state);
  const worker = await joinWorker(lab.state);
  await run(lab, id, only(await worker.claim()));
  const kept = await lab.state.owner.query(api.functions.invocation, { id });
  assert.equal(kept?.log.length, 16_000);
  assert((kept?.logDropped ?? 0) > 0);
});

test("no more runs at a time than the manifest allows, over all workers", async () => {
  const lab = await openLab(() => done(1));
  for (let i = 0; i < 5; i++) await ask(lab.state, i);
  const worker = await joinWorker(lab.state);
  assert.equal((await worker.claim()).length, 2);
});

test("who waits gets the answer at once, and the run is recorded after it", async () => {
  const lab = await openLab(async (call) => {
    call.onLog("hm\n");
    return done(call.about.trigger);
  });
  const signal = new AbortController().signal;
  const args = { name: "sum", input: "1", trigger: "agent" as const };
  const answer = await runCall(callFunction, { args, ports: lab.ports, signal });
  assert.deepEqual([answer.ok, answer.output, answer.log], [true, '"agent"', "hm\n"]);
  await new Promise<void>((resolve, reject) => {
    const stop = lab.state.owner.watch(
      api.functions.invocations,
      { name: "sum" },
      ([run]) => {
        if (!run) return;
        queueMicrotask(() => stop());
        assert.deepEqual([run.trigger, run.state], ["agent", "done"]);
        resolve();
      },
      reject,
    );
  });
});

test("nobody but the owner sees, calls or allows a function", async () => {
  const { state } = await openLab(() => done(1));
  for (const stranger of [state.as(undefined), state.as("somebody")]) {
    await assert.rejects(stranger.query(api.functions.list, {}), /denied|owner/);
    await assert.rejects(stranger.query(api.functions.invocations, {}), /denied|owner/);
    await assert.rejects(stranger.mutation(api.functions.invoke, { name: "sum" }), /denied|owner/);
    await assert.rejects(stranger.mutation(api.functions.allow, { name: "sum", isBare: true }), /denied|owner/);
  }
});
