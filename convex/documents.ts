/** What the owner handed in. */
import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import {
  filesPerCallMax,
  problemMessages,
  toBaseName,
  toDocumentName,
  toHex,
  vAdded,
  vDocumentCounts,
  vDocumentState,
  vDocumentView,
  vProblem,
  type Added,
  type DocumentState,
  type DocumentView,
} from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import { isOpen } from "./model/job.ts";
import { deleteDocument, insertDocument, replaceDocument, startForgetting, startReading } from "./turn/document.ts";
import { ownerMutation, ownerQuery, systemQuery, type Turn } from "./turn/guard.ts";
import { moveJob } from "./turn/move.ts";
import { readTally } from "./turn/tally.ts";

const listedMax = 200; // A page of a list; the counts tell how many there are in all.
const foundMax = 20;
const hashesMax = 500;

/** Newest first. */
export const list = ownerQuery({
  args: { limit: v.optional(v.number()), state: v.optional(vDocumentState) },
  returns: v.array(vDocumentView),
  handler: async (ctx, { limit, state }) => {
    const documents = await newestFirst(ctx, state).take(atMost(limit, listedMax));
    return Promise.all(documents.map((document) => toView(ctx, document)));
  },
});

/** All of them, newest first, as many at a time as the caller likes to take. */
export const page = ownerQuery({
  args: { paginationOpts: paginationOptsValidator, state: v.optional(vDocumentState) },
  returns: paginationResultValidator(vDocumentView),
  handler: async (ctx, { paginationOpts, state }) => {
    const { page: documents, ...rest } = await newestFirst(ctx, state).paginate(paginationOpts);
    return { ...rest, page: await Promise.all(documents.map((document) => toView(ctx, document))) };
  },
});

export const get = ownerQuery({
  args: { id: v.id("documents") },
  returns: v.union(vDocumentView, v.null()),
  handler: async (ctx, { id }) => {
    const document = await ctx.db.get(id);
    return document && toView(ctx, document);
  },
});

export const counts = ownerQuery({
  args: {},
  returns: vDocumentCounts,
  handler: async (ctx) => {
    const count = await readTally(ctx.db, "documents");
    return {
      waiting: count("waiting"),
      reading: count("reading"),
      ready: count("ready"),
      unreadable: count("unreadable"),
      forgetting: count("forgetting"),
      passages: count("passages"),
    };
  },
});

/** By id, by whole name, or by the end of a name after a "/". */
export const find = ownerQuery({
  args: { name: v.string() },
  returns: v.array(vDocumentView),
  handler: async (ctx, { name }) => {
    const id = ctx.db.normalizeId("documents", name);
    const byId = id && (await ctx.db.get(id));
    if (byId) return [await toView(ctx, byId)];
    const wanted = toDocumentName(name);
    // Every match ends in the same last part, so that part's index holds them all.
    const alike = ctx.db.query("documents").withIndex("by_baseName", (q) => q.eq("baseName", toBaseName(wanted)));
    const found: DocumentView[] = [];
    for await (const document of alike) {
      if (document.name === wanted || document.name.endsWith(`/${wanted}`)) found.push(await toView(ctx, document));
      if (found.length >= foundMax) break;
    }
    return found;
  },
});

/** Which of these hashes need not be uploaded. A document whose reading failed is not among them: adding it again retries it. */
export const known = ownerQuery({
  args: { sha256s: v.array(v.string()) },
  returns: v.array(v.string()),
  handler: async (ctx, { sha256s }) => {
    bounded(sha256s, hashesMax, "hashes");
    const isHeld = async (sha256: string): Promise<boolean> => {
      const document = await findSame(ctx, sha256.toLowerCase());
      return document !== undefined && !hasFailed(document);
    };
    const held = await Promise.all(sha256s.map(isHeld));
    return sha256s.filter((_, i) => held[i]);
  },
});

/** Where to POST the bytes; good for an hour and for several files. */
export const uploadUrl = ownerMutation({
  args: {},
  returns: v.string(),
  handler: (turn) => turn.storage.generateUploadUrl(),
});

/** Uploaded files become documents. The same bytes are one document, whatever they are called. */
export const add = ownerMutation({
  args: { files: v.array(v.object({ name: v.string(), storageId: v.id("_storage") })) },
  returns: v.array(vAdded),
  handler: async (turn, { files }) => {
    bounded(files, filesPerCallMax, "files");
    const added: Added[] = [];
    for (const file of files) added.push(await addOne(turn, file));
    return added;
  },
});

/** Files that could not even be read where they lie: kept as rows, so that the owner sees what is missing and why. */
export const refuse = ownerMutation({
  args: { files: v.array(v.object({ name: v.string(), sizeBytes: v.number(), problem: vProblem })) },
  returns: v.array(vAdded),
  handler: async (turn, { files }) => {
    bounded(files, filesPerCallMax, "files");
    const refused: Added[] = [];
    for (const { name: raw, sizeBytes, problem } of files) {
      const name = toDocumentName(raw);
      const replaced = await dropRefused(turn, name);
      const id = await insertDocument(turn, {
        name,
        baseName: toBaseName(name),
        state: "unreadable",
        sizeBytes: Number.isFinite(sizeBytes) && sizeBytes > 0 ? Math.floor(sizeBytes) : 0,
        addedAt: turn.now,
        problem: { problem, message: problemMessages[problem] },
      });
      refused.push({ id, name, state: "unreadable", isNew: !replaced });
    }
    return refused;
  },
});

/** Takes it out of the vault and deletes it. While it is being read, the reading is stopped first. */
export const forget = ownerMutation({
  args: { id: v.id("documents") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const document = await mustGet(turn, id);
    const job = document.jobId && (await turn.db.get(document.jobId));
    if (!job || !isOpen(job.state)) {
      await startForgetting(turn, document);
      return null;
    }
    if (document.state === "forgetting") return null;
    await replaceDocument(turn, document, { ...document, state: "forgetting" });
    // Either way the forget job follows when the reading has ended, never before: see turn/document.ts.
    if (job.state === "leased") await turn.db.patch(job._id, { cancelAsked: true });
    else await moveJob(turn, job, { state: "cancelled", readyAt: turn.now, attempts: job.attempts, deaths: job.deaths });
    return null;
  },
});

/** Reads an unreadable document once more, or one that waits for its next try right now. */
export const retry = ownerMutation({
  args: { id: v.id("documents") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const document = await mustGet(turn, id);
    const job = document.jobId && (await turn.db.get(document.jobId));
    if (job?.state === "ready") {
      await turn.db.patch(job._id, { isDue: true, readyAt: turn.now });
      return null;
    }
    if (document.state !== "unreadable")
      throw new NikaError("conflict", "Only a document that could not be read can be tried again.");
    if (!document.storageId) throw new NikaError("conflict", "Nika never got the file itself; add it again.");
    await startReading(turn, document);
    return null;
  },
});

/** What an ingest needs to begin; null when the document is gone. `url` is good for reading the bytes now, not for keeping. */
export const fileForIngest = systemQuery({
  args: { documentId: v.id("documents") },
  returns: v.union(
    v.object({ name: v.string(), storageId: v.id("_storage"), url: v.string(), sizeBytes: v.number(), state: vDocumentState }),
    v.null(),
  ),
  handler: async (ctx, { documentId }) => {
    const document = await ctx.db.get(documentId);
    if (!document?.storageId) return null;
    const url = await ctx.storage.getUrl(document.storageId);
    if (url === null) return null;
    const { name, storageId, sizeBytes, state } = document;
    return { name, storageId, url, sizeBytes, state };
  },
});

function newestFirst(ctx: QueryCtx, state: DocumentState | undefined) {
  const table = ctx.db.query("documents");
  return state === undefined ? table.order("desc") : table.withIndex("by_state", (q) => q.eq("state", state)).order("desc");
}

async function addOne(turn: Turn, file: { name: string; storageId: Id<"_storage"> }): Promise<Added> {
  const name = toDocumentName(file.name);
  const stored = await turn.db.system.get(file.storageId);
  if (!stored) throw new NikaError("invalid", `The upload of ${name} is not there; upload it again.`);
  await dropRefused(turn, name);
  const sha256 = toHex(stored.sha256);
  const same = await findSame(turn, sha256);
  if (same) return addAgain(turn, same, file.storageId);
  const id = await insertDocument(turn, {
    name,
    baseName: toBaseName(name),
    state: "waiting",
    sizeBytes: stored.size,
    sha256,
    storageId: file.storageId,
    addedAt: turn.now,
  });
  await startReading(turn, await mustGet(turn, id));
  return { id, name, state: "waiting", isNew: true };
}

async function addAgain(turn: Turn, same: Doc<"documents">, storageId: Id<"_storage">): Promise<Added> {
  // The caller may repeat itself after a lost answer; then it is the document's own file.
  if (same.storageId !== storageId) await turn.storage.delete(storageId);
  const { _id: id, name } = same;
  if (!hasFailed(same)) return { id, name, state: same.state, isNew: false };
  await startReading(turn, same);
  return { id, name, state: "waiting", isNew: false };
}

/** The document made of these bytes, unless it is on its way out. */
async function findSame(ctx: QueryCtx | Turn, sha256: string): Promise<Doc<"documents"> | undefined> {
  const same = await ctx.db
    .query("documents")
    .withIndex("by_sha256", (q) => q.eq("sha256", sha256))
    .collect();
  return same.find((document) => document.state !== "forgetting");
}

const hasFailed = (document: Doc<"documents">): boolean =>
  document.state === "unreadable" && document.problem?.problem === "failed" && document.storageId !== undefined;

/** A refused file of this name gives way to what is known about it now. */
async function dropRefused(turn: Turn, name: string): Promise<boolean> {
  const refused = await turn.db
    .query("documents")
    .withIndex("by_name", (q) => q.eq("name", name).eq("sha256", undefined))
    .collect();
  for (const document of refused) await deleteDocument(turn, document);
  return refused.length > 0;
}

async function mustGet(turn: Turn, id: Id<"documents">): Promise<Doc<"documents">> {
  const document = await turn.db.get(id);
  if (!document) throw new NikaError("missing", "There is no such document.");
  return document;
}

async function toView(ctx: QueryCtx, document: Doc<"documents">): Promise<DocumentView> {
  const { _id, name, state, sizeBytes, addedAt, readyAt, problem, reading } = document;
  const job = state === "reading" && document.jobId ? await ctx.db.get(document.jobId) : null;
  return {
    id: _id,
    name,
    state,
    sizeBytes,
    addedAt,
    ...(readyAt !== undefined && { readyAt }),
    ...(problem && { problem }),
    ...(reading && { reading }),
    ...(job?.progress && { progress: job.progress }),
  };
}

function atMost(limit: number | undefined, max: number): number {
  if (limit === undefined) return max;
  if (!Number.isInteger(limit) || limit < 1 || limit > max) throw new NikaError("invalid", `The limit must be from 1 to ${max}.`);
  return limit;
}

function bounded(items: readonly unknown[], max: number, what: string): void {
  if (items.length < 1 || items.length > max) throw new NikaError("invalid", `Give from 1 to ${max} ${what} at a time.`);
}
