import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { attemptsMax, deathsMax, type Outcome } from "../../convex/model/job.ts";
import { addText, joinWorker, only, read, type Lab, type OpenLab } from "./lab.ts";

const unavailable: Outcome = { type: "failed", code: "unavailable", message: "The store does not answer.", retry: true };
const aBug: Outcome = { type: "failed", code: "bug", message: "We are wrong.", retry: false };

/** What the control plane promises, wherever it runs. Nothing here waits for time to pass. */
export function controlPlaneContract(name: string, open: OpenLab): void {
  const check = (promise: string, body: (lab: Lab) => Promise<void>): void => {
    test(`${name}: ${promise}`, async () => {
      const lab = await open();
      try {
        await body(lab);
      } finally {
        await lab.close();
      }
    });
  };
  const codeOf = (code: string) => (error: unknown) => (error as { data?: { code?: string } }).data?.code === code;

  check("nobody but the owner may call anything public", async (lab) => {
    for (const subject of [undefined, "guest"]) {
      await assert.rejects(lab.as(subject).query(api.documents.list, {}), codeOf("denied"));
      await assert.rejects(lab.as(subject).mutation(api.documents.uploadUrl, {}), codeOf("denied"));
    }
    assert.deepEqual(await lab.as("owner").query(api.documents.list, {}), []);
  });

  check("a document goes from waiting over reading to ready, and every count follows", async (lab) => {
    const id = await addText(lab, "notes/a.txt", "hello");
    const worker = await joinWorker(lab);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "waiting");

    const job = only(await worker.claim());
    assert.equal(job.attempt, 1);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "reading");
    await lab.mutation(internal.work.progress, { reports: [{ jobId: job.jobId, token: job.token, done: 1, total: 3 }] });
    assert.deepEqual((await lab.owner.query(api.documents.get, { id }))?.progress, { done: 1, total: 3 });
    assert(await worker.settle(job, read));

    const document = await lab.owner.query(api.documents.get, { id });
    assert.equal(document?.state, "ready");
    assert.equal(document.reading?.passages, 3);
    assert.equal(document.progress, undefined);
    assert.deepEqual(await lab.owner.query(api.documents.counts, {}), {
      waiting: 0,
      reading: 0,
      staged: 0,
      ready: 1,
      unreadable: 0,
      replaced: 0,
      forgetting: 0,
      passages: 3,
    });
    assert.deepEqual(await lab.owner.query(api.jobs.counts, {}), { ready: 0, leased: 0, done: 1, dead: 0, cancelled: 0 });
    assert.equal(only(await lab.owner.query(api.events.list, {})).type, "documentReady");
  });

  check("the same bytes are one document under whatever name, and the second upload is not kept", async (lab) => {
    const id = await addText(lab, "a.txt", "same");
    const storageId = await lab.upload("same");
    const again = only(await lab.owner.mutation(api.documents.add, { files: [{ name: "b.txt", storageId }] }));
    assert.deepEqual([again.id, again.name, again.isNew], [id, "a.txt", false]);
    await assert.rejects(lab.owner.mutation(api.documents.add, { files: [{ name: "b.txt", storageId }] }), codeOf("invalid"));
    assert.equal((await lab.query(internal.work.head, { limit: 10 })).length, 1);
  });

  check("adding an upload twice, as after a lost answer, keeps its file", async (lab) => {
    const storageId = await lab.upload("once");
    const files = [{ name: "a.txt", storageId }];
    const [first] = await lab.owner.mutation(api.documents.add, { files });
    const [second] = await lab.owner.mutation(api.documents.add, { files });
    assert(first && second);
    assert.deepEqual([second.id, second.isNew], [first.id, false]);
    assert.equal((await lab.query(internal.documents.fileForIngest, { documentId: first.id }))?.storageId, storageId);
  });

  check("a document is found by id, by name and by the end of its path, and not by a part of a word", async (lab) => {
    const id = await addText(lab, "work/2026/report.txt", "r");
    for (const asked of [id, "work/2026/report.txt", "report.txt", "2026/report.txt"]) {
      assert.equal(only(await lab.owner.query(api.documents.find, { name: asked })).id, id);
    }
    for (const asked of ["port.txt", "026/report.txt", "nothing"]) {
      assert.deepEqual(await lab.owner.query(api.documents.find, { name: asked }), []);
    }
  });

  check("known tells which hashes are held, but not those whose reading failed", async (lab) => {
    const hash = async (text: string): Promise<string> =>
      Buffer.from(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toString("hex");
    const sha256s = await Promise.all(["kept", "failed", "other"].map(hash));
    await addText(lab, "kept.txt", "kept");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), read);
    await addText(lab, "failed.txt", "failed");
    await worker.settle(only(await worker.claim()), aBug);
    assert.deepEqual(await lab.owner.query(api.documents.known, { sha256s }), [sha256s[0]]);
  });

  check("a document whose reading failed is read again when it is added again", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), aBug);
    assert.deepEqual((await lab.owner.query(api.documents.get, { id }))?.problem, {
      problem: "failed",
      message: "We are wrong.",
    });

    assert.equal(await addText(lab, "a.txt", "x"), id);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "waiting");
    assert(await worker.settle(only(await worker.claim()), read));
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "ready");
  });

  check("an unreadable document says why and is not read again by itself", async (lab) => {
    const id = await addText(lab, "a.pdf", "x");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), { type: "done", result: { type: "unreadable", problem: "encrypted" } });
    const document = await lab.owner.query(api.documents.get, { id });
    assert.equal(document?.state, "unreadable");
    assert.equal(document.problem?.problem, "encrypted");
    assert.equal(await addText(lab, "a.pdf", "x"), id);
    assert.deepEqual(await worker.claim(), []);

    await lab.owner.mutation(api.documents.retry, { id });
    assert.equal((await worker.claim()).length, 1);
  });

  check("a refused file is kept once per name, and gives way when the file arrives", async (lab) => {
    const file = { name: "../../etc/x.txt", sizeBytes: 5, problem: "noPermission" as const };
    const first = only(await lab.owner.mutation(api.documents.refuse, { files: [file] }));
    const second = only(await lab.owner.mutation(api.documents.refuse, { files: [{ ...file, problem: "vanished" }] }));
    assert.deepEqual([first.isNew, second.isNew], [true, false]);
    const refused = only(await lab.owner.query(api.documents.list, { state: "unreadable" }));
    assert.equal(refused.problem?.problem, "vanished");
    await assert.rejects(lab.owner.mutation(api.documents.retry, { id: refused.id }), codeOf("conflict"));

    await addText(lab, "../../etc/x.txt", "now");
    assert.equal(only(await lab.owner.query(api.documents.list, {})).state, "waiting");
  });

  check("a settle with another token changes nothing", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    const job = only(await worker.claim());
    assert.equal(await worker.settle({ ...job, token: "stale" }, read), false);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "reading");
    assert.equal(await worker.settle(job, read), true);
    assert.equal(await worker.settle(job, aBug), false);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "ready");
  });

  check("one job is given to one worker, and asking again with the same token gives it again", async (lab) => {
    await addText(lab, "a.txt", "x");
    const [one, two] = [await joinWorker(lab, "one"), await joinWorker(lab, "two")];
    const jobIds = await lab.query(internal.work.head, { limit: 10 });
    const ask = (worker: typeof one, token: string) =>
      lab.mutation(internal.work.exchange, { ...worker.id, settle: [], claim: { token, jobIds } });
    const answers = await Promise.all([ask(one, "t1"), ask(two, "t2")]);
    assert.equal(
      answers.reduce((sum, answer) => sum + answer.claimed.length, 0),
      1,
    );
    const winner = answers[0].claimed.length === 1 ? one : two;
    const again = await ask(winner, winner === one ? "t1" : "t2");
    assert.equal(only(again.claimed).attempt, 1);
  });

  check(
    "a worker that starts again takes the place of the one before: its jobs are free, its calls count for nothing",
    async (lab) => {
      const id = await addText(lab, "a.txt", "x");
      const before = await joinWorker(lab);
      const job = only(await before.claim());

      const after = await joinWorker(lab);
      assert.equal(after.id.workerId, before.id.workerId);
      assert(after.id.epoch > before.id.epoch);
      assert.equal(await before.settle(job, read), false);
      assert.deepEqual(await before.claim(), []);
      assert.equal((await lab.mutation(internal.workers.beat, { ...before.id, running: [] })).isCurrent, false);
      const again = only(await after.claim());
      assert.deepEqual([again.jobId, again.attempt], [job.jobId, 1]);
      assert(await after.settle(again, read));
      assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "ready");
    },
  );

  check("a job that keeps killing its worker steps back, lets others pass, and at last is dead with a reason", async (lab) => {
    const poison = await addText(lab, "poison.txt", "x");
    let worker = await joinWorker(lab);
    for (let death = 1; death <= deathsMax; death += 1) {
      only(await worker.claim());
      // Comes while it is being worked on: on a slow machine the wait after the death would be over by the time it is added.
      if (death === 2) await addText(lab, "fine.txt", "y");
      worker = await joinWorker(lab);
      // It waits now, and what came later goes first.
      if (death === 2) assert(await worker.settle(only(await worker.claim()), read));
      if (death < deathsMax) await lab.owner.mutation(api.documents.retry, { id: poison });
    }
    assert.deepEqual(await worker.claim(), []);
    const document = await lab.owner.query(api.documents.get, { id: poison });
    assert.equal(document?.state, "unreadable");
    assert.match(document.problem?.message ?? "", /stopped 8 times/u);
  });

  check("a failure worth another try waits, and after the last try the document says what was wrong", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const job = only(await worker.claim());
      assert.equal(job.attempt, attempt);
      assert(await worker.settle(job, unavailable));
      if (attempt === attemptsMax) break;
      const waiting = only(await lab.owner.query(api.jobs.list, {}));
      assert.equal(waiting.state, "ready");
      assert(waiting.readyAt > Date.now() - 60_000);
      assert.equal(waiting.error?.code, "unavailable");
      assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "waiting");
      await lab.owner.mutation(api.documents.retry, { id });
    }
    const jobs = await lab.owner.query(api.jobs.list, {});
    assert.equal(only(jobs.filter(({ kind }) => kind === "documents.ingest")).state, "dead");
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.problem?.message, "The store does not answer.");
    assert.equal((await lab.owner.query(api.events.list, {}))[0]?.type, "jobDead");
  });

  check("a snooze costs no attempt", async (lab) => {
    await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    for (let round = 0; round < 3; round += 1) {
      const job = only(await worker.claim());
      assert.equal(job.attempt, 1);
      await worker.settle(job, { type: "snoozed", delayMs: 0 });
    }
  });

  check("forgetting a ready document deletes it and its file once its passages are gone", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), read);
    await lab.owner.mutation(api.documents.forget, { id });
    await lab.owner.mutation(api.documents.forget, { id });
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "forgetting");
    assert.equal((await lab.owner.query(api.documents.counts, {})).passages, 0);

    const job = only(await worker.claim());
    assert.equal(job.kind, "documents.forget");
    assert(await worker.settle(job, { type: "done" }));
    assert.equal(await lab.owner.query(api.documents.get, { id }), null);
    assert.equal(await lab.query(internal.documents.fileForIngest, { documentId: id }), null);
    assert.equal((await lab.owner.query(api.documents.counts, {})).forgetting, 0);
    assert.equal((await lab.owner.query(api.events.list, {}))[0]?.type, "documentForgotten");
  });

  check("forgetting a document that waits drops its reading", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    await lab.owner.mutation(api.documents.forget, { id });
    const worker = await joinWorker(lab);
    assert.equal(only(await worker.claim()).kind, "documents.forget");
  });

  for (const [how, end] of [
    ["finishes", { type: "done" }],
    ["stops", { type: "snoozed", delayMs: 0 }],
    ["fails", unavailable],
    ["reads it to the end", read],
  ] as const) {
    check(`forgetting a document that is being read waits until its reader ${how}`, async (lab) => {
      const id = await addText(lab, "a.txt", "x");
      const worker = await joinWorker(lab);
      const reading = only(await worker.claim());
      await lab.owner.mutation(api.documents.forget, { id });
      assert.deepEqual((await lab.query(internal.workers.orders, worker.id)).cancel, [reading.jobId]);
      assert.deepEqual(await worker.claim(), []);
      assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "forgetting");

      assert(await worker.settle(reading, end));
      const forgetting = only(await worker.claim());
      assert.equal(forgetting.kind, "documents.forget");
      assert(await worker.settle(forgetting, { type: "done" }));
      assert.deepEqual(await lab.owner.query(api.documents.list, {}), []);
      assert.deepEqual(await lab.query(internal.workers.orders, worker.id), { isCurrent: true, cancel: [] });
    });
  }

  check("forgetting a document whose reader died goes on when the worker is back", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    only(await (await joinWorker(lab)).claim());
    await lab.owner.mutation(api.documents.forget, { id });
    const after = await joinWorker(lab);
    assert.equal(only(await after.claim()).kind, "documents.forget");
  });

  check("the same bytes may come back while the old document is still being forgotten", async (lab) => {
    const old = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), read);
    await lab.owner.mutation(api.documents.forget, { id: old });
    const fresh = await addText(lab, "a.txt", "x");
    assert.notEqual(fresh, old);
    for (const job of await worker.claim()) await worker.settle(job, job.kind === "documents.forget" ? { type: "done" } : read);
    assert.deepEqual(
      (await lab.owner.query(api.documents.list, {})).map((document) => [document.id, document.state]),
      [[fresh, "ready"]],
    );
    assert.equal((await lab.query(internal.documents.fileForIngest, { documentId: fresh }))?.state, "ready");
  });

  check("what was asked to be forgotten goes before what waits to be read", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), read);
    for (const text of ["b", "c", "d"]) await addText(lab, `${text}.txt`, text);
    await lab.owner.mutation(api.documents.forget, { id });
    assert.equal(only(await worker.claim(1)).kind, "documents.forget");
  });

  check("a cancelled job stops, says so, and can be tried again", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    const job = only(await worker.claim());
    await lab.owner.mutation(api.jobs.cancel, { id: job.jobId });
    const beat = await lab.mutation(internal.workers.beat, {
      ...worker.id,
      running: [job].map(({ jobId, token }) => ({ jobId, token })),
    });
    assert.deepEqual(beat, { isCurrent: true, lost: [], cancel: [job.jobId] });
    await worker.settle(job, { type: "snoozed", delayMs: 0 });
    const jobs = await lab.owner.query(api.jobs.list, {});
    assert.equal(only(jobs.filter(({ kind }) => kind === "documents.ingest")).state, "cancelled");
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "unreadable");
    assert.deepEqual(await worker.claim(), []);

    await lab.owner.mutation(api.jobs.retry, { id: job.jobId });
    await assert.rejects(lab.owner.mutation(api.jobs.retry, { id: job.jobId }), codeOf("conflict"));
    assert(await worker.settle(only(await worker.claim()), read));
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "ready");
    assert.deepEqual(await lab.owner.query(api.jobs.counts, {}), { ready: 0, leased: 0, done: 2, dead: 0, cancelled: 0 });
  });

  check("what a failed reading left is cleared away before the document is read again", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), aBug);
    await lab.owner.mutation(api.documents.retry, { id });
    await lab.owner.mutation(api.documents.retry, { id }).catch(() => undefined);
    const due = await lab.query(internal.work.head, { limit: 8 });
    const jobs = await lab.owner.query(api.jobs.list, {});
    assert.equal(jobs.find((job) => job.id === only(due))?.kind, "documents.clear");
    assert(await worker.settle(only(await worker.claim()), read));
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "ready");
  });

  check("a job that waits ends at once when it is cancelled; forgetting cannot be cancelled", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    const waiting = only(await lab.owner.query(api.jobs.list, {}));
    await lab.owner.mutation(api.jobs.cancel, { id: waiting.id });
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "unreadable");
    await lab.owner.mutation(api.documents.forget, { id });
    const forgetting = (await lab.owner.query(api.jobs.list, {}))[0];
    assert(forgetting);
    await assert.rejects(lab.owner.mutation(api.jobs.cancel, { id: forgetting.id }), codeOf("conflict"));
  });

  check("a forget that failed for good leaves the document on its way out, to be tried again", async (lab) => {
    const id = await addText(lab, "a.txt", "x");
    await lab.owner.mutation(api.documents.forget, { id });
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), aBug);
    assert.equal((await lab.owner.query(api.documents.get, { id }))?.state, "forgetting");
    await lab.owner.mutation(api.documents.forget, { id });
    assert(await worker.settle(only(await worker.claim()), { type: "done" }));
    assert.equal(await lab.owner.query(api.documents.get, { id }), null);
  });

  check("a worker that says goodbye gives its jobs back as if it had never had them", async (lab) => {
    await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    only(await worker.claim());
    await lab.mutation(internal.workers.goodbye, worker.id);
    assert.deepEqual(await lab.query(internal.workers.orders, worker.id), { isCurrent: false, cancel: [] });
    const other = await joinWorker(lab, "other");
    assert.equal(only(await other.claim()).attempt, 1);
  });

  check("a worker in good health is not given up, neither by its own reaper nor by the minute's check", async (lab) => {
    await addText(lab, "a.txt", "x");
    const worker = await joinWorker(lab);
    only(await worker.claim());
    await lab.mutation(internal.workers.reap, worker.id);
    await lab.mutation(internal.workers.check, {});
    assert.equal((await lab.mutation(internal.workers.beat, { ...worker.id, running: [] })).isCurrent, true);
    assert.equal((await lab.owner.query(api.jobs.counts, {})).leased, 1);
  });

  check("settings keep what was not changed", async (lab) => {
    assert.deepEqual(await lab.owner.query(api.settings.get, {}), { language: "auto", theme: "auto" });
    await lab.owner.mutation(api.settings.set, { language: "fr" });
    await lab.owner.mutation(api.settings.set, { theme: "dark" });
    assert.deepEqual(await lab.owner.query(api.settings.get, {}), { language: "fr", theme: "dark" });
  });

  check("the status is what the appliance reported last, with the passages there are", async (lab) => {
    assert.equal(await lab.owner.query(api.appliance.status, {}), null);
    const report = {
      name: "host",
      version: "1",
      mode: { state: "embedded" as const, vectors: "embedded" as const },
      embedder: { id: "e", label: "E", isBaseline: true },
      startedAt: 5,
    };
    await lab.mutation(internal.appliance.report, { ...report, version: "0" });
    await lab.mutation(internal.appliance.report, report);
    assert.deepEqual(await lab.owner.query(api.appliance.status, {}), { ...report, passages: 0 });
  });

  check("all documents can be had page by page", async (lab) => {
    for (const text of ["a", "b", "c"]) await addText(lab, `${text}.txt`, text);
    const names: string[] = [];
    let cursor: string | null = null;
    for (let isDone = false; !isDone;) {
      const answer: { page: { name: string }[]; continueCursor: string; isDone: boolean } = await lab.owner.query(
        api.documents.page,
        {
          paginationOpts: { numItems: 2, cursor },
        },
      );
      names.push(...answer.page.map((document) => document.name));
      ({ continueCursor: cursor, isDone } = answer);
    }
    assert.deepEqual(names, ["c.txt", "b.txt", "a.txt"]);
  });

  check("limits outside their range are refused with a sentence", async (lab) => {
    for (const limit of [0, 201, 1.5]) {
      await assert.rejects(lab.owner.query(api.documents.list, { limit }), codeOf("invalid"));
      await assert.rejects(lab.owner.query(api.jobs.list, { limit }), codeOf("invalid"));
      await assert.rejects(lab.owner.query(api.events.list, { limit }), codeOf("invalid"));
    }
    await assert.rejects(lab.owner.mutation(api.documents.add, { files: [] }), codeOf("invalid"));
  });
}
