/** Owners and workers in random order: whatever happens, rows agree with each other and every document ends as it should. */
import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { documentStates } from "../../convex/model/document.ts";
import type { Outcome } from "../../convex/model/job.ts";
import { filedUnder } from "../../convex/turn/sum.ts";
import { joinWorker, read, type Worker } from "../contracts/lab.ts";
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
          await addSome(state, random);
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
      ({ state }) => state !== "ready" && state !== "unreadable" && state !== "staged",
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
    job.kind === "documents.ingest" ? read : { type: "done" },
    { type: "failed", code: "unavailable", message: "m", retry: true },
    { type: "snoozed", delayMs: random(2) * 1_000 },
    job.kind !== "documents.ingest" ? { type: "done" } : { type: "done", result: { type: "unreadable", problem: "noText" } },
  ];
  await worker.settle(job, outcomes[random(outcomes.length)]!);
  // Reported once more now and then, as after a lost answer.
  return random(4) === 0 ? held : held.toSpliced(at, 1);
}

/** Files with and without a place of their own, alone and in batches. */
async function addSome(state: FakeState, random: (below: number) => number): Promise<void> {
  const batches = await state.owner.query(api.batches.list, {});
  const batch = batches[random(4)];
  if (batches.length < 4)
    await state.owner.mutation(api.batches.open, { label: "b", origin: "command", isReviewed: random(2) === 0 });
  const key = random(2) === 0 ? { key: `k${random(3)}` } : {};
  const storageId = await state.upload(`${random(12)}`);
  const files = [{ name: `${random(3)}/${random(5)}.txt`, storageId, ...key }];
  await state.owner.mutation(api.documents.add, { files, ...(batch && { batchId: batch.id }) });
}

/** The owner presses some button; it may well be refused. */
async function bother(state: FakeState, random: (below: number) => number): Promise<void> {
  const documents = await state.owner.query(api.documents.list, {});
  const jobs = await state.owner.query(api.jobs.list, {});
  const document = documents[random(Math.max(1, documents.length))];
  const job = jobs[random(Math.max(1, jobs.length))];
  const batches = await state.owner.query(api.batches.list, {});
  const batch = batches[random(Math.max(1, batches.length))];
  const press = [
    document && (() => state.owner.mutation(api.documents.forget, { id: document.id })),
    document && (() => state.owner.mutation(api.documents.retry, { id: document.id })),
    job && (() => state.owner.mutation(api.jobs.cancel, { id: job.id })),
    job && (() => state.owner.mutation(api.jobs.retry, { id: job.id })),
    batch && (() => state.owner.mutation(api.batches.pause, { id: batch.id })),
    batch && (() => state.owner.mutation(api.batches.resume, { id: batch.id })),
    batch && random(4) === 0 && (() => state.owner.mutation(api.batches.cancel, { id: batch.id })),
    batch && (() => decideAll(state, batch.id, random(3) > 0)),
    document &&
      (() => state.owner.mutation(api.documents.edit, { ids: [document.id], labels: { language: ["", "fr"][random(2)]! } })),
  ][random(9)];
  await (press || undefined)?.().catch((error: unknown) =>
    assert.match(JSON.stringify((error as { data?: unknown }).data), /conflict|missing/u),
  );
}

async function decideAll(state: FakeState, id: Id<"batches">, isAccepted: boolean): Promise<void> {
  await state.owner.mutation(api.batches.decide, { id, isAccepted });
  let cursor: string | null = null;
  do cursor = await state.mutation(internal.batches.decideSome, { batchId: id, cursor });
  while (cursor !== null);
}

/** One worker that does everything it gets, until there is nothing left at any time. */
async function drain(state: FakeState): Promise<void> {
  for (const { id } of await state.owner.query(api.batches.list, {})) await state.owner.mutation(api.batches.resume, { id });
  for (let round = 0; round < 50; round += 1) {
    mock.timers.tick(20 * 60_000);
    await state.mutation(internal.workers.check, {});
    const worker = await joinWorker(state, "last");
    const jobs = await worker.claim(64);
    for (const job of jobs) await worker.settle(job, job.kind === "documents.ingest" ? read : { type: "done" });
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
      if (job.kind === "documents.ingest" || job.kind === "documents.forget")
        assert.equal(owners.length, 1, `an open ${job.kind} belongs to one document`);
      assert.equal(job.isParked === true || job.isGated === true, job.readyAt === Number.MAX_SAFE_INTEGER);
    }
    for (const document of documents) {
      const job = jobs.find(({ _id }) => _id === document.jobId);
      const isOpen = job?.state === "ready" || job?.state === "leased";
      const isClearing = isOpen && job?.kind === "documents.clear";
      if (document.state === "waiting" && !isClearing)
        assert(job?.kind === "documents.ingest" && job.state === "ready", `waiting: ${job?.kind} ${job?.state}`);
      if (document.state === "reading") assert(job?.kind === "documents.ingest" && job.state === "leased");
      if (document.state === "ready" || document.state === "staged") assert(!isOpen);
      if (document.state === "unreadable" || document.state === "replaced") assert(!isOpen || isClearing);
      assert.equal(document.isOld === true && document.state !== "forgetting", document.state === "replaced");
      if (document.state === "forgetting" && job?.kind === "documents.ingest")
        assert(job.state === "leased" && job.cancelAsked === true);
    }
    const byHash = Map.groupBy(
      documents.filter((document) => document.state !== "forgetting" && !document.isOld),
      (document) => document.sha256,
    );
    for (const same of byHash.values()) assert.equal(same.length, 1, "the same bytes are one document");
    assertCounts(tallies["documents"], countBy(documents), documentStates);
    for (const versions of Map.groupBy(documents, ({ family }) => family ?? "none"))
      if (versions[0] !== "none")
        assert(versions[1].filter(({ state }) => state === "ready").length <= 1, "one version of a document counts");
    for (const source of await ctx.db.query("sources").collect())
      assert(source.documentId && documents.some(({ _id }) => _id === source.documentId), "a source leads to its document");
    for (const { batchId, sums } of await ctx.db.query("batchSums").collect()) {
      const mine = documents.filter((document) => document.batchId === batchId);
      assertCounts(sums, countBy(mine), documentStates);
      const groups = await ctx.db.query("groups").collect();
      const french = mine.filter((one) => (one.state === "ready" || one.state === "staged") && filedUnder(one).language === "fr");
      const group = groups.find((one) => one.batchId === batchId && one.by === "language" && one.value === "fr");
      assert.equal(group?.documents ?? 0, french.length, "a group counts its documents");
      assert.equal(group?.staged ?? 0, french.filter(({ state }) => state === "staged").length);
    }
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

/** What the runtime promises of jobs as such, whatever they are about. */
for (const seed of [11, 12, 13, 14, 15, 16]) {
  test(`lanes, doors, keys and delays hold in random order ${seed}`, async () => {
    mock.timers.reset();
    mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 10, 21) });
    const state = openFakeState();
    const random = lcg(seed);
    const workers = [await joinWorker(state, "0"), await joinWorker(state, "1"), await joinWorker(state, "2")];
    const added = new Set<string>();
    const committed = new Map<string, number>();
    let held: Holding[] = [];

    for (let step = 0; step < 200; step += 1) {
      const at = random(workers.length);
      const worker = workers[at]!;
      switch (random(8)) {
        case 0:
        case 1:
          for (const { jobId, isNew } of await state.mutation(internal.work.add, { work: [someWork(random), someWork(random)] }))
            if (isNew) added.add(jobId);
          break;
        case 2:
        case 3:
          for (const job of await worker.claim(1 + random(4))) held.push({ worker, job });
          break;
        case 4:
        case 5: {
          const holding = held[random(Math.max(1, held.length))];
          if (!holding) break;
          const outcome = someOutcome(random);
          if ((await holding.worker.settle(holding.job, outcome)) && outcome.type === "done")
            committed.set(holding.job.jobId, (committed.get(holding.job.jobId) ?? 0) + 1);
          // Reported once more now and then, as after a lost answer.
          if (random(4) > 0) held = held.filter((one) => one !== holding);
          break;
        }
        case 6: // It dies and comes back; what it held it may still report, in vain.
          workers[at] = await joinWorker(state, `${at}`);
          break;
        case 7:
          mock.timers.tick(random(30_000));
          await state.mutation(internal.workers.check, {});
          for (const [i, { id }] of workers.entries())
            if (!(await state.mutation(internal.workers.beat, { ...id, running: [] })).isCurrent)
              workers[i] = await joinWorker(state, `${i}`);
          break;
      }
      await assertDoors(state);
    }
    for (let round = 0; round < 60; round += 1) {
      mock.timers.tick(20 * 60_000);
      await state.mutation(internal.workers.check, {});
      const worker = await joinWorker(state, "0");
      for (const name of ["1", "2"]) await joinWorker(state, name);
      for (const job of await worker.claim(64))
        if (await worker.settle(job, { type: "done" })) committed.set(job.jobId, (committed.get(job.jobId) ?? 0) + 1);
      await assertDoors(state);
    }
    const counts = await state.owner.query(api.jobs.counts, {});
    assert.equal(counts.ready + counts.leased, 0, "some job never ends");
    assert.equal(committed.size + counts.dead + counts.cancelled, added.size, "none is lost");
    assert(
      [...committed.values()].every((times) => times === 1),
      "none is done twice",
    );
    await state.run(async (ctx) => {
      assert.deepEqual(await ctx.db.query("gates").collect(), []);
      assert.deepEqual(await ctx.db.query("uniques").collect(), []);
    });
  });
}

function someWork(random: (below: number) => number) {
  return {
    kind: "jobs.check" as const,
    args: { n: random(1_000) },
    label: "",
    lane: (["now", "work", "bulk"] as const)[random(3)]!,
    rank: random(3),
    ...(random(3) === 0 && { key: `k${random(3)}` }),
    ...(random(3) === 0 && { gates: [{ name: `g${random(2)}`, limit: 2 }] }),
    ...(random(3) === 0 && { uniqueKey: `u${random(4)}` }),
    ...(random(4) === 0 && { runAt: Date.now() + random(60_000) }),
  };
}

function someOutcome(random: (below: number) => number): Outcome {
  const failed = { type: "failed", code: "unavailable", message: "m" } as const;
  return (
    [
      { type: "done" },
      { ...failed, retry: true },
      { ...failed, retry: true, retryAfterMs: random(5_000) },
      { ...failed, retry: random(5) > 0 },
      { type: "snoozed", delayMs: random(2) * 1_000 },
    ] as const
  )[random(5)]!;
}

async function assertDoors(state: FakeState): Promise<void> {
  await state.run(async (ctx) => {
    const jobs = new Map((await ctx.db.query("jobs").collect()).map((job) => [job._id, job]));
    const rows = await ctx.db.query("gates").collect();
    for (const [name, inLine] of Map.groupBy(rows, (row) => row.name)) {
      const inside = inLine.filter(({ isIn }) => isIn).length;
      const limit = inLine[0]!.limit;
      assert(inside <= limit, `${inside} are through ${name}`);
      if (inside < limit) assert.equal(inside, inLine.length, `${name} has room, and somebody waits`);
    }
    for (const job of jobs.values()) {
      const mine = rows.filter(({ jobId }) => jobId === job._id);
      const isWorked = job.state === "leased" || (job.state === "ready" && job.isDue);
      if (isWorked)
        assert(mine.length === (job.gates?.length ?? 0) && mine.every(({ isIn }) => isIn), "due is through all doors");
      else if (job.isGated) assert.equal(mine.filter(({ isIn }) => !isIn).length, 1, "it waits at one door");
      else assert.equal(mine.length, 0, "who waits for a time holds no door");
    }
    for (const row of rows) assert(jobs.has(row.jobId));
    const open = [...jobs.values()].filter(
      ({ state, uniqueKey }) => uniqueKey !== undefined && (state === "ready" || state === "leased"),
    );
    const keys = await ctx.db.query("uniques").collect();
    assert.deepEqual(new Set(keys.map(({ jobId }) => jobId)), new Set(open.map(({ _id }) => _id)));
    assert.equal(new Set(open.map(({ uniqueKey }) => uniqueKey)).size, open.length, "one open job of a key");
  });
}
