/** What the owner handed in. */
import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import {
  filesPerCallMax,
  findLabelProblem,
  toBaseName,
  toDocumentName,
  toFolder,
  vAdded,
  vDocumentCounts,
  vDocumentState,
  vDocumentView,
  vLabels,
  vProblem,
  withLabels,
  type Added,
  type DocumentState,
  type DocumentView,
} from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import { likenessesMax } from "./model/sketch.ts";
import { ownerTenant } from "./model/tenant.ts";
import { replaceDocument, startLabelling, startReading } from "./turn/document.ts";
import { forgetDocument } from "./turn/forget.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery } from "./turn/guard.ts";
import { findSame, hasFailed, mustGet, refuse as refuseOne, takeAgain, takeIn } from "./turn/intake.ts";
import { findAlike } from "./turn/likeness.ts";
import { filedUnder } from "./turn/sum.ts";
import { readTally } from "./turn/tally.ts";
import { toView } from "./turn/view.ts";

const listedMax = 200; // A page of a list; the counts tell how many there are in all.
const foundMax = 20;
const hashesMax = 500;
const versionsShownMax = 50;
const namesShownMax = 20;
const entriesShownMax = 100;

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
      staged: count("staged"),
      ready: count("ready"),
      unreadable: count("unreadable"),
      replaced: count("replaced"),
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
    // Every match ends in the same last part, so that part's index holds them all; names of the same bytes stand in `sources`.
    const found = new Map<Id<"documents">, DocumentView>();
    const isMeant = (one: string): boolean => one === wanted || one.endsWith(`/${wanted}`);
    const alike = ctx.db.query("documents").withIndex("by_baseName", (q) => q.eq("baseName", toBaseName(wanted)));
    for await (const document of alike) {
      if (isMeant(document.name) && !document.isOld) found.set(document._id, await toView(ctx, document));
      if (found.size >= foundMax) break;
    }
    const aliases = ctx.db.query("sources").withIndex("by_baseName", (q) => q.eq("baseName", toBaseName(wanted)));
    for (const { name: alias, documentId } of await aliases.take(foundMax)) {
      const document = documentId && isMeant(alias) && !found.has(documentId) && (await ctx.db.get(documentId));
      if (document && !document.isOld && found.size < foundMax) found.set(document._id, await toView(ctx, document));
    }
    return [...found.values()];
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

const vFile = {
  name: v.string(),
  /** Which file it is, such as its path on this machine: other bytes under the same key are a new version of the same document. */
  key: v.optional(v.string()),
};

/** Uploaded files become documents. The same bytes are one document, whatever they are called. */
export const add = ownerMutation({
  args: { files: v.array(v.object({ ...vFile, storageId: v.id("_storage") })), batchId: v.optional(v.id("batches")) },
  returns: v.array(vAdded),
  handler: async (turn, { files, batchId }) => {
    bounded(files, filesPerCallMax, "files");
    const added: Added[] = [];
    for (const { storageId, ...file } of files) added.push(await takeIn(turn, storageId, { ...file, batchId }));
    return added;
  },
});

/** Files by their hashes, to spare uploads: what Nika has is remembered under these names too. False for the others. */
export const note = ownerMutation({
  args: { files: v.array(v.object({ ...vFile, sha256: v.string() })), batchId: v.optional(v.id("batches")) },
  returns: v.array(v.boolean()),
  handler: async (turn, { files, batchId }) => {
    bounded(files, hashesMax, "files");
    const noted: boolean[] = [];
    for (const { sha256, ...file } of files) {
      const same = await findSame(turn, sha256.toLowerCase());
      const isHeld = same !== undefined && !hasFailed(same);
      if (isHeld) await takeAgain(turn, same, { ...file, batchId });
      noted.push(isHeld);
    }
    return noted;
  },
});

/** Files that could not even be read where they lie: kept as rows, so that the owner sees what is missing and why. */
export const refuse = ownerMutation({
  args: {
    files: v.array(v.object({ name: v.string(), sizeBytes: v.number(), problem: vProblem })),
    batchId: v.optional(v.id("batches")),
  },
  returns: v.array(vAdded),
  handler: async (turn, { files, batchId }) => {
    bounded(files, filesPerCallMax, "files");
    const refused: Added[] = [];
    for (const file of files) refused.push(await refuseOne(turn, file, batchId));
    return refused;
  },
});

/** Takes it out of the vault and deletes it, its versions and what it holds. While it is being read, the reading is stopped first. */
export const forget = ownerMutation({
  args: { id: v.id("documents") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await forgetDocument(turn, await mustGet(turn, id));
    return null;
  },
});

/** Says what documents are called and filed under; an empty text takes it back. Their passages follow, and nothing is read again. */
export const edit = ownerMutation({
  args: { ids: v.array(v.id("documents")), labels: vLabels },
  returns: v.null(),
  handler: async (turn, { ids, labels }) => {
    bounded(ids, filesPerCallMax, "documents");
    const problem = findLabelProblem(labels);
    if (problem !== undefined) throw new NikaError("invalid", problem);
    const ready: Doc<"documents">[] = [];
    for (const id of ids) {
      const document = await mustGet(turn, id);
      const isRead = document.state === "ready" || document.state === "staged";
      await replaceDocument(turn, document, {
        ...document,
        labels: withLabels(document.labels, labels),
        // Its passages are on their way with the labels of before.
        ...(document.state === "reading" && { isRelabelled: true }),
      });
      if (isRead) ready.push(document);
    }
    await startLabelling(turn, ready);
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
    if (job?.kind === "documents.ingest" && job.state === "ready") {
      if (!job.isParked) await turn.db.patch(job._id, { isDue: true, readyAt: turn.now });
      return null;
    }
    if (document.state !== "unreadable")
      throw new NikaError("conflict", "Only a document that could not be read can be tried again.");
    if (!document.storageId) throw new NikaError("conflict", "Nika never got the file itself; add it again.");
    await startReading(turn, document);
    return null;
  },
});

const vLikeness = v.object({ id: v.id("documents"), name: v.string(), share: v.number() });

/** Everything there is to know about one document; null when it is gone. */
export const detail = ownerQuery({
  args: { id: v.id("documents") },
  returns: v.union(
    v.object({
      document: vDocumentView,
      sha256: v.optional(v.string()),
      /** Whether its file can be had back. */
      hasFile: v.boolean(),
      /** Other names under which its bytes were handed in. */
      names: v.array(v.string()),
      /** Newest first, this one among them; empty when there was never another. */
      versions: v.array(vDocumentView),
      parent: v.optional(vDocumentView),
      entries: v.array(vDocumentView),
      /** Documents in almost the same words, most alike first; `share` of the wording is common. */
      alike: v.array(vLikeness),
    }),
    v.null(),
  ),
  handler: async (ctx, { id }) => {
    const document = await ctx.db.get(id);
    if (!document) return null;
    const [versions, names, entries, alike, parent] = await Promise.all([
      versionsOf(ctx, document),
      ctx.db
        .query("sources")
        .withIndex("by_documentId", (q) => q.eq("documentId", id))
        .take(namesShownMax),
      ctx.db
        .query("sources")
        .withIndex("by_parent", (q) => q.eq("parentId", id))
        .take(entriesShownMax),
      findAlike(ctx, document, likenessesMax),
      document.parentId ? ctx.db.get(document.parentId) : null,
    ]);
    const held = await Promise.all(entries.map(async ({ documentId }) => (documentId ? ctx.db.get(documentId) : null)));
    const views = (documents: readonly (Doc<"documents"> | null)[]): Promise<DocumentView[]> =>
      Promise.all(documents.filter((one) => one !== null).map((one) => toView(ctx, one)));
    return {
      document: await toView(ctx, document),
      ...(document.sha256 !== undefined && { sha256: document.sha256 }),
      hasFile: document.storageId !== undefined,
      names: [...new Set(names.map(({ name }) => name))].filter((name) => name !== document.name),
      versions: versions.length > 1 ? await views(versions) : [],
      ...(parent && { parent: await toView(ctx, parent) }),
      entries: await views(held),
      alike,
    };
  },
});

/** All versions that are kept of a document, newest first. */
export const history = ownerQuery({
  args: { id: v.id("documents") },
  returns: v.array(vDocumentView),
  handler: async (ctx, { id }) => {
    const document = await ctx.db.get(id);
    if (!document) throw new NikaError("missing", "There is no such document.");
    return Promise.all((await versionsOf(ctx, document)).map((one) => toView(ctx, one)));
  },
});

/** What an ingest needs to begin; null when the document is gone. `url` is good for reading the bytes now, not for keeping. */
export const fileForIngest = systemQuery({
  args: { documentId: v.id("documents") },
  returns: v.union(
    v.object({
      name: v.string(),
      storageId: v.id("_storage"),
      url: v.string(),
      sizeBytes: v.number(),
      state: vDocumentState,
      tenantId: v.string(),
      sha256: v.optional(v.string()),
      labels: v.optional(vLabels),
      domain: v.optional(v.string()),
      /** Holders that it lies in. */
      depth: v.number(),
      /** An earlier reading kept some. */
      hasPictures: v.boolean(),
      /** Present when the owner wants a look before it counts. */
      hold: v.optional(v.object({ batchId: v.id("batches"), folder: v.string() })),
    }),
    v.null(),
  ),
  handler: async (ctx, { documentId }) => {
    const document = await ctx.db.get(documentId);
    if (!document?.storageId) return null;
    const url = await ctx.storage.getUrl(document.storageId);
    if (url === null) return null;
    const { name, storageId, sizeBytes, state, sha256, labels, domain, batchId } = document;
    const batch = batchId && (await ctx.db.get(batchId));
    const picture = await ctx.db
      .query("pictures")
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
      .first();
    return {
      name,
      storageId,
      url,
      sizeBytes,
      state,
      tenantId: document.tenantId ?? ownerTenant,
      ...(sha256 !== undefined && { sha256 }),
      ...(labels && { labels }),
      ...(domain !== undefined && { domain }),
      depth: document.depth ?? 0,
      hasPictures: picture !== null,
      ...(batchId && batch?.isReviewed && { hold: { batchId, folder: toFolder(name) } }),
    };
  },
});

const vFiled = v.object({
  documentId: v.id("documents"),
  tenantId: v.string(),
  labels: v.object({
    title: v.string(),
    language: v.string(),
    entityType: v.string(),
    domain: v.string(),
    scope: v.string(),
  }),
});

/** What is to be written to the passages of documents that were read. */
export const filed = systemQuery({
  args: { documentIds: v.array(v.id("documents")) },
  returns: v.array(vFiled),
  handler: async (ctx, { documentIds }) => {
    const documents = await Promise.all(documentIds.slice(0, filesPerCallMax).map((id) => ctx.db.get(id)));
    return documents
      .filter((document) => document !== null)
      .filter(({ state }) => state === "ready" || state === "staged")
      .map((document) => ({
        documentId: document._id,
        tenantId: document.tenantId ?? ownerTenant,
        labels: {
          ...filedUnder(document),
          title: document.labels?.title ?? document.reading?.title ?? document.name,
          scope: document.labels?.scope ?? "private",
        },
      }));
  },
});

/** Documents are put into themes that were found among all of them; the owner's own word stands before it. */
export const putThemes = systemMutation({
  args: { themes: v.array(v.object({ documentId: v.id("documents"), domain: v.string() })) },
  returns: v.null(),
  handler: async (turn, { themes }) => {
    bounded(themes, filesPerCallMax, "documents");
    const changed: Doc<"documents">[] = [];
    for (const { documentId, domain } of themes) {
      const document = await turn.db.get(documentId);
      const isRead = document?.state === "ready" || document?.state === "staged";
      if (!document || !isRead || document.domain === domain) continue;
      await replaceDocument(turn, document, { ...document, domain });
      changed.push(document);
    }
    await startLabelling(turn, changed);
    return null;
  },
});

function newestFirst(ctx: QueryCtx, state: DocumentState | undefined) {
  const table = ctx.db.query("documents");
  return state === undefined
    ? table.withIndex("by_isOld", (q) => q.eq("isOld", undefined)).order("desc")
    : table.withIndex("by_state", (q) => q.eq("state", state)).order("desc");
}

async function versionsOf(ctx: QueryCtx, document: Doc<"documents">): Promise<Doc<"documents">[]> {
  const { family } = document;
  if (!family) return [document];
  return ctx.db
    .query("documents")
    .withIndex("by_family", (q) => q.eq("family", family))
    .order("desc")
    .take(versionsShownMax);
}

function atMost(limit: number | undefined, max: number): number {
  if (limit === undefined) return max;
  if (!Number.isInteger(limit) || limit < 1 || limit > max) throw new NikaError("invalid", `The limit must be from 1 to ${max}.`);
  return limit;
}

function bounded(items: readonly unknown[], max: number, what: string): void {
  if (items.length < 1 || items.length > max) throw new NikaError("invalid", `Give from 1 to ${max} ${what} at a time.`);
}
