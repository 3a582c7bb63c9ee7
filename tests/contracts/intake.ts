/** What the control plane promises of files that come in together, again, inside others, and from watched folders. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { versionsKeptMax } from "../../convex/model/document.ts";
import { addText, joinWorker, only, read, type Lab, type OpenLab, type Worker } from "./lab.ts";

/** `some`: only the promises in which this stands, where opening a control plane takes its time. */
export function intakeContract(name: string, open: OpenLab, some = ""): void {
  const check = (promise: string, body: (lab: Lab) => Promise<void>): void => {
    if (!promise.includes(some)) return;
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

  check("only the owner sees batches, pictures and watched folders, or may say anything about them", async (lab) => {
    const batchId = await openBatch(lab);
    for (const subject of [undefined, "guest"]) {
      const stranger = lab.as(subject);
      await assert.rejects(stranger.query(api.batches.list, {}), codeOf("denied"));
      await assert.rejects(stranger.query(api.batches.summary, { id: batchId }), codeOf("denied"));
      await assert.rejects(stranger.mutation(api.batches.cancel, { id: batchId }), codeOf("denied"));
      await assert.rejects(stranger.query(api.watches.list, {}), codeOf("denied"));
      await assert.rejects(stranger.mutation(api.watches.add, { path: "/home" }), codeOf("denied"));
      await assert.rejects(stranger.mutation(api.documents.edit, { ids: [], labels: {} }), codeOf("denied"));
    }
  });

  check("pictures that nobody could look at are owed one look, and later", async (lab) => {
    const documentId = await addText(lab, "a.txt", "a");
    const looks = async () => (await lab.owner.query(api.jobs.list, {})).filter(({ kind }) => kind === "documents.look");
    await lab.mutation(internal.pictures.owe, { documentId });
    await lab.mutation(internal.pictures.owe, { documentId });

    const [job, ...others] = await looks();
    assert.deepEqual([job?.state, job?.label, others.length], ["ready", "a.txt", 0]);
    const worker = await joinWorker(lab);
    assert.ok(
      (await worker.claim()).every(({ kind }) => kind !== "documents.look"),
      "it is not due at once",
    );
  });

  check("a batch tells how many stand where, what is in it, and what failed and why", async (lab) => {
    const batchId = await openBatch(lab);
    await addAll(lab, { "mail/a.txt": "a", "mail/b.txt": "bb", "c.txt": "ccc" }, { batchId });
    await addAll(lab, { "again.txt": "a" }, { batchId });
    const worker = await joinWorker(lab);
    const [first, second, third] = await worker.claim();
    assert(first && second && third);
    assert.deepEqual((await summaryOf(lab, batchId)).batch.sums.reading, 3);
    await worker.settle(first, readAs({ language: "fr", entityType: "invoice" }));
    await worker.settle(second, readAs({ language: "fr" }));
    await worker.settle(third, { type: "done", result: { type: "unreadable", problem: "encrypted" } });
    await lab.owner.mutation(api.batches.close, { id: batchId });

    const { batch, groups, failures } = await summaryOf(lab, batchId);
    assert.equal(batch.state, "done");
    const { ready, unreadable, known, sizeBytes, doneBytes, passages } = batch.sums;
    assert.deepEqual([ready, unreadable, known, sizeBytes, doneBytes, passages], [2, 1, 1, 6, 6, 6]);
    const documentsOf = (by: string) =>
      Object.fromEntries(groups.filter((group) => group.by === by).map(({ value, documents }) => [value, documents]));
    assert.deepEqual(documentsOf("language"), { fr: 2 });
    assert.deepEqual(documentsOf("type"), { invoice: 1, document: 1 });
    assert.deepEqual(documentsOf("folder"), { mail: 2 });
    assert.deepEqual(documentsOf("problem"), { encrypted: 1 });
    assert.equal(only(failures).problem, "encrypted");
    assert.notEqual(batch.endedAt, undefined);
  });

  check("a batch that is paused begins nothing, lets others pass, and goes on when it is resumed", async (lab) => {
    const batchId = await openBatch(lab);
    await addAll(lab, { "a.txt": "a", "b.txt": "b" }, { batchId });
    const worker = await joinWorker(lab);
    await lab.owner.mutation(api.batches.pause, { id: batchId });
    await addAll(lab, { "late.txt": "late" }, { batchId });
    assert.deepEqual(await worker.claim(), []);
    await lab.mutation(internal.workers.check, {});
    assert.deepEqual(await worker.claim(), []);
    await addAll(lab, { "other.txt": "other" });
    assert.equal((await worker.claim()).length, 1);
    assert.equal((await summaryOf(lab, batchId)).batch.state, "paused");

    await lab.owner.mutation(api.batches.resume, { id: batchId });
    assert.equal((await worker.claim()).length, 3);
  });

  check("cancelling a batch lets go of what was not read, and of nothing else", async (lab) => {
    const batchId = await openBatch(lab);
    await addAll(lab, { "a.txt": "a" }, { batchId });
    const worker = await joinWorker(lab);
    await worker.settle(only(await worker.claim()), read);
    await addAll(lab, { "b.txt": "b", "c.txt": "c" }, { batchId });
    const [running] = await worker.claim(1);
    assert(running);
    await lab.owner.mutation(api.batches.cancel, { id: batchId });
    await worker.settle(running, { type: "snoozed", delayMs: 0 });
    await drain(worker);
    assert.deepEqual(
      (await lab.owner.query(api.documents.list, {})).map((document) => [document.name, document.state]),
      [["a.txt", "ready"]],
    );
    assert.equal((await summaryOf(lab, batchId)).batch.state, "cancelled");
  });

  check("of a batch that is reviewed nothing counts until it is accepted, group by group", async (lab) => {
    const batchId = await openBatch(lab, { isReviewed: true });
    const ids = await addAll(lab, { "a.txt": "a", "b.txt": "b", "c.txt": "c" }, { batchId });
    const worker = await joinWorker(lab);
    const jobs = await worker.claim();
    await assert.rejects(lab.owner.mutation(api.batches.decide, { id: batchId, isAccepted: true }), codeOf("conflict"));
    for (const [at, job] of jobs.entries()) await worker.settle(job, readAs({ language: at === 0 ? "fr" : "en" }));
    assert.equal((await lab.owner.query(api.documents.counts, {})).staged, 3);
    assert.equal((await lab.owner.query(api.documents.counts, {})).passages, 0);
    assert.equal((await lab.owner.query(api.documents.get, { id: ids[0]! }))?.state, "staged");
    const hold = (await lab.query(internal.documents.fileForIngest, { documentId: ids[0]! }))?.hold;
    assert.deepEqual(hold, { batchId, folder: "" });

    const french = { by: "language", value: "fr" } as const;
    await lab.owner.mutation(api.batches.decide, { id: batchId, isAccepted: true, only: french });
    await assert.rejects(lab.owner.mutation(api.batches.decide, { id: batchId, isAccepted: false }), codeOf("conflict"));
    assert.equal((await worker.claim())[0]?.kind, "batches.decide");
    assert.deepEqual(await lab.query(internal.batches.decision, { batchId }), { isAccepted: true, only: french });
    await carryOut(lab, batchId);
    assert.deepEqual(await statesOf(lab, ids), ["ready", "staged", "staged"]);

    await lab.owner.mutation(api.batches.decide, { id: batchId, isAccepted: false });
    await carryOut(lab, batchId);
    await drain(worker);
    assert.deepEqual(await statesOf(lab, ids), ["ready", undefined, undefined]);
    assert.equal((await summaryOf(lab, batchId)).batch.sums.staged, 0);
  });

  check("other bytes under the same key are a new version; the one before counts until the new one was read", async (lab) => {
    const worker = await joinWorker(lab);
    const [first] = await addAll(lab, { "lease.md": "one" }, { key: "file:/lease.md" });
    await worker.settle(only(await worker.claim()), read);
    const [second] = await addAll(lab, { "lease.md": "two" }, { key: "file:/lease.md" });
    assert(first && second);
    assert.notEqual(first, second);
    assert.deepEqual(await statesOf(lab, [first, second]), ["ready", "waiting"]);
    await worker.settle(only(await worker.claim()), read);
    assert.deepEqual(await statesOf(lab, [first, second]), ["replaced", "ready"]);
    const found = only(await lab.owner.query(api.documents.find, { name: "lease.md" }));
    assert.deepEqual([found.id, found.version], [second, 2]);
    const history = await lab.owner.query(api.documents.history, { id: second });
    assert.deepEqual(
      history.map(({ version }) => version),
      [2, 1],
    );
    assert.equal((await lab.owner.query(api.documents.list, {})).length, 1);

    await lab.owner.mutation(api.documents.forget, { id: second });
    await drain(worker);
    assert.deepEqual(await statesOf(lab, [first, second]), [undefined, undefined]);
  });

  check("a new version that cannot be read takes nothing away", async (lab) => {
    const worker = await joinWorker(lab);
    const ids = await addAll(lab, { "a.txt": "one" }, { key: "k" });
    await worker.settle(only(await worker.claim()), read);
    ids.push(...(await addAll(lab, { "a.txt": "two" }, { key: "k" })));
    await worker.settle(only(await worker.claim()), { type: "done", result: { type: "unreadable", problem: "damaged" } });
    assert.deepEqual(await statesOf(lab, ids), ["ready", "unreadable"]);
    // And when the file is as it was, the failed one is forgotten.
    await addAll(lab, { "a.txt": "one" }, { key: "k" });
    await drain(worker);
    assert.deepEqual(await statesOf(lab, ids), ["ready", undefined]);
  });

  check("versions that are read in another order end with the newest, and the oldest go beyond a few", async (lab) => {
    const worker = await joinWorker(lab);
    const ids: Id<"documents">[] = [];
    for (let at = 1; at <= 2; at += 1) ids.push(...(await addAll(lab, { "a.txt": `version ${at}` }, { key: "k" })));
    const [older, newer] = await worker.claim();
    assert(older && newer);
    await worker.settle(newer, read);
    await worker.settle(older, read);
    assert.deepEqual(await statesOf(lab, ids), ["replaced", "ready"]);
    for (let at = 3; at <= versionsKeptMax + 3; at += 1) {
      ids.push(...(await addAll(lab, { "a.txt": `version ${at}` }, { key: "k" })));
      for (const job of await worker.claim()) await worker.settle(job, job.kind === "documents.ingest" ? read : { type: "done" });
    }
    await drain(worker);
    const states = await statesOf(lab, ids);
    assert.deepEqual(
      states.map((state) => state ?? "gone"),
      ["gone", "gone", ...Array.from({ length: versionsKeptMax }, () => "replaced"), "ready"],
    );
  });

  check("the same bytes under other names are found by each of them", async (lab) => {
    const [id] = await addAll(lab, { "a.txt": "same" });
    const hash = Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from("same"))).toString("hex");
    const files = [
      { name: "copies/b.txt", sha256: hash },
      { name: "c.txt", sha256: hash.replaceAll(/./gu, "0") },
    ];
    assert.deepEqual(await lab.owner.mutation(api.documents.note, { files }), [true, false]);
    assert.equal(only(await lab.owner.query(api.documents.find, { name: "b.txt" })).id, id);
    assert.deepEqual((await lab.owner.query(api.documents.detail, { id: id! }))?.names, ["copies/b.txt"]);
  });

  check("entries of a holder are documents once, however often they are told, and go with it", async (lab) => {
    const worker = await joinWorker(lab);
    const [loose] = await addAll(lab, { "loose.txt": "loose" });
    await worker.settle(only(await worker.claim()), read);
    const [holder] = await addAll(lab, { "all.zip": "zip" });
    assert(loose && holder);
    const job = only(await worker.claim());
    const hash = async (text: string): Promise<string> =>
      Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(text))).toString("hex");
    const entries = [
      { entry: 0, name: "in/a.txt", sha256: await hash("a"), sizeBytes: 1 },
      { entry: 1, name: "copy.txt", sha256: await hash("loose"), sizeBytes: 5 },
    ];
    const ask = { parentId: holder, entries, uploads: [] };
    assert.deepEqual((await lab.mutation(internal.sources.unpack, ask)).missing, [0]);
    for (let round = 0; round < 2; round += 1) {
      const uploads = [{ entry: 0, storageId: await lab.upload("a") }];
      assert.deepEqual((await lab.mutation(internal.sources.unpack, { ...ask, uploads })).missing, []);
    }
    const child = only(await lab.owner.query(api.documents.find, { name: "all.zip/in/a.txt" }));
    assert.equal(child.parentId, holder);
    await worker.settle(job, readAs({ format: "archive", passages: 0, entries: 2 }));
    await worker.settle(only(await worker.claim()), read);
    const detail = await lab.owner.query(api.documents.detail, { id: holder });
    assert.deepEqual(detail?.entries.map(({ id }) => id).toSorted(), [child.id, loose].toSorted());

    await lab.owner.mutation(api.documents.forget, { id: holder });
    await lab.mutation(internal.sources.dropEntries, { parentId: holder });
    await drain(worker);
    assert.deepEqual(await statesOf(lab, [holder, child.id, loose]), [undefined, undefined, "ready"]);
  });

  check("where a text and a figure disagree, the document says it and so does an event", async (lab) => {
    const contradictions = [{ label: "sales", stated: "12 %", read: "21 %", page: 2 }];
    const id = await addText(lab, "a.txt", "hello");
    const worker = await joinWorker(lab);
    const reading = { format: "text" as const, title: "T", language: "en", passages: 3, contradictions };
    await worker.settle(only(await worker.claim()), { type: "done", result: { type: "read", reading } });

    assert.deepEqual((await lab.owner.query(api.documents.get, { id }))?.reading?.contradictions, contradictions);
    const events = await lab.owner.query(api.events.list, {});
    const told = events.find(({ type }) => type === "contradictionFound");
    assert.deepEqual([told?.documentId, told?.name], [id, "a.txt"]);
    assert.equal(told?.text, "a.txt: The text says 12 % for sales, the figure on page 2 shows 21 %.");
  });

  check("pictures are kept once in their places and go with their document", async (lab) => {
    const [documentId] = await addAll(lab, { "a.pdf": "pdf" });
    assert(documentId);
    const facts = { ordinal: 0, type: "figure", mediaType: "image/webp", width: 4, height: 3 } as const;
    const stored = [await lab.upload("one"), await lab.upload("two"), await lab.upload("three")];
    for (const storageId of stored.slice(0, 2)) await lab.mutation(internal.pictures.put, { documentId, storageId, facts });
    await lab.mutation(internal.pictures.put, { documentId, storageId: stored[2]!, facts: { ...facts, ordinal: 1 } });
    const pictures = await lab.owner.query(api.pictures.ofDocument, { documentId });
    assert.deepEqual(
      pictures.map(({ ordinal, sizeBytes }) => [ordinal, sizeBytes]),
      [
        [0, 3],
        [1, 5],
      ],
    );
    await lab.mutation(internal.pictures.trim, { documentId, count: 1 });
    const left = only(await lab.owner.query(api.pictures.ofDocument, { documentId }));
    assert.equal((await lab.query(internal.pictures.forServing, { id: left.id }))?.mediaType, "image/webp");
    assert.equal(await lab.query(internal.pictures.forServing, { id: "nonsense" }), null);

    await lab.owner.mutation(api.documents.forget, { id: documentId });
    await drain(await joinWorker(lab));
    assert.equal(await lab.query(internal.pictures.forServing, { id: left.id }), null);
  });

  check("what the owner says of documents goes before what was read, and their passages follow", async (lab) => {
    const worker = await joinWorker(lab);
    const batchId = await openBatch(lab);
    const ids = await addAll(lab, { "a.txt": "a", "b.txt": "b" }, { batchId });
    for (const job of await worker.claim()) await worker.settle(job, readAs({ language: "en" }));
    await assert.rejects(lab.owner.mutation(api.documents.edit, { ids, labels: { entityType: "poem" } }), codeOf("invalid"));
    await lab.owner.mutation(api.documents.edit, { ids: ids.slice(0, 1), labels: { entityType: "invoice", title: "Mine" } });
    assert.equal(only(await worker.claim()).kind, "documents.label");
    const [filed] = await lab.query(internal.documents.filed, { documentIds: ids });
    assert.deepEqual(filed?.labels, {
      entityType: "invoice",
      language: "en",
      domain: "general",
      title: "Mine",
      scope: "private",
    });
    const only1 = { by: "type", value: "invoice" } as const;
    await lab.owner.mutation(api.batches.edit, { id: batchId, only: only1, labels: { domain: "boats" } });
    const { groups } = await summaryOf(lab, batchId);
    assert.deepEqual(groups.find(({ by, value }) => by === "theme" && value === "boats")?.documents, 1);
    await lab.owner.mutation(api.documents.edit, { ids, labels: { entityType: "" } });
    assert.equal((await lab.query(internal.documents.filed, { documentIds: ids }))[0]?.labels.entityType, "document");
  });

  check("documents in almost the same words are shown beside each other", async (lab) => {
    const worker = await joinWorker(lab);
    const ids = await addAll(lab, { "a.txt": "a", "b.txt": "b", "c.txt": "c" });
    const sketches = [
      [1, 2, 3, 4],
      [1, 2, 3, 5],
      [6, 7, 8, 9],
    ];
    for (const [at, job] of (await worker.claim()).entries()) {
      const wording = { sketch: sketches[at]!, bands: [`first ${sketches[at]![0]}`] };
      await worker.settle(job, { type: "done", result: { ...readAs({}).result, wording } });
    }
    const alike = (await lab.owner.query(api.documents.detail, { id: ids[0]! }))?.alike;
    assert.deepEqual(alike, [{ id: ids[1], name: "b.txt", share: 0.75 }]);
  });

  check(
    "a watched file is known by its size and time, and is forgotten with it only when the folder is mirrored",
    async (lab) => {
      const worker = await joinWorker(lab);
      const watchId = await lab.owner.mutation(api.watches.add, { path: "/home/me/papers/" });
      assert.equal(await lab.owner.mutation(api.watches.add, { path: "/home/me/papers" }), watchId);
      for (const path of ["papers", "", "/", "/a\nb"])
        await assert.rejects(lab.owner.mutation(api.watches.add, { path }), codeOf("invalid"));
      const batchId = await lab.mutation(internal.batches.openWatched, { watchId, label: "papers" });
      assert(batchId);
      const seen = { watchId, sizeBytes: 1, mtimeMs: 5 };
      const file = { name: "papers/a.txt", key: "file:/home/me/papers/a.txt", seen, storageId: await lab.upload("a") };
      const [added] = await lab.mutation(internal.watches.addFiles, { files: [file], batchId });
      assert(added);
      await worker.settle(only(await worker.claim()), read);
      const known = async () =>
        (await lab.query(internal.watches.seen, { watchId, paginationOpts: { numItems: 10, cursor: null } })).page;
      assert.deepEqual(await known(), [{ key: file.key, sizeBytes: 1, mtimeMs: 5 }]);

      await lab.mutation(internal.watches.gone, { watchId, keys: [file.key] });
      assert.deepEqual([await known(), await statesOf(lab, [added.id])], [[], ["ready"]]);

      await lab.owner.mutation(api.watches.add, { path: "/home/me/papers", mode: "mirror" });
      const again = { ...file, storageId: await lab.upload("a") };
      await lab.mutation(internal.watches.addFiles, { files: [again], batchId });
      await lab.mutation(internal.watches.gone, { watchId, keys: [file.key] });
      await drain(worker);
      assert.deepEqual(await statesOf(lab, [added.id]), [undefined]);
    },
  );

  check("a watched file that the owner forgets is not taken in again until it changes", async (lab) => {
    const watchId = await lab.owner.mutation(api.watches.add, { path: "/papers" });
    const batchId = await lab.mutation(internal.batches.openWatched, { watchId, label: "papers" });
    assert(batchId);
    const file = { name: "a.txt", key: "file:/papers/a.txt", seen: { watchId, sizeBytes: 1, mtimeMs: 5 } };
    const [added] = await lab.mutation(internal.watches.addFiles, {
      files: [{ ...file, storageId: await lab.upload("a") }],
      batchId,
    });
    await lab.owner.mutation(api.documents.forget, { id: added!.id });
    await drain(await joinWorker(lab));
    const { page } = await lab.query(internal.watches.seen, { watchId, paginationOpts: { numItems: 10, cursor: null } });
    assert.equal(only(page).mtimeMs, 5);
  });
}

type Files = Readonly<Record<string, string>>;

async function addAll(
  lab: Lab,
  files: Files,
  { batchId, key }: { batchId?: Id<"batches">; key?: string } = {},
): Promise<Id<"documents">[]> {
  const sent = [];
  for (const [name, content] of Object.entries(files))
    sent.push({ name, storageId: await lab.upload(content), ...(key !== undefined && { key }) });
  const added = await lab.owner.mutation(api.documents.add, { files: sent, ...(batchId && { batchId }) });
  return added.map(({ id }) => id);
}

const openBatch = (lab: Lab, options: { isReviewed?: boolean } = {}): Promise<Id<"batches">> =>
  lab.owner.mutation(api.batches.open, { label: "papers", origin: "command", ...options });

async function summaryOf(lab: Lab, id: Id<"batches">) {
  const summary = await lab.owner.query(api.batches.summary, { id });
  assert(summary);
  return summary;
}

const statesOf = (lab: Lab, ids: readonly Id<"documents">[]): Promise<(string | undefined)[]> =>
  Promise.all(ids.map(async (id) => (await lab.owner.query(api.documents.get, { id }))?.state));

function readAs(reading: object) {
  const facts = { format: "text" as const, title: "T", language: "en", passages: 3, ...reading };
  return { type: "done" as const, result: { type: "read" as const, reading: facts } };
}

/** As the function does, after the passages. */
async function carryOut(lab: Lab, batchId: Id<"batches">): Promise<void> {
  let cursor: string | null = null;
  do cursor = await lab.mutation(internal.batches.decideSome, { batchId, cursor });
  while (cursor !== null);
}

/** Whatever is due is done. */
async function drain(worker: Worker): Promise<void> {
  for (let jobs = await worker.claim(); jobs.length > 0; jobs = await worker.claim())
    for (const job of jobs) await worker.settle(job, { type: "done" });
}
