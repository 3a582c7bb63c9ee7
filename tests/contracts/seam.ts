import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { DocumentCounts } from "../../convex/model/document.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Outcome } from "../../convex/model/job.ts";
import { defineFunction, type Call, type Ports } from "../../functions/define.ts";
import type { State } from "../../functions/ports/state.ts";
import { startRuntime, type Runtime } from "../../functions/runtime/runtime.ts";
import { addText, only, read, type Lab, type OpenLab } from "./lab.ts";

type Run = (call: Call<"documents.ingest">) => Promise<Outcome>;

/** A job that reports what happens to it and ends when the test says so. */
function puppet() {
  const calls: { call: Call<"documents.ingest">; end: (outcome: Outcome) => void; fail: (error: unknown) => void }[] = [];
  const waiting: (() => void)[] = [];
  const run: Run = (call) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    call.signal.addEventListener("abort", () => reject(call.signal.reason), { once: true });
    calls.push({ call, end: resolve, fail: reject });
    for (const tell of waiting.splice(0)) tell();
    return promise;
  };
  const called = async (count: number) => {
    while (calls.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    return calls[count - 1]!;
  };
  return { run, calls, called };
}

/** Resolves once the documents' counts satisfy the condition: pushed, not polled. */
export function countsWhere(lab: Lab, condition: (counts: DocumentCounts) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const unwatch = lab.owner.watch(
      api.documents.counts,
      {},
      (counts) => {
        if (!condition(counts)) return;
        unwatch();
        resolve();
      },
      reject,
    );
  });
}

/** Not what is cleared away after them. */
const readings = async (lab: Lab): Promise<{ state: string; attempts: number }[]> =>
  (await lab.owner.query(api.jobs.list, {})).filter(({ kind }) => kind === "documents.ingest");

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

type Start = (run: Run, options?: { workerName?: string; slots?: number; state?: State }) => Promise<Runtime>;

/** What control plane and runtime promise together. The jobs are puppets; everything between is real. */
export function seamContract(name: string, open: OpenLab): void {
  const check = (promise: string, body: (lab: Lab, start: Start) => Promise<void>): void => {
    test(`${name}: ${promise}`, async () => {
      const lab = await open();
      const runtimes: Runtime[] = [];
      const start: Start = async (run, { workerName = "w", slots = 2, state = lab } = {}) => {
        const ingest = defineFunction({ kind: "documents.ingest", needs: [], run });
        const forget = defineFunction({ kind: "documents.forget", needs: [], run: async () => ({ type: "done" }) });
        const runtime = startRuntime({
          state,
          ports: {} as Ports,
          functions: [ingest, forget],
          workerName,
          slots,
          log: () => {},
        });
        runtimes.push(runtime);
        await runtime.start();
        return runtime;
      };
      try {
        await body(lab, start);
      } finally {
        await Promise.all(runtimes.map((runtime) => runtime.stop({ graceMs: 0 })));
        await lab.close();
      }
    });
  };

  check("work that comes in is done, without anybody asking for it", async (lab, start) => {
    await start(async () => read);
    for (let i = 0; i < 20; i += 1) await addText(lab, `${i}.txt`, `${i}`);
    await countsWhere(lab, (counts) => counts.ready === 20);
    assert.deepEqual(await lab.owner.query(api.jobs.counts, {}), { ready: 0, leased: 0, done: 20, dead: 0, cancelled: 0 });
  });

  check("no more than its slots run at a time", async (lab, start) => {
    let running = 0;
    let most = 0;
    await start(
      async () => {
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return read;
      },
      { slots: 3 },
    );
    for (let i = 0; i < 12; i += 1) await addText(lab, `${i}.txt`, `${i}`);
    await countsWhere(lab, (counts) => counts.ready === 12);
    assert(most >= 1 && most <= 3, `${most} ran at once`);
  });

  check("two workers never run one job at the same time, and none is run twice", async (lab, start) => {
    const running = new Set<string>();
    const runs: string[] = [];
    const run: Run = async ({ jobId }) => {
      assert(!running.has(jobId), "run twice at the same time");
      running.add(jobId);
      runs.push(jobId);
      await new Promise((resolve) => setImmediate(resolve));
      running.delete(jobId);
      return read;
    };
    await Promise.all([start(run, { workerName: "one", slots: 4 }), start(run, { workerName: "two", slots: 4 })]);
    await Promise.all(Array.from({ length: 30 }, (_, i) => addText(lab, `${i}.txt`, `${i}`)));
    await countsWhere(lab, (counts) => counts.ready === 30);
    assert.equal(runs.length, 30);
    assert.equal(new Set(runs).size, 30);
  });

  check("progress reaches who watches the document", async (lab, start) => {
    const job = puppet();
    await start(job.run);
    const id = await addText(lab, "a.txt", "x");
    const { call, end } = await job.called(1);
    const seen = Promise.withResolvers<void>();
    const unwatch = lab.owner.watch(
      api.documents.get,
      { id },
      (document) => {
        if (document?.progress?.done === 7) seen.resolve();
      },
      seen.reject,
    );
    for (let done = 1; done <= 7; done += 1) call.progress(done, 9);
    await seen.promise;
    unwatch();
    end(read);
    await countsWhere(lab, (counts) => counts.ready === 1);
  });

  check("when a worker is given up its jobs hear of it and nothing they did is recorded", async (lab, start) => {
    const job = puppet();
    await start(job.run);
    const id = await addText(lab, "a.txt", "x");
    const first = await job.called(1);

    // Another of the same name begins: this one is nobody from now on.
    await lab.mutation(internal.workers.hello, { name: "w", slots: 1 });
    await aborted(first.call.signal);
    first.end(read);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.reading, undefined);

    // It comes back under a new number, gets the job again, and that counts.
    const second = await job.called(2);
    assert.equal(second.call.jobId, first.call.jobId);
    second.end(read);
    await countsWhere(lab, (counts) => counts.ready === 1);
  });

  check(
    "a run whose result arrives after its lease was lost is not recorded, even when it ignores its signal",
    async (lab, start) => {
      const late = Promise.withResolvers<Outcome>();
      const begun = Promise.withResolvers<AbortSignal>();
      let runs = 0;
      await start(async ({ signal }) => {
        runs += 1;
        if (runs > 1) return { type: "done", result: { type: "unreadable", problem: "noText" } };
        begun.resolve(signal);
        return late.promise;
      });
      const id = await addText(lab, "a.txt", "x");
      const signal = await begun.promise;
      await lab.mutation(internal.workers.hello, { name: "w", slots: 1 });
      await aborted(signal);
      late.resolve(read);
      await countsWhere(lab, (counts) => counts.unreadable === 1);
      assert.equal((await lab.owner.query(api.documents.get, { id }))?.problem?.problem, "noText");
    },
  );

  check("a job that was claimed by a worker which then vanished is done by its successor", async (lab, start) => {
    await addText(lab, "a.txt", "x");
    const { workerId, epoch } = await lab.mutation(internal.workers.hello, { name: "w", slots: 1 });
    const jobIds = await lab.query(internal.work.head, { limit: 1 });
    const claim = { token: "gone", jobIds };
    assert.equal((await lab.mutation(internal.work.exchange, { workerId, epoch, settle: [], claim })).claimed.length, 1);

    await start(async () => read);
    await countsWhere(lab, (counts) => counts.ready === 1);
    assert.equal(only(await lab.owner.query(api.jobs.list, {})).attempts, 1);
  });

  check("cancelling a running job stops it", async (lab, start) => {
    const job = puppet();
    await start(job.run);
    await addText(lab, "a.txt", "x");
    const { call } = await job.called(1);
    await lab.owner.mutation(api.jobs.cancel, { id: call.jobId as Id<"jobs"> });
    await aborted(call.signal);
    await countsWhere(lab, (counts) => counts.unreadable === 1);
    assert.equal(only(await readings(lab)).state, "cancelled");
  });

  check("forgetting a document while it is read stops the reading, then removes it", async (lab, start) => {
    const job = puppet();
    await start(job.run);
    const id = await addText(lab, "a.txt", "x");
    const { call } = await job.called(1);
    await lab.owner.mutation(api.documents.forget, { id });
    await aborted(call.signal);
    await countsWhere(lab, (counts) => counts.forgetting + counts.reading + counts.waiting === 0);
    assert.equal(await lab.owner.query(api.documents.get, { id }), null);
  });

  check("a failure worth another try is tried again after its wait", async (lab, start) => {
    let runs = 0;
    await start(async ({ attempt }) => {
      runs += 1;
      assert.equal(attempt, runs);
      if (runs === 1) throw new NikaError("unavailable", "The store does not answer.");
      return read;
    });
    await addText(lab, "a.txt", "x");
    await countsWhere(lab, (counts) => counts.ready === 1);
    assert.equal(runs, 2);
  });

  check("a job that puts itself off for no time at all is taken again at once", async (lab, start) => {
    let runs = 0;
    await start(async () => ((runs += 1) < 5 ? { type: "snoozed", delayMs: 0 } : read), { slots: 1 });
    await addText(lab, "a.txt", "x");
    await countsWhere(lab, (counts) => counts.ready === 1);
    assert.equal(runs, 5);
  });

  check("what a function throws by mistake becomes a neutral sentence, and is not tried again", async (lab, start) => {
    await start(async () => {
      throw new TypeError("x is not a function");
    });
    const id = await addText(lab, "a.txt", "x");
    await countsWhere(lab, (counts) => counts.unreadable === 1);
    assert.doesNotMatch((await lab.owner.query(api.documents.get, { id }))?.problem?.message ?? "", /not a function/u);
    assert.equal(only(await readings(lab)).attempts, 1);
  });

  check("one outcome that cannot be recorded does not take the others with it", async (lab, start) => {
    const bad = { type: "done", result: { type: "unreadable", problem: "nonsense" } } as unknown as Outcome;
    const both = puppet();
    await start(both.run);
    await addText(lab, "a.txt", "x");
    await addText(lab, "b.txt", "y");
    const [first, second] = [await both.called(1), await both.called(2)];
    first.end(bad);
    second.end(read);
    await countsWhere(lab, (counts) => counts.ready === 1 && counts.unreadable === 1);
  });

  check("stopping waits for what runs, and what is done is recorded", async (lab, start) => {
    const job = puppet();
    const runtime = await start(job.run);
    await addText(lab, "a.txt", "x");
    const { call, end } = await job.called(1);
    const stopped = runtime.stop({ graceMs: 60_000 });
    await addText(lab, "later.txt", "y");
    end(read);
    await stopped;
    assert.equal(call.signal.aborted, false);
    const counts = await lab.owner.query(api.documents.counts, {});
    assert.deepEqual([counts.ready, counts.waiting], [1, 1]);
    assert.equal(job.calls.length, 1);
  });

  check("what does not finish in the grace of a stop is given back and has cost nothing", async (lab, start) => {
    const job = puppet();
    const runtime = await start(job.run);
    await addText(lab, "a.txt", "x");
    const { call } = await job.called(1);
    await runtime.stop({ graceMs: 0 });
    assert(call.signal.aborted);
    const waiting = only(await lab.owner.query(api.jobs.list, {}));
    assert.deepEqual([waiting.state, waiting.attempts], ["ready", 0]);

    await start(async ({ attempt }) => {
      assert.equal(attempt, 1);
      return read;
    });
    await countsWhere(lab, (counts) => counts.ready === 1);
  });

  check("an answer that gets lost loses no job: the same claim is made again", async (lab, start) => {
    let lost = 0;
    const flaky: State = {
      ...lab,
      async mutation(f, args) {
        const result = await lab.mutation(f, args);
        const claimed = (result as { claimed?: unknown[] } | null)?.claimed ?? [];
        if (claimed.length === 0 || lost > 0) return result;
        lost += 1;
        throw new Error("the connection broke before the answer came");
      },
    };
    let runs = 0;
    await start(
      async () => {
        runs += 1;
        return read;
      },
      { state: flaky },
    );
    await addText(lab, "a.txt", "x");
    await countsWhere(lab, (counts) => counts.ready === 1);
    assert.deepEqual([lost, runs], [1, 1]);
  });

  check("a worker whose beats are not heard stops its jobs by itself before others take them", async (lab, start) => {
    const deaf: State = {
      ...lab,
      async mutation(f, args) {
        if ("running" in args) return new Promise(() => {});
        const result = await lab.mutation(f, args);
        // A short life, so that nobody has to wait for the end of a long one.
        if (result && typeof result === "object" && "ttlMs" in result)
          return { ...(result as object), ttlMs: 60, beatEveryMs: 20 } as never;
        return result;
      },
    };
    const job = puppet();
    await start(job.run, { state: deaf });
    await addText(lab, "a.txt", "x");
    const { call } = await job.called(1);
    await aborted(call.signal);
    assert.equal((await job.called(2)).call.jobId, call.jobId);
  });
}
