/** What happens to a job, told to the document it is about. Runs inside the transaction that moves the job. */
import type { WithoutSystemFields } from "convex/server";
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { contradictionSentence, problemMessages, versionsKeptMax, type Problem, type ReadingSummary } from "../model/document.ts";
import { isOpen, type JobStep, type Outcome } from "../model/job.ts";
import { enqueue } from "./enqueue.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";
import { dropProfile, keepProfile, lookForThemes } from "./theme.ts";
import { keepWording } from "./likeness.ts";

type Document = Doc<"documents">;

const passagesOf = (document: Document): number => (document.state === "ready" ? (document.reading?.passages ?? 0) : 0);
/** Rows of one kind that belong to one document; what could be more is kept under this when it is written. */
const ownedMax = 4_000;

/** Writes a new document and counts it. */
export async function insertDocument(turn: Turn, document: WithoutSystemFields<Document>): Promise<Id<"documents">> {
  turn.tally.add("documents", document.state, 1);
  turn.sums.moved(undefined, document);
  return turn.db.insert("documents", document);
}

/** The document as it is from now on; what is absent in `after` is dropped. Keeps the counts. */
export async function replaceDocument(turn: Turn, before: Document, after: Document): Promise<void> {
  turn.tally.add("documents", before.state, -1);
  turn.tally.add("documents", after.state, 1);
  turn.tally.add("documents", "passages", passagesOf(after) - passagesOf(before));
  turn.sums.moved(before, after);
  await turn.db.replace(before._id, after);
}

/** Removes the row, its file, its pictures and whatever else was kept of it. */
export async function deleteDocument(turn: Turn, document: Document): Promise<void> {
  turn.tally.add("documents", document.state, -1);
  turn.tally.add("documents", "passages", -passagesOf(document));
  turn.sums.moved(document, undefined);
  await turn.db.delete(document._id);
  await deleteFile(turn, document.storageId);
  const ofDocument = <T extends "sources" | "pictures" | "sketches" | "bands">(table: T) =>
    turn.db
      .query(table)
      .withIndex("by_documentId", (q) => q.eq("documentId", document._id as never))
      .take(ownedMax);
  for (const source of await ofDocument("sources")) {
    // A watched file that was forgotten must not come back at the next look at its folder.
    if (source.seen) await turn.db.patch(source._id, { documentId: undefined });
    else await turn.db.delete(source._id);
  }
  for (const picture of await ofDocument("pictures")) {
    await turn.db.delete(picture._id);
    await deleteFile(turn, picture.storageId);
  }
  await dropProfile(turn, document._id);
  for (const row of [...(await ofDocument("sketches")), ...(await ofDocument("bands"))]) await turn.db.delete(row._id);
}

export async function deleteFile(turn: Turn, storageId: Id<"_storage"> | undefined): Promise<void> {
  if (storageId && (await turn.db.system.get(storageId))) await turn.storage.delete(storageId);
}

/** Has the document read, from wherever it stands. */
export async function startReading(turn: Turn, document: Document): Promise<void> {
  const { problem: _problem, reading: _reading, readyAt: _readyAt, ...kept } = document;
  const job = document.jobId && (await turn.db.get(document.jobId));
  // What an earlier try left is still being cleared away: the reading begins when that is over.
  if (job && isOpen(job.state) && job.kind === "documents.clear") {
    await replaceDocument(turn, document, { ...kept, state: "waiting" });
    return;
  }
  const jobId = await enqueue(turn, {
    kind: "documents.ingest",
    args: { documentId: document._id },
    label: document.name,
    documentId: document._id,
    ...(document.batchId && { batchId: document.batchId }),
  });
  await replaceDocument(turn, document, { ...kept, state: "waiting", jobId });
}

/** Has what was made of the document removed, then the document. No ingest of it may be open. */
export async function startForgetting(turn: Turn, document: Document): Promise<void> {
  const jobId = await enqueue(turn, {
    kind: "documents.forget",
    args: { documentId: document._id },
    label: document.name,
    documentId: document._id,
  });
  await replaceDocument(turn, document, { ...document, state: "forgetting", jobId });
  await turn.scheduler.runAfter(0, internal.uses.forget, { documentId: document._id });
  if (document.reading?.entries !== undefined) await dropEntries(turn, document._id);
}

/** What came out of a holder goes with it, unless it came from elsewhere too. */
async function dropEntries(turn: Turn, parentId: Id<"documents">): Promise<void> {
  await turn.scheduler.runAfter(0, internal.sources.dropEntries, { parentId });
}

/** Has its passages removed while the document stays. */
async function startClearing(turn: Turn, document: Document): Promise<Id<"jobs">> {
  return enqueue(turn, {
    kind: "documents.clear",
    args: { documentId: document._id },
    label: document.name,
    documentId: document._id,
  });
}

/** Has the labels written to its passages. */
export async function startLabelling(turn: Turn, documents: readonly Document[]): Promise<void> {
  const [first] = documents;
  if (!first) return;
  await enqueue(turn, {
    kind: "documents.label",
    args: { documentIds: documents.map(({ _id }) => _id) },
    label: documents.length === 1 ? first.name : `${first.name} +${documents.length - 1}`,
  });
}

/** A worker took the job, or gave it back for another try. */
export async function jobMoved(turn: Turn, job: Doc<"jobs">, to: "ready" | "leased"): Promise<void> {
  if (job.kind !== "documents.ingest" || !job.documentId) return;
  const document = await turn.db.get(job.documentId);
  const [from, state] = to === "leased" ? (["waiting", "reading"] as const) : (["reading", "waiting"] as const);
  if (document?.state === from) await replaceDocument(turn, document, { ...document, state });
}

/** The job is over: done, dead or cancelled. */
export async function jobEnded(turn: Turn, job: Doc<"jobs">, step: JobStep, outcome?: Outcome): Promise<void> {
  const document = job.documentId && (await turn.db.get(job.documentId));
  if (!document) return;
  // Only now is nobody writing passages of it any more.
  if (job.kind === "documents.ingest" && document.state === "forgetting") await startForgetting(turn, document);
  else if (job.kind === "documents.ingest") {
    await ingestEnded(turn, document, { job, step, outcome });
    await lookForThemes(turn);
  } else if (job.kind === "documents.forget") await forgetEnded(turn, document, step);
  else if (job.kind === "documents.clear") await clearEnded(turn, document, job);
}

type Ended = { readonly job: Doc<"jobs">; readonly step: JobStep; readonly outcome: Outcome | undefined };

async function ingestEnded(turn: Turn, document: Document, { job, step, outcome }: Ended): Promise<void> {
  const result = outcome?.type === "done" ? outcome.result : undefined;
  if (step.state === "done" && result?.type === "read") {
    if (result.wording) await keepWording(turn, document._id, result.wording);
    if (result.profile) await keepProfile(turn, document._id, result.profile);
    return becomeRead(turn, document, result.reading);
  }
  if (step.state === "done" && result?.type === "unreadable") {
    const message = problemMessages[result.problem];
    await becomeUnreadable(turn, document, { problem: result.problem, message });
    return record(turn, {
      type: "documentUnreadable",
      name: document.name,
      text: `${document.name}: ${message}`,
      documentId: document._id,
    });
  }
  const hasBegun = job.attempts > 0 || job.deaths > 0;
  if (step.state === "cancelled") {
    const batch = document.batchId && (await turn.db.get(document.batchId));
    if (batch?.isCancelled) return startForgetting(turn, document);
    const message = "Reading it was cancelled; try again to have it read.";
    return becomeUnreadable(turn, document, { problem: "failed", message }, hasBegun);
  }
  const message = step.error?.message ?? problemMessages.failed;
  await becomeUnreadable(turn, document, { problem: "failed", message }, hasBegun);
  return record(turn, {
    type: "jobDead",
    name: document.name,
    text: `${document.name} could not be read: ${message}`,
    documentId: document._id,
  });
}

/** It was read. It counts from now on, unless the owner wants a look first. */
async function becomeRead(turn: Turn, document: Document, reading: ReadingSummary): Promise<void> {
  const { jobId: _jobId, problem: _problem, isRelabelled, ...kept } = document;
  const batch = document.batchId && (await turn.db.get(document.batchId));
  const isHeld = batch?.isReviewed === true && reading.entries === undefined;
  const read: Document = { ...kept, state: isHeld ? "staged" : "ready", readyAt: turn.now, reading };
  await replaceDocument(turn, document, read);
  if (isRelabelled) await startLabelling(turn, [read]);
  if (!isHeld) await becameReady(turn, read);
}

/** A held document counts from now on; its passages were let go already. */
export async function accept(turn: Turn, document: Document): Promise<void> {
  const accepted: Document = { ...document, state: "ready" };
  await replaceDocument(turn, document, accepted);
  await becameReady(turn, accepted);
}

async function becameReady(turn: Turn, document: Document): Promise<void> {
  await record(turn, {
    type: "documentReady",
    name: document.name,
    text: `${document.name} is ready.`,
    documentId: document._id,
  });
  const contradictions = document.reading?.contradictions ?? [];
  if (contradictions.length > 0)
    await record(turn, {
      type: "contradictionFound",
      name: document.name,
      text: `${document.name}: ${contradictions.slice(0, contradictionsSaidMax).map(contradictionSentence).join(" ")}`,
      documentId: document._id,
    });
  if (document.family) await settleVersions(turn, document, document.family);
}

/** As many as one line can say; the document's page has all of them. */
const contradictionsSaidMax = 2;

/** The newest version that could be read is the one that counts; those before it become history, and the oldest of these go. */
async function settleVersions(turn: Turn, ready: Document, family: Id<"documents">): Promise<void> {
  const versions = await turn.db
    .query("documents")
    .withIndex("by_family", (q) => q.eq("family", family))
    .order("desc")
    .take(10 * versionsKeptMax);
  const current = versions.find(({ state }) => state === "ready") ?? ready;
  const before = versions.filter((one) => (one.version ?? 1) < (current.version ?? 1) && one.state !== "forgetting");
  // One that is still being read finds out by itself when that is over.
  const settled = before.filter(({ state }) => state === "ready" || state === "staged" || state === "unreadable");
  for (const old of settled) await retire(turn, old);
  const kept = before.filter(({ state }) => state !== "waiting" && state !== "reading");
  for (const old of kept.slice(versionsKeptMax)) {
    const now = await turn.db.get(old._id);
    if (now) await startForgetting(turn, now);
  }
}

/** A newer version took its place: its passages go, its file stays. */
export async function retire(turn: Turn, document: Document): Promise<void> {
  const jobId = await startClearing(turn, document);
  await replaceDocument(turn, document, { ...document, state: "replaced", isOld: true, jobId });
  if (document.reading?.entries !== undefined) await dropEntries(turn, document._id);
}

async function becomeUnreadable(
  turn: Turn,
  document: Document,
  problem: { problem: Problem; message: string },
  hasLeftovers = false,
): Promise<void> {
  const { jobId: _jobId, reading: _reading, readyAt: _readyAt, isRelabelled: _isRelabelled, ...kept } = document;
  const clearing = hasLeftovers ? { jobId: await startClearing(turn, document) } : {};
  await replaceDocument(turn, document, { ...kept, state: "unreadable", problem, ...clearing });
}

async function forgetEnded(turn: Turn, document: Document, step: JobStep): Promise<void> {
  if (step.state === "done") {
    await deleteDocument(turn, document);
    return record(turn, { type: "documentForgotten", name: document.name, text: `${document.name} is forgotten.` });
  }
  // It stays on its way out, to be tried again by the owner: a half-forgotten document must not look like a kept one.
  const { jobId: _jobId, ...kept } = document;
  await replaceDocument(turn, document, kept);
  const message = step.error?.message ?? "it was stopped.";
  return record(turn, {
    type: "jobDead",
    name: document.name,
    text: `${document.name} could not be forgotten: ${message}`,
    documentId: document._id,
  });
}

async function clearEnded(turn: Turn, document: Document, job: Doc<"jobs">): Promise<void> {
  if (document.jobId !== job._id) return;
  const { jobId: _jobId, ...kept } = document;
  // Somebody wanted it read meanwhile.
  if (document.state === "waiting") await startReading(turn, kept);
  else await replaceDocument(turn, document, kept);
}
