/** Files that hold files, pictures, and the owner's word, through the real control plane and the functions that do the work. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Outcome } from "../../../convex/model/job.ts";
import { unpacking } from "../../../convex/model/document.ts";
import type { Ports } from "../../../functions/define.ts";
import { jobFunctions } from "../../../functions/registry.ts";
import type { ReadPicture } from "../../../functions/ports/reader.ts";
import { joinWorker, type Worker } from "../../contracts/lab.ts";
import { fakeEmbedder } from "../../fakes/embedder.ts";
import { fakeReader } from "../../fakes/reader.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";
import { fakeVectors } from "../../fakes/vectors.ts";

const never = new AbortController().signal;

/** What an appliance is to functions: bytes go in and out of the control plane's own storage. */
async function openPorts(changes: Partial<Ports> = {}) {
  const state = openFakeState();
  const urls = new Map<string, Uint8Array>();
  let writes = 0;
  const ports: Ports = {
    state: {
      ...state,
      async query(f, args) {
        const found = await state.query(f, args);
        const file: { url?: string; storageId?: Id<"_storage"> } | null = found;
        if (file?.url !== undefined && file.storageId) {
          const { storageId } = file;
          const stored = await state.run(async (ctx) => (await ctx.storage.get(storageId))?.arrayBuffer() ?? null);
          urls.set(file.url, new Uint8Array(stored ?? assert.fail("the file is gone")));
        }
        return found;
      },
    },
    files: {
      read: async (url) => urls.get(url) ?? assert.fail(`nothing at ${url}`),
      open: (url, { sizeBytes }) => ({
        sizeBytes,
        async *pieces() {
          yield urls.get(url) ?? assert.fail(`nothing at ${url}`);
        },
      }),
      async write(_url, bytes) {
        writes += 1;
        return state.run((ctx) => ctx.storage.store(new Blob([bytes as Uint8Array<ArrayBuffer>])));
      },
    },
    reader: fakeReader(),
    embedder: fakeEmbedder(),
    vectors: fakeVectors(),
    clock: { now: () => Date.now() },
    answers: { ask: async () => undefined, call: async () => "" },
    ...changes,
  };
  return { state, ports, writes: () => writes };
}

/** Runs everything that is due, as the runtime does. `cutOff` of them end as if the appliance had died. */
async function runAll(state: FakeState, ports: Ports, worker: Worker): Promise<void> {
  for (;;) {
    const jobIds = (await state.query(internal.work.head, { limit: 64 })).slice(0, 8);
    const answer = await state.mutation(internal.work.exchange, {
      ...worker.id,
      settle: [],
      claim: { token: `${Math.random()}`, jobIds },
    });
    if (answer.claimed.length === 0) return;
    for (const { jobId, kind, args, attempt } of answer.claimed) {
      const outcome = await runOne(kind, { jobId, args, attempt }, ports);
      const token = (await state.run((ctx) => ctx.db.get(jobId)))?.lease?.token ?? "";
      assert(await worker.settle({ jobId, token }, outcome));
    }
  }
}

async function runOne(kind: string, job: { jobId: string; args: unknown; attempt: number }, ports: Ports): Promise<Outcome> {
  const f = jobFunctions.find((one) => one.kind === kind);
  assert(f, kind);
  return f.run({ ...job, args: job.args, signal: never, progress: () => {} }, ports);
}

async function add(state: FakeState, name: string, content: string, batchId?: Id<"batches">): Promise<Id<"documents">> {
  const storageId = await state.upload(content);
  const [added] = await state.owner.mutation(api.documents.add, {
    files: [{ name, storageId, key: `k:${name}` }],
    ...(batchId && { batchId }),
  });
  assert(added);
  return added.id;
}

const search = async (ports: Ports, text: string): Promise<string[]> => {
  const [vector] = await ports.embedder.passages([text], never);
  const branches = [{ name: "dense", weight: 1, vector: vector! }];
  const hits = await ports.vectors.search({ tenantId: "owner", branches, limit: 50 }, never);
  return [...new Set(hits.map((hit) => hit.documentName))].toSorted();
};

test("what lies in a file that holds files, at any depth, is found under its own name, and goes with it", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  const inner = JSON.stringify({ "deep.txt": "deep words" });
  const holder = await add(state, "all.box", JSON.stringify({ "a.txt": "one", "b/c.txt": "two", "in.box": inner }));
  await runAll(state, ports, worker);
  assert.deepEqual(await search(ports, "words"), ["all.box/a.txt", "all.box/b/c.txt", "all.box/in.box/deep.txt"]);
  const document = await state.owner.query(api.documents.get, { id: holder });
  assert.deepEqual([document?.state, document?.reading?.entries], ["ready", 3]);

  await state.owner.mutation(api.documents.forget, { id: holder });
  for (let round = 0; round < 3; round += 1) {
    await new Promise((done) => setTimeout(done, 20)); // What is scheduled runs on timers of the test's own store.
    await runAll(state, ports, worker);
  }
  assert.deepEqual(await search(ports, "words"), []);
  assert.equal((await state.owner.query(api.documents.list, {})).length, 0);
});

test("what is locked in a holder is listed with its reason, each for itself", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  const holder = await add(state, "all.box", JSON.stringify({ "a.txt": "one", "b.txt": "two", "c.txt": "three" }));
  const entries: Ports["reader"]["entries"] = async (bytes, options) => {
    const some = await ports.reader.entries(bytes, options);
    return {
      ...some,
      entries: some.entries.map((entry) =>
        entry.name === "a.txt" ? entry : { name: entry.name, bytes: new Uint8Array(), problem: "encrypted" as const },
      ),
    };
  };
  await runAll(state, { ...ports, reader: { ...ports.reader, entries } }, worker);
  const documents = await state.owner.query(api.documents.list, {});
  assert.deepEqual(
    documents
      .map(({ name, state: became, problem }) => [name, became, problem?.problem])
      .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      ["all.box", "ready", undefined],
      ["all.box/a.txt", "ready", undefined],
      ["all.box/b.txt", "unreadable", "encrypted"],
      ["all.box/c.txt", "unreadable", "encrypted"],
    ],
  );
  await runOne(
    "documents.ingest",
    { jobId: "j", args: { documentId: holder }, attempt: 1 },
    { ...ports, reader: { ...ports.reader, entries } },
  );
  assert.equal((await state.owner.query(api.documents.list, {})).length, 4, "going through it again adds nothing");
});

test("of a holder with more files than one may take out, as many come out as may", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  const holder = await add(state, "all.box", JSON.stringify({ "a.txt": "one", "b.txt": "two" }));
  await state.run(async (ctx) => {
    await ctx.db.patch(holder, { unpacked: { entries: unpacking.entriesMax - 1, sizeBytes: 0 } });
  });
  await runAll(state, ports, worker);
  const document = await state.owner.query(api.documents.get, { id: holder });
  assert.deepEqual([document?.state, document?.reading?.hasMore], ["ready", true]);
  assert.equal((await state.owner.query(api.documents.list, {})).length, 2);
});

test("a holder that was cut off is gone through again, and nothing is uploaded or added twice", async () => {
  const { state, ports, writes } = await openPorts();
  const holder = await add(state, "all.box", JSON.stringify({ "a.txt": "one", "b.txt": "two", "c.txt": "three" }));
  const job = { jobId: "j", args: { documentId: holder }, attempt: 1 };
  for (let round = 0; round < 3; round += 1) await runOne("documents.ingest", job, ports);
  assert.equal(writes(), 3);
  assert.equal((await state.owner.query(api.documents.list, {})).length, 4);
});

test("holders packed into each other too deep are refused", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  let content = JSON.stringify({ "core.txt": "core" });
  for (let depth = 0; depth < 6; depth += 1) content = JSON.stringify({ "in.box": content });
  await add(state, "all.box", content);
  await runAll(state, ports, worker);
  const documents = await state.owner.query(api.documents.list, {});
  assert.equal(documents.find(({ state: one }) => one === "unreadable")?.problem?.problem, "bomb");
  assert.deepEqual(await search(ports, "core"), []);
});

test("pictures are stored once, however often their document is read, and fewer of them later", async () => {
  const picture = (name: string): ReadPicture => ({
    type: "figure",
    bytes: new TextEncoder().encode(name),
    mediaType: "image/webp",
    width: 2,
    height: 1,
    page: 3,
    caption: name,
  });
  let pictures = [picture("one"), picture("two")];
  const reader = fakeReader();
  const { state, ports, writes } = await openPorts({
    reader: {
      ...reader,
      async read(bytes, options) {
        const reading = await reader.read(bytes, options);
        return reading.type === "read" ? { ...reading, pictures } : reading;
      },
    },
  });
  const documentId = await add(state, "a.txt", "text");
  const job = { jobId: "j", args: { documentId }, attempt: 1 };
  for (let round = 0; round < 2; round += 1) await runOne("documents.ingest", job, ports);
  assert.equal(writes(), 2);
  pictures = [picture("one")];
  await runOne("documents.ingest", job, ports);
  const kept = await state.owner.query(api.pictures.ofDocument, { documentId });
  assert.deepEqual(
    kept.map(({ ordinal, caption, page }) => [ordinal, caption, page]),
    [[0, "one", 3]],
  );
});

test("what is reviewed is found once it is accepted, and what is rejected never", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  const batchId = await state.owner.mutation(api.batches.open, { label: "b", origin: "page", isReviewed: true });
  await add(state, "mail/a.txt", "apples", batchId);
  await add(state, "notes/b.txt", "berries", batchId);
  await runAll(state, ports, worker);
  assert.deepEqual(await search(ports, "apples"), []);

  const only = { by: "folder", value: "mail" } as const;
  await state.owner.mutation(api.batches.decide, { id: batchId, isAccepted: true, only });
  await runAll(state, ports, worker);
  assert.deepEqual(await search(ports, "apples"), ["mail/a.txt"]);

  await state.owner.mutation(api.batches.decide, { id: batchId, isAccepted: false });
  await runAll(state, ports, worker);
  assert.deepEqual(
    (await state.owner.query(api.documents.list, {})).map(({ name }) => name),
    ["mail/a.txt"],
  );
  assert.equal(await ports.vectors.count({ tenantId: "owner" }), 1);
});

test("the words of a version that was replaced are not found any more", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  await add(state, "a.txt", "the old words");
  await runAll(state, ports, worker);
  await add(state, "a.txt", "the new words, which are longer");
  await runAll(state, ports, worker);
  assert.equal(await ports.vectors.count({ tenantId: "owner" }), 1);
});

test("what the owner says is written to passages that are there, and to those that come", async () => {
  const { state, ports } = await openPorts();
  const worker = await joinWorker(state);
  const id = await add(state, "a.txt", "one\ntwo");
  await runAll(state, ports, worker);
  await state.owner.mutation(api.documents.edit, { ids: [id], labels: { domain: "boats", entityType: "manual" } });
  await runAll(state, ports, worker);
  const key = { tenantId: "owner", documentId: id };
  const labelled = await ports.vectors.passages({ ...key, from: 0, to: 9 }, never);
  assert.deepEqual(
    labelled.map(({ domain, entityType }) => [domain, entityType]),
    [
      ["boats", "manual"],
      ["boats", "manual"],
    ],
  );
  const again = { jobId: "j", args: { documentId: id }, attempt: 1 };
  await runOne("documents.ingest", again, ports);
  assert.equal((await ports.vectors.passages({ ...key, from: 0, to: 0 }, never))[0]?.domain, "boats");
});

test("clearing waits for a store that does not answer, however long", async () => {
  const { ports } = await openPorts();
  const { NikaError } = await import("../../../convex/model/error.ts");
  const down: Ports = {
    ...ports,
    vectors: { ...ports.vectors, remove: async () => Promise.reject(new NikaError("unavailable", "down")) },
  };
  const job = { jobId: "j", args: { documentId: "d" }, attempt: 1 };
  assert.equal((await runOne("documents.clear", job, down)).type, "snoozed");
});
