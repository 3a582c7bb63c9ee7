/** Owners and workers in random order: whatever happens, rows agree with each other and every document ends as it should. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Outcome } from "../../convex/model/job.ts";
import { addText, joinWorker, read, type Worker } from "../contracts/lab.ts";
import { openFakeState, type FakeState } from "../fakes/state.ts";

after(() => mock.timers.reset());

type Holding = { worker: Worker; job: { jobId: Id<"jobs">; token: string; kind: string } };

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`nothing is lost, doubled or stuck in random order ${seed}`, async () => {
    mock.timers.reset();
    mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 10, 21) });
    const state = openFakeState();
    const random = lcg(seed);
    const workers = [await joinWorker(state, "0"), await joinWorker(state, "1"), await joinWorker(state, "2")];
    let held: Holding[] = [];

    for (let step = 0; step < 150; step += 1) {
      const at = random(workers.length);
      const worker = workers[at]!;
      switch (random(9)) {
        case 0:
        case 1:
          await addText(state, `${random(5)}.txt`, `${random(12)}`);
          break;
        case 2:
        case 3:
          for (const job of await worker.claim(1 + random(3))) held.push({ worker, job });
          break;
        case 4:
        case 5:
          held = await settleOne(held, random);
          break;
        case 6: // It dies and comes back; what it held it may still report, in vain.
          workers[at] = await joinWorker(state, `${at}`);
          break;
        case 7:
          await bother(state, random);
          break;
        case 8:
          mock.timers.tick(random(30_000));
          await state.mutation(internal.workers.check, {});
          for (const [i, { id }] of workers.entries()) {
            const beat = await state.mutation(internal.workers.beat, { ...id, running: [] });
            if (!beat.isCurrent) workers[i] = await joinWorker(state, `${i}`);
          }
          break;
      }
      await assertConsistent(state);
    }
    await drain(state);
    await assertConsistent(state);
    const open = (await state.owner.query(api.documents.list, {})).filter(
      ({ state }) => state !== "ready" && state !== "unreadable",
    );
    assert.deepEqual(open, []);
  });
}

async function settleOne(held: Holding[], random: (below: number) => number): Promise<Holding[]> {
  const at = random(Math.max(1, held.length));
  const holding = held[at];
  if (!holding) return held;
  const { worker, job } = holding;
  const outcomes: Outcome[] = [
    job.kind === "documents.forget" ? { type: "done" } : read,
    { type: "failed", code: "unavailable", message: "m", retry: true },
    { type: "snoozed", delayMs: random(2) * 1_000 },
    job.kind === "documents.forget" ? { type: "done" } : { type: "done", result: { type: "unreadable", problem: "noText" } },
  ];
  await worker.settle(job, outcomes[random(outcomes.length)]!);
  // Reported once more now and then, as after a lost answer.
  return random(4) === 0 ? held : held.toSpliced(at, 1);
}

/** The owner presses some button; it may well be refused. */
async function bother(state: FakeState, random: (below: number) => number): Promise<void> {
  const documents = await state.owner.query(api.documents.list, {});
  const jobs = await state.owner.query(api.jobs.list, {});
  const document = documents[random(Math.max(1, documents.length))];
  const job = jobs[random(Math.max(1, jobs.length))];
  const press = [
    document && (() => state.owner.mutation(api.documents.forget, { id: document.id })),
    document && (() => state.owner.mutation(api.documents.retry, { id: document.id })),
    job && (() => state.owner.mutation(api.jobs.cancel, { id: job.id })),
    job && (() => state.owner.mutation(api.jobs.retry, { id: job.id })),
  ][random(4)];
  await press?.().catch((error: unknown) =>
    assert.match(JSON.stringify((error as { data?: unknown }).data), /conflict|missing/u),
  );
}

/** One worker that does everything it gets, until there is nothing left at any time. */
async function drain(state: FakeState): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    mock.timers.tick(20 * 60_000);
    await state.mutation(internal.workers.check, {});
    const worker = await joinWorker(state, "last");
    const jobs = await worker.claim(64);
    for (const job of jobs) await worker.settle(job, job.kind === "documents.forget" ? { type: "done" } : read);
    const counts = await state.owner.query(api.jobs.counts, {});
    if (counts.ready + counts.leased === 0) return;
  }
  assert.fail("some job never ends");
}

async function assertConsistent(state: FakeState): Promise<void> {
  await state.run(async (ctx) => {
    const documents = await ctx.db.query("documents").collect();
    const jobs = await ctx.db.query("jobs").collect();
    const tallies = Object.fromEntries((await ctx.db.query("tallies").collect()).map((row) => [row.noun, row.counts]));

    for (const job of jobs) {
      assert.equal(job.lease !== undefined, job.state === "leased", "a lease is there exactly while leased");
      const isOpen = job.state === "ready" || job.state === "leased";
      assert.equal(job.endedAt === undefined, isOpen);
      if (!isOpen) continue;
      const owners = documents.filter((document) => document.jobId === job._id);
      assert.equal(owners.length, 1, `an open ${job.kind} belongs to one document`);
    }
    for (const document of documents) {
      const job = jobs.find(({ _id }) => _id === document.jobId);
      const isOpen = job?.state === "ready" || job?.state === "leased";
      if (document.state === "waiting")
        assert(job?.kind === "documents.ingest" && job.state === "ready", `waiting: ${job?.kind} ${job?.state}`);
      if (document.state === "reading") assert(job?.kind === "documents.ingest" && job.state === "leased");
      if (document.state === "ready" || document.state === "unreadable") assert(!isOpen);
      if (document.state === "forgetting" && job?.kind === "documents.ingest")
        assert(job.state === "leased" && job.cancelAsked === true);
    }
    const byHash = Map.groupBy(
      documents.filter((document) => document.state !== "forgetting"),
      (document) => document.sha256,
    );
    for (const same of byHash.values()) assert.equal(same.length, 1, "the same bytes are one document");
    assertCounts(tallies["documents"], countBy(documents), ["waiting", "reading", "ready", "unreadable", "forgetting"]);
    assertCounts(tallies["jobs"], countBy(jobs), ["ready", "leased", "done", "dead", "cancelled"]);
    const ready = documents.filter((document) => document.state === "ready");
    assert.equal(
      tallies["documents"]?.["passages"] ?? 0,
      ready.reduce((sum, document) => sum + (document.reading?.passages ?? 0), 0),
    );
  });
}

function countBy(rows: readonly { state: string }[]): (state: string) => number {
  return (state) => rows.filter((row) => row.state === state).length;
}

function assertCounts(
  tally: Record<string, number> | undefined,
  count: (state: string) => number,
  states: readonly string[],
): void {
  for (const state of states) assert.equal(tally?.[state] ?? 0, count(state), `the tally of ${state}`);
}

function lcg(seed: number): (below: number) => number {
  let x = seed;
  return (below) => ((x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0) >>> 8) % below;
}
