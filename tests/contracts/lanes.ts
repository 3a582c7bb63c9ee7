import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionArgs } from "convex/server";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { attemptsMax, type Outcome } from "../../convex/model/job.ts";
import { joinWorker, only, type Lab, type OpenLab } from "./lab.ts";

type NewWork = FunctionArgs<typeof internal.work.add>["work"][number];
const check = (n: number, more: Partial<NewWork> = {}): NewWork => ({ kind: "jobs.check", args: { n }, label: `${n}`, ...more });
const done: Outcome = { type: "done" };
const aBug: Outcome = { type: "failed", code: "bug", message: "We are wrong.", retry: false };
const unavailable = { type: "failed", code: "unavailable", message: "The store does not answer.", retry: true } as const;

const add = async (lab: Lab, ...work: NewWork[]): Promise<Id<"jobs">[]> =>
  (await lab.mutation(internal.work.add, { work })).map(({ jobId }) => jobId);
const codeOf = (code: string) => (error: unknown) => (error as { data?: { code?: string } }).data?.code === code;

/** What is promised about which job may begin when. */
export function lanesContract(name: string, open: OpenLab): void {
  const promise = (what: string, body: (lab: Lab) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const lab = await open();
      try {
        await body(lab);
      } finally {
        await lab.close();
      }
    });
  };

  promise("each lane has a front of its own, lower ranks first, then by age", async (lab) => {
    const [bulk, late, early, now] = await add(
      lab,
      check(0, { lane: "bulk" }),
      check(1, { lane: "work", rank: 2 }),
      check(2, { lane: "work", rank: 1 }),
      check(3),
    );
    const head = (lane: "now" | "work" | "bulk") => lab.query(internal.work.head, { lane, limit: 8 });
    assert.deepEqual([await head("now"), await head("work"), await head("bulk")], [[now], [early, late], [bulk]]);
    assert.deepEqual(await lab.query(internal.work.head, { limit: 3 }), [now, early, late]);
  });

  promise("of a key one job is worked on at a time, and the others follow in turn", async (lab) => {
    const [first, second, third, other] = await add(
      lab,
      check(0, { key: "a" }),
      check(1, { key: "a" }),
      check(2, { key: "a" }),
      check(3, { key: "b" }),
    );
    const worker = await joinWorker(lab);
    const held = await worker.claim();
    assert.deepEqual(new Set(held.map(({ jobId }) => jobId)), new Set([first, other]));
    assert.deepEqual(await worker.claim(), []);
    for (const next of [second, third]) {
      const job = held.find(({ jobId }) => jobId !== other);
      assert(job);
      await worker.settle(job, done);
      held.splice(held.indexOf(job), 1, only(await worker.claim()));
      assert(held.some(({ jobId }) => jobId === next));
    }
  });

  promise("a job of a key that waits for its next try lets the others of its key go first", async (lab) => {
    const [, second] = await add(lab, check(0, { key: "a" }), check(1, { key: "a" }));
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), { type: "snoozed", delayMs: 60_000 });
    assert.equal(only(await worker.claim()).jobId, second);
  });

  promise("a key is free again when its worker dies, when its job is cancelled, and when it is redriven", async (lab) => {
    const [first, second] = await add(lab, check(0, { key: "a" }), check(1, { key: "a" }));
    assert(first && second);
    const silent = await joinWorker(lab, "silent");
    only(await silent.claim());
    const worker = await joinWorker(lab, "silent");
    // What died went to the back of the line of its key.
    const job = only(await worker.claim());
    assert.equal(job.jobId, second);
    await worker.settle(job, aBug);
    await lab.owner.mutation(api.jobs.cancel, { id: first });
    await lab.owner.mutation(api.jobs.retry, { id: second });
    assert.equal(only(await worker.claim()).jobId, second);
  });

  promise("no more than its limit are through a door, over all workers", async (lab) => {
    const gates = [{ name: "printer", limit: 2 }];
    await add(lab, ...[0, 1, 2, 3, 4].map((n) => check(n, { gates })));
    const [one, two] = [await joinWorker(lab, "one"), await joinWorker(lab, "two")];
    const held = [...(await one.claim()), ...(await two.claim())];
    assert.equal(held.length, 2);
    assert(held[0]);
    await one.settle(held[0], done);
    assert.equal((await two.claim()).length, 1);
    const waiting = (await lab.owner.query(api.jobs.list, {})).filter(({ isGated }) => isGated);
    assert.equal(waiting.length, 2);
  });

  promise("a job of two doors waits at each, and nobody is stuck", async (lab) => {
    const gates = [{ name: "printer", limit: 1 }];
    await add(lab, check(0, { gates }), check(1, { key: "a", gates }), check(2, { key: "a" }), check(3, { gates }));
    const worker = await joinWorker(lab);
    const ended: Id<"jobs">[] = [];
    for (let round = 0; round < 4; round += 1)
      for (const job of await worker.claim()) {
        await worker.settle(job, done);
        ended.push(job.jobId);
      }
    assert.equal(new Set(ended).size, 4);
  });

  promise("while a job is open, another one of its kind and key is that one", async (lab) => {
    const work = check(0, { uniqueKey: "nightly" });
    const [first, again] = await lab.mutation(internal.work.add, { work: [work, work] });
    assert(first && again);
    assert.deepEqual([first.isNew, again.isNew, again.jobId], [true, false, first.jobId]);
    const worker = await joinWorker(lab);
    const job = only(await worker.claim());
    assert.equal(only(await lab.mutation(internal.work.add, { work: [work] })).isNew, false);
    await worker.settle(job, aBug);
    const fresh = only(await lab.mutation(internal.work.add, { work: [work] }));
    assert.equal(fresh.isNew, true);
    await assert.rejects(lab.owner.mutation(api.jobs.retry, { id: first.jobId }), codeOf("conflict"));
    assert.equal(await lab.owner.mutation(api.jobs.redriveAll, {}), 0);
  });

  promise("a delayed job is nobody's before its time", async (lab) => {
    const [jobId] = await add(lab, check(0, { runAt: Date.now() + 3_600_000 }));
    assert(jobId);
    const worker = await joinWorker(lab);
    assert.deepEqual(await worker.claim(), []);
    await lab.mutation(internal.jobs.wake, { jobId });
    assert.deepEqual(await worker.claim(), []);
    assert.equal(only(await lab.owner.query(api.jobs.list, {})).state, "ready");
  });

  promise(
    "what is added beside a worker with room begins with the same commit, unless something stands in its way",
    async (lab) => {
      const worker = await joinWorker(lab);
      const work = [
        check(0),
        check(1, { key: "a" }),
        check(2, { runAt: Date.now() + 3_600_000 }),
        check(3, { lane: "bulk" }),
        check(4),
        check(5),
      ];
      const answer = await lab.mutation(internal.work.exchange, {
        ...worker.id,
        settle: [],
        claim: { token: "t", jobIds: [] },
        add: { work, room: { now: 2, work: 2, bulk: 0 } },
      });
      assert.deepEqual(
        answer.added.map(({ isLeased }) => isLeased),
        [true, false, false, false, true, false],
      );
      const [first] = answer.added;
      assert(first);
      assert.equal(await worker.settle({ jobId: first.jobId, token: "t" }, done), true);
      assert.equal(await worker.settle({ jobId: first.jobId, token: "t" }, done), false);
      assert.equal((await worker.claim()).length, 3);
    },
  );

  promise("a dead job tells what befell it, and is driven again alone or with all of its kind", async (lab) => {
    const [id, other] = await add(lab, check(0), check(1));
    assert(id && other);
    const worker = await joinWorker(lab);
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      for (const job of await worker.claim()) await worker.settle(job, { ...unavailable, retryAfterMs: 0 });
    }
    const story = (await lab.owner.query(api.jobs.get, { id }))?.history ?? [];
    assert.deepEqual(
      story.map(({ what, attempt, code }) => [what, attempt, code]),
      Array.from({ length: attemptsMax }, (_, i) => ["failed", i + 1, "unavailable"]),
    );
    assert.equal((await lab.owner.query(api.jobs.dead, { kind: "jobs.check" })).length, 2);
    assert.deepEqual(await lab.owner.query(api.jobs.dead, { kind: "documents.ingest" }), []);

    await lab.owner.mutation(api.jobs.retry, { id });
    const again = only(await worker.claim());
    assert.deepEqual([again.jobId, again.attempt], [id, 1]);
    assert.equal((await lab.owner.query(api.jobs.get, { id }))?.history.at(-1)?.what, "redriven");
    await worker.settle(again, aBug);
    assert.equal(await lab.owner.mutation(api.jobs.redriveAll, { kind: "documents.ingest" }), 0);
    assert.equal(await lab.owner.mutation(api.jobs.redriveAll, { kind: "jobs.check" }), 2);
    assert.equal((await worker.claim()).length, 2);
  });

  promise("however many died at one moment, all of a kind are driven again and no others", async (lab) => {
    const each = 130;
    const plans = Array.from({ length: each }, () => ({ kind: "schedules.plan" as const, args: { scheduleIds: [] }, label: "" }));
    const checks = Array.from({ length: each }, (_, n) => check(n, { lane: "work", rank: 9 }));
    const jobIds = [...(await add(lab, ...plans)), ...(await add(lab, ...checks))];
    const { id } = await joinWorker(lab);
    const claim = { token: "t", jobIds };
    const { claimed } = await lab.mutation(internal.work.exchange, { ...id, settle: [], claim });
    assert.equal(claimed.length, 2 * each);
    const settle = claimed.map(({ jobId }) => ({ jobId, token: "t", outcome: aBug }));
    await lab.mutation(internal.work.exchange, { ...id, settle, claim: { token: "none", jobIds: [] } });

    assert((await lab.owner.mutation(api.jobs.redriveAll, { kind: "jobs.check" })) > 0);
    for (let look = 0; look < 500 && (await lab.owner.query(api.jobs.counts, {})).ready < each; look += 1)
      await new Promise((next) => setTimeout(next, 10));
    const { ready, dead } = await lab.owner.query(api.jobs.counts, {});
    assert.deepEqual({ ready, dead }, { ready: each, dead: each });
  });

  promise("a done job whose kind does not keep them leaves nothing behind", async (lab) => {
    const [id] = await add(lab, check(0, { uniqueKey: "u", key: "k" }));
    assert(id);
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), done);
    assert.equal(await lab.owner.query(api.jobs.get, { id }), null);
    assert.deepEqual(await lab.owner.query(api.jobs.counts, {}), { ready: 0, leased: 0, done: 0, dead: 0, cancelled: 0 });
    assert.equal(only(await lab.mutation(internal.work.add, { work: [check(0, { uniqueKey: "u", key: "k" })] })).isDue, true);
  });

  promise("what is no job's id is no job", async (lab) => {
    assert.equal(await lab.owner.query(api.jobs.get, { id: "nonsense" }), null);
  });
}
