import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { findDocumentThemes } from "../../../functions/themes/find.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { profileOf, toBytes } from "../../../ml/organize/themes.ts";
import { addText, joinWorker, only, type Worker } from "../../contracts/lab.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const baseline = baselineEmbedder();
const boats = [
  "The sail boat needs a new sail and a mast.",
  "A boat with two sails and a wooden mast.",
  "Sails and ropes for the boat.",
  "The boat's mast broke in the storm.",
];
const taxes = [
  "The tax return is due with the income tax form.",
  "Income tax and the tax office's letter.",
  "Tax form for the income of the year.",
  "The tax office asks for the income.",
];

/** Reads what waits as an appliance would, with the sort of profile that an ingest makes. */
async function readAll(state: FakeState, worker: Worker, texts: ReadonlyMap<Id<"documents">, string>): Promise<string[]> {
  const kinds: string[] = [];
  for (const job of await worker.claim(8)) {
    kinds.push(job.kind);
    if (job.kind !== "documents.ingest") continue;
    const row = await state.run((ctx) => ctx.db.get(job.jobId));
    const text = texts.get(row?.documentId as Id<"documents">) ?? "";
    const { vector, terms } = profileOf({ id: "", language: "en", texts: [text], vectors: baseline.embed([text]) });
    const profile = { language: "en", vector: toBytes(vector).buffer, terms: [...terms] };
    const reading = { format: "text" as const, title: "T", language: "en", passages: 1 };
    assert(await worker.settle(job, { type: "done", result: { type: "read", reading, profile } }));
  }
  return kinds;
}

test("once enough documents were read, they are filed under what they are about, and the vault is told", async () => {
  const state = openFakeState();
  const worker = await joinWorker(state);
  const texts = new Map<Id<"documents">, string>();
  for (const [at, text] of [...boats, ...taxes].entries()) texts.set(await addText(state, `${at}.txt`, text), text);
  // The last one has nothing to say, and is still the last.
  await addText(state, "last.txt", "nothing");
  await readAll(state, worker, texts);
  assert(await worker.settle(only(await worker.claim()), { type: "done", result: { type: "unreadable", problem: "noText" } }));
  const job = only((await worker.claim()).filter(({ kind }) => kind === "themes.find"));
  const call = { jobId: job.jobId, args: {}, attempt: 1, signal: new AbortController().signal, progress: () => {} };
  await findDocumentThemes.run(call, { state });

  const domains = new Map<string, Set<string>>();
  for (const document of await state.run((ctx) => ctx.db.query("documents").collect())) {
    const topic = boats.includes(texts.get(document._id) ?? "") ? "boats" : "taxes";
    domains.set(topic, (domains.get(topic) ?? new Set()).add(document.domain ?? ""));
  }
  const [boatThemes, taxThemes] = [domains.get("boats"), domains.get("taxes")];
  assert(boatThemes && taxThemes);
  const all = [...boatThemes, ...taxThemes];
  assert.ok(all.length >= 2 && !all.includes("general"), all.join());
  // A few documents may fall into more themes than one; two subjects never into the same.
  assert.ok(boatThemes.isDisjointFrom(taxThemes), all.join());
  assert(await worker.settle(job, { type: "done" }));
  assert.deepEqual(new Set((await worker.claim(16)).map(({ kind }) => kind)), new Set(["documents.label"]));
});

test("what is forgotten leaves no profile", async () => {
  const state = openFakeState();
  const worker = await joinWorker(state);
  const id = await addText(state, "a.txt", "boats");
  await readAll(state, worker, new Map([[id, "boats and sails"]]));
  assert.equal((await state.query(internal.themes.profiles, { cursor: null })).profiles.length, 1);
  await state.owner.mutation(api.documents.forget, { id });
  for (const job of await worker.claim()) await worker.settle(job, { type: "done" });
  assert.equal((await state.query(internal.themes.profiles, { cursor: null })).profiles.length, 0);
});
