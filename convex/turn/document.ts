/** What happens to a job, told to the document it is about. Runs inside the transaction that moves the job. */
import type { WithoutSystemFields } from "convex/server";
import type { Doc, Id } from "../_generated/dataModel.js";
import { problemMessages, type Problem, type ReadingSummary } from "../model/document.ts";
import type { JobStep, Outcome } from "../model/job.ts";
import { enqueue } from "./enqueue.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";

type Document = Doc<"documents">;

const passagesOf = (document: Document): number => (document.state === "ready" ? (document.reading?.passages ?? 0) : 0);

/** Writes a new document and counts it. */
export async function insertDocument(turn: Turn, document: WithoutSystemFields<Document>): Promise<Id<"documents">> {
  turn.tally.add("documents", document.state, 1);
  return turn.db.insert("documents", document);
}

/** The document as it is from now on; what is absent in `after` is dropped. Keeps the counts. */
export async function replaceDocument(turn: Turn, before: Document, after: Document): Promise<void> {
  turn.tally.add("documents", before.state, -1);
  turn.tally.add("documents", after.state, 1);
  turn.tally.add("documents", "passages", passagesOf(after) - passagesOf(before));
  await turn.db.replace(before._id, after);
}

/** Removes the row and its file, if it has one. */
export async function deleteDocument(turn: Turn, document: Document): Promise<void> {
  turn.tally.add("documents", document.state, -1);
  turn.tally.add("documents", "passages", -passagesOf(document));
  await turn.db.delete(document._id);
  if (document.storageId && (await turn.db.system.get(document.storageId))) await turn.storage.delete(document.storageId);
}

/** Has the document read, from wherever it stands. */
export async function startReading(turn: Turn, document: Document): Promise<void> {
  const { problem: _problem, reading: _reading, readyAt: _readyAt, ...kept } = document;
  const jobId = await enqueue(turn, {
    kind: "documents.ingest",
    args: { documentId: document._id },
    label: document.name,
    documentId: document._id,
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
  switch (job.kind) {
    case "documents.ingest":
      // Only now is nobody writing passages of it any more.
      if (document.state === "forgetting") return startForgetting(turn, document);
      return ingestEnded(turn, document, step, outcome);
    case "documents.forget":
      return forgetEnded(turn, document, step);
  }
}

async function ingestEnded(turn: Turn, document: Document, step: JobStep, outcome?: Outcome): Promise<void> {
  const result = outcome?.type === "done" ? outcome.result : undefined;
  if (step.state === "done" && result?.type === "read") return becomeReady(turn, document, result.reading);
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
  if (step.state === "cancelled") {
    return becomeUnreadable(turn, document, {
      problem: "failed",
      message: "Reading it was cancelled; try again to have it read.",
    });
  }
  const message = step.error?.message ?? problemMessages.failed;
  await becomeUnreadable(turn, document, { problem: "failed", message });
  return record(turn, {
    type: "jobDead",
    name: document.name,
    text: `${document.name} could not be read: ${message}`,
    documentId: document._id,
  });
}

async function becomeReady(turn: Turn, document: Document, reading: ReadingSummary): Promise<void> {
  const { jobId: _jobId, problem: _problem, ...kept } = document;
  await replaceDocument(turn, document, { ...kept, state: "ready", readyAt: turn.now, reading });
  await record(turn, {
    type: "documentReady",
    name: document.name,
    text: `${document.name} is ready.`,
    documentId: document._id,
  });
}

async function becomeUnreadable(turn: Turn, document: Document, problem: { problem: Problem; message: string }): Promise<void> {
  const { jobId: _jobId, reading: _reading, readyAt: _readyAt, ...kept } = document;
  await replaceDocument(turn, document, { ...kept, state: "unreadable", problem });
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
