/** What was handed in together: how far it is, what is in it, and the owner's word on it. */
import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import {
  batchState,
  groupings,
  noSums,
  totalOf,
  vBatchOrigin,
  vBatchSummary,
  vBatchView,
  vDecision,
  vOnly,
  type BatchView,
  type Only,
} from "./model/batch.ts";
import { findLabelProblem, toFolder, vDocumentView, vLabels, withLabels } from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import { accept as acceptOne, replaceDocument, startLabelling } from "./turn/document.ts";
import { enqueue } from "./turn/enqueue.ts";
import { forgetDocument } from "./turn/forget.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { parkJob, unparkJob } from "./turn/move.ts";
import { filedUnder, findSums } from "./turn/sum.ts";
import { toView } from "./turn/view.ts";

const listedMax = 100;
const labelCharsMax = 200;
const groupsShownMax = 40; // Of each sort; the largest.
const failuresShownMax = 50;
const perTurn = 200; // One short transaction; the rest follows in the next.

/** Files handed in from now on under this id belong together. Without `isReviewed` the owner's setting says whether they wait. */
export const open = ownerMutation({
  args: { label: v.string(), origin: vBatchOrigin, isReviewed: v.optional(v.boolean()) },
  returns: v.id("batches"),
  handler: async (turn, { label, origin, isReviewed }) => {
    const settings = isReviewed === undefined ? await turn.db.query("settings").first() : null;
    return insertBatch(turn, { label, origin, isReviewed: isReviewed ?? settings?.review ?? false });
  },
});

/** The same for a look at a watched folder. */
export const openWatched = systemMutation({
  args: { watchId: v.id("watches"), label: v.string() },
  returns: v.union(v.id("batches"), v.null()),
  handler: async (turn, { watchId, label }) => {
    const watch = await turn.db.get(watchId);
    return watch && insertBatch(turn, { label, origin: "watch", isReviewed: watch.isReviewed, watchId });
  },
});

/** No more files are to come. A batch that nothing came of is dropped. */
export const close = ownerMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => closeOne(turn, await mustGet(turn, id)),
});

export const closeWatched = systemMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const batch = await turn.db.get(id);
    return batch && closeOne(turn, batch);
  },
});

/** Newest first. */
export const list = ownerQuery({
  args: { limit: v.optional(v.number()) },
  returns: v.array(vBatchView),
  handler: async (ctx, { limit = 20 }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > listedMax)
      throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
    const batches = await ctx.db.query("batches").order("desc").take(limit);
    return Promise.all(batches.map((batch) => toBatchView(ctx, batch)));
  },
});

/** What is in it; null when there is no such batch. */
export const summary = ownerQuery({
  args: { id: v.id("batches") },
  returns: v.union(vBatchSummary, v.null()),
  handler: async (ctx, { id }) => {
    const batch = await ctx.db.get(id);
    if (!batch) return null;
    const [groups, unreadable] = await Promise.all([
      Promise.all(
        groupings.map((by) =>
          ctx.db
            .query("groups")
            .withIndex("by_size", (q) => q.eq("batchId", id).eq("by", by))
            .order("desc")
            .take(groupsShownMax),
        ),
      ),
      ctx.db
        .query("documents")
        .withIndex("by_batch", (q) => q.eq("batchId", id).eq("state", "unreadable"))
        .take(failuresShownMax),
    ]);
    return {
      batch: await toBatchView(ctx, batch),
      groups: groups.flat().map(({ by, value, documents, sizeBytes, staged }) => ({ by, value, documents, sizeBytes, staged })),
      failures: unreadable.map(({ _id, name, problem }) => ({
        id: _id,
        name,
        problem: problem?.problem ?? "failed",
        message: problem?.message ?? "",
      })),
    };
  },
});

/** Its documents, those being read first when `state` is given as "reading"; as many at a time as the caller likes to take. */
export const documents = ownerQuery({
  args: {
    id: v.id("batches"),
    state: v.optional(vDocumentView.fields.state),
    paginationOpts: paginationOptsValidator,
  },
  returns: paginationResultValidator(vDocumentView),
  handler: async (ctx, { id, state, paginationOpts }) => {
    const ofBatch = ctx.db
      .query("documents")
      .withIndex("by_batch", (q) => (state ? q.eq("batchId", id).eq("state", state) : q.eq("batchId", id)));
    const { page, ...rest } = await ofBatch.paginate(paginationOpts);
    return { ...rest, page: await Promise.all(page.map((document) => toView(ctx, document))) };
  },
});

/** No further file of it is begun until it is resumed; what is being read is finished. */
export const pause = ownerMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const batch = await mustGet(turn, id);
    if (batch.isCancelled) throw new NikaError("conflict", "It was cancelled.");
    await turn.db.patch(id, { isPaused: true });
    await settleQueue(turn, id);
    return null;
  },
});

export const resume = ownerMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await mustGet(turn, id);
    await turn.db.patch(id, { isPaused: false });
    await settleQueue(turn, id);
    return null;
  },
});

/** What was not read is let go; what was, stays. */
export const cancel = ownerMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await mustGet(turn, id);
    await turn.db.patch(id, { isCancelled: true, isPaused: false, isClosed: true });
    await dropOpen(turn, id);
    return null;
  },
});

/**
 * The owner's word on what waits: it counts from now on, or it is forgotten. All of it, or one group; of the passages all at once. Only
 * when nothing of the batch is being read, so that everybody knows what the word was about.
 */
export const decide = ownerMutation({
  args: { id: v.id("batches"), isAccepted: v.boolean(), only: v.optional(vOnly) },
  returns: v.null(),
  handler: async (turn, { id, isAccepted, only }) => {
    const batch = await mustGet(turn, id);
    if (batch.decision) throw new NikaError("conflict", "Your last word on it is still being carried out.");
    const row = await findSums(turn.db, id);
    const sums = row?.sums ?? noSums;
    if (sums.reading > 0 || (sums.waiting > 0 && !batch.isPaused))
      throw new NikaError("conflict", "Some of it is still being read; wait for it, or pause it.");
    if (sums.staged === 0) throw new NikaError("conflict", "Nothing of it waits for your word.");
    await turn.db.patch(id, { decision: { isAccepted, ...(only && { only }) } });
    await enqueue(turn, { kind: "batches.decide", args: { batchId: id }, label: batch.label });
    return null;
  },
});

/** What its documents are filed under, or those of one group; an empty text takes it back. */
export const edit = ownerMutation({
  args: { id: v.id("batches"), only: v.optional(vOnly), labels: vLabels },
  returns: v.null(),
  handler: async (turn, { id, only, labels }) => {
    const batch = await mustGet(turn, id);
    const problem = findLabelProblem(labels);
    if (problem !== undefined) throw new NikaError("invalid", problem);
    if (labels.title !== undefined) throw new NikaError("invalid", "A title is given to one document at a time.");
    if (batch.decision) throw new NikaError("conflict", "Your last word on it is still being carried out.");
    await editFrom(turn, { id, ...(only && { only }), labels, cursor: null });
    return null;
  },
});

export const editSome = systemMutation({
  args: { id: v.id("batches"), only: v.optional(vOnly), labels: vLabels, cursor: v.union(v.string(), v.null()) },
  returns: v.null(),
  handler: async (turn, edit) => {
    await editFrom(turn, edit);
    return null;
  },
});

/** What a decision is about; null when there is none to carry out. */
export const decision = systemQuery({
  args: { batchId: v.id("batches") },
  returns: v.union(vDecision, v.null()),
  handler: async (ctx, { batchId }) => (await ctx.db.get(batchId))?.decision ?? null,
});

/** Carries the decision over to some of the documents, after their passages. From a `cursor` to the next, until there is none. */
export const decideSome = systemMutation({
  args: { batchId: v.id("batches"), cursor: v.union(v.string(), v.null()) },
  returns: v.union(v.string(), v.null()),
  handler: async (turn, { batchId, cursor }) => {
    const batch = await turn.db.get(batchId);
    if (!batch?.decision) return null;
    const { isAccepted, only } = batch.decision;
    const { page, isDone, continueCursor } = await turn.db
      .query("documents")
      .withIndex("by_batch", (q) => q.eq("batchId", batchId).eq("state", "staged"))
      .paginate({ numItems: perTurn, cursor });
    for (const document of page) {
      if (only && !isOf(document, only)) continue;
      if (isAccepted) await acceptOne(turn, document);
      else await forgetDocument(turn, document);
    }
    if (!isDone) return continueCursor;
    await turn.db.patch(batchId, { decision: undefined });
    if (!isAccepted && !only) await dropHolders(turn, batchId);
    await settleQueue(turn, batchId);
    return null;
  },
});

/** Jobs of a paused batch leave the queue, those of one that goes on come back; some at a time. */
export const settleJobs = systemMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await settleQueue(turn, id);
    return null;
  },
});

export const dropSome = systemMutation({
  args: { id: v.id("batches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await dropOpen(turn, id);
    return null;
  },
});

type NewBatch = Pick<Doc<"batches">, "label" | "origin" | "isReviewed"> & { watchId?: Id<"watches"> };

async function insertBatch(turn: Turn, batch: NewBatch): Promise<Id<"batches">> {
  const label = batch.label
    .replaceAll(/\p{Cc}/gu, " ")
    .trim()
    .slice(0, labelCharsMax);
  if (label === "") throw new NikaError("invalid", "Say what the files are.");
  return turn.db.insert("batches", {
    ...batch,
    label,
    isClosed: false,
    isPaused: false,
    isCancelled: false,
    addedAt: turn.now,
  });
}

async function closeOne(turn: Turn, batch: Doc<"batches">): Promise<null> {
  const row = await findSums(turn.db, batch._id);
  // A folder in which a file was only touched is no news.
  const isNews = row && (batch.origin !== "watch" || totalOf(row.sums) + row.sums.forgetting > 0);
  if (isNews) await turn.db.patch(batch._id, { isClosed: true });
  else {
    if (row) await turn.db.delete(row._id);
    await turn.db.delete(batch._id);
  }
  return null;
}

async function settleQueue(turn: Turn, id: Id<"batches">): Promise<void> {
  const batch = await turn.db.get(id);
  if (!batch) return;
  const isHeldUp = batch.isPaused || batch.decision !== undefined;
  const jobs = await turn.db
    .query("jobs")
    .withIndex("by_batch", (q) =>
      q
        .eq("batchId", id)
        .eq("state", "ready")
        .eq("isParked", isHeldUp ? undefined : true),
    )
    .take(perTurn);
  for (const job of jobs) await (isHeldUp ? parkJob(turn, job) : unparkJob(turn, job));
  if (jobs.length === perTurn) await turn.scheduler.runAfter(0, internal.batches.settleJobs, { id });
}

/** Documents that were not read yet; those being read stop first, and are forgotten when they have: see turn/document.ts. */
async function dropOpen(turn: Turn, id: Id<"batches">): Promise<void> {
  for (const state of ["waiting", "reading"] as const) {
    const open = await turn.db
      .query("documents")
      .withIndex("by_batch", (q) => q.eq("batchId", id).eq("state", state))
      .take(perTurn);
    for (const document of open) await forgetDocument(turn, document);
    if (open.length === perTurn) await turn.scheduler.runAfter(0, internal.batches.dropSome, { id });
  }
}

/** A holder says nothing itself; when all it held was rejected it goes as well. */
async function dropHolders(turn: Turn, id: Id<"batches">): Promise<void> {
  for (const format of ["archive", "mbox"] as const) {
    const held = await turn.db
      .query("groups")
      .withIndex("by_value", (q) => q.eq("batchId", id).eq("by", "format").eq("value", format))
      .unique();
    if (!held) continue;
    const ready = turn.db.query("documents").withIndex("by_batch", (q) => q.eq("batchId", id).eq("state", "ready"));
    for (const document of await ready.take(perTurn))
      if (document.reading?.entries !== undefined) await forgetDocument(turn, document);
  }
}

const editedPerTurn = 64; // What one labelling job takes.

type Edit = { id: Id<"batches">; only?: Only | undefined; labels: Doc<"documents">["labels"] & object; cursor: string | null };

async function editFrom(turn: Turn, { id, only, labels, cursor }: Edit): Promise<void> {
  const { page, isDone, continueCursor } = await turn.db
    .query("documents")
    .withIndex("by_isInBatch", (q) => q.eq("batchId", id))
    .paginate({ numItems: editedPerTurn, cursor });
  const edited: Doc<"documents">[] = [];
  for (const document of page) {
    if (document.state === "forgetting" || (only && !isOf(document, only))) continue;
    const isRead = document.state === "ready" || document.state === "staged";
    const after = { ...document, labels: withLabels(document.labels, labels) };
    await replaceDocument(turn, document, { ...after, ...(document.state === "reading" && { isRelabelled: true }) });
    if (isRead) edited.push(document);
  }
  await startLabelling(turn, edited);
  if (!isDone)
    await turn.scheduler.runAfter(0, internal.batches.editSome, { id, ...(only && { only }), labels, cursor: continueCursor });
}

function isOf(document: Doc<"documents">, { by, value }: Only): boolean {
  const { entityType, language, domain } = filedUnder(document);
  const values = { type: entityType, language, theme: domain, folder: toFolder(document.name) };
  return values[by] === value;
}

async function toBatchView(ctx: QueryCtx, batch: Doc<"batches">): Promise<BatchView> {
  const { _id, label, origin, isReviewed, addedAt } = batch;
  const row = await findSums(ctx.db, _id);
  const sums = row?.sums ?? noSums;
  return {
    id: _id,
    label,
    origin,
    isReviewed,
    state: batchState(batch, sums),
    addedAt,
    sums,
    samples: row?.samples ?? [],
    ...(row?.endedAt !== undefined && { endedAt: row.endedAt }),
  };
}

async function mustGet(turn: Turn, id: Id<"batches">): Promise<Doc<"batches">> {
  const batch = await turn.db.get(id);
  if (!batch) throw new NikaError("missing", "There is no such batch.");
  return batch;
}
