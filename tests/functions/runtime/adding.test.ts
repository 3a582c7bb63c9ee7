import assert from "node:assert/strict";
import { test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import { policyOf } from "../../../convex/model/lane.ts";
import type { Outcome } from "../../../convex/model/job.ts";
import { defineFunction, type Call, type Ports } from "../../../functions/define.ts";
import { Desk } from "../../../functions/runtime/desk.ts";
import type { NewWork } from "../../../functions/runtime/outbox.ts";
import { startRuntime, type Runtime } from "../../../functions/runtime/runtime.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const work = (n: number): NewWork => ({ kind: "jobs.check", args: { n }, label: "" });

/** A runtime of one slot a lane more or less, in memory; stopped at the end of the test. */
async function withRuntime(
  run: (call: Call<"jobs.check">) => Promise<Outcome>,
  body: (runtime: Runtime, state: FakeState) => Promise<void>,
): Promise<void> {
  const state = openFakeState();
  const check = defineFunction({ kind: "jobs.check", needs: [], run });
  const runtime = startRuntime({ state, ports: {} as Ports, functions: [check], workerName: "w", slots: 1, log: () => {} });
  await runtime.start();
  try {
    await body(runtime, state);
  } finally {
    await runtime.stop({ graceMs: 0 });
    await state.close();
  }
}

test("all that is added is done once, however much more it is than there are slots", async () => {
  const ran: number[] = [];
  const all = Promise.withResolvers<void>();
  await withRuntime(
    async ({ args: { n } }) => {
      if (ran.push(n) === 200) all.resolve();
      return { type: "done" };
    },
    async (runtime) => {
      const added = await Promise.all(Array.from({ length: 200 }, (_, n) => runtime.add(work(n))));
      assert.equal(new Set(added.map(({ jobId }) => jobId)).size, 200);
      await all.promise;
    },
  );
  assert.deepEqual(
    ran.toSorted((a, b) => a - b),
    Array.from({ length: 200 }, (_, n) => n),
  );
});

test("work that is refused fails for who added it, and for nobody else", async () => {
  const done = Promise.withResolvers<number>();
  await withRuntime(
    async ({ args: { n } }) => {
      done.resolve(n);
      return { type: "done" };
    },
    async (runtime) => {
      const wrong = { ...work(1), lane: "nowhere" } as unknown as NewWork;
      const [bad, good] = await Promise.allSettled([runtime.add(wrong), runtime.add(work(2))]);
      assert.deepEqual([bad.status, good.status], ["rejected", "fulfilled"]);
      assert.equal(await done.promise, 2);
    },
  );
});

test("what is added while the runtime is not started waits for whoever comes", async () => {
  const state = openFakeState();
  const runtime = startRuntime({ state, ports: {} as Ports, functions: [], workerName: "w", slots: 1, log: () => {} });
  await runtime.add(work(1));
  assert.equal((await state.owner.query(api.jobs.counts, {})).ready, 1);
  await runtime.stop({ graceMs: 0 });
  await assert.rejects(runtime.add(work(2)), { code: "unavailable" });
});

test("a run that is out of time is told to stop, and what it says then counts as a failure worth another try", async () => {
  const real = globalThis.setTimeout;
  const { timeLimitMs } = policyOf("jobs.check");
  globalThis.setTimeout = ((callback: () => void, ms?: number) =>
    real(callback, ms === timeLimitMs ? 1 : ms)) as typeof setTimeout;
  try {
    await withRuntime(
      ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve({ type: "done" }), { once: true })),
      async (runtime, state) => {
        const { jobId } = await runtime.add(work(1));
        await new Promise<void>((resolve, reject) => {
          state.owner.watch(
            api.jobs.get,
            { id: jobId },
            (job) => job?.history.some(({ code }) => code === "timeout") && resolve(),
            reject,
          );
        });
      },
    );
  } finally {
    globalThis.setTimeout = real;
  }
});

test("jobs are taken ahead only where runs were short", () => {
  const desk = new Desk(2);
  assert.equal(desk.room(), 2);
  for (let i = 0; i < 40; i += 1) {
    desk.running += 1;
    desk.ended(0.1);
  }
  assert.equal(desk.room(), 130, "as many as are soon over, and no more than a transaction should hold");
  for (let i = 0; i < 40; i += 1) {
    desk.running += 1;
    desk.ended(10);
  }
  assert.ok(desk.room() > 2 && desk.room() < 8, "the longer they take, the fewer");
  desk.running += 1;
  desk.ended(60_000);
  assert.equal(desk.room(), 2, "one long run is enough to become careful");
});
