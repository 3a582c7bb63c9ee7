/** Folders of this machine that the owner wants followed. */
import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import type { Doc, Id } from "./_generated/dataModel.js";
import { filesPerCallMax, keyCharsMax, vAdded, vProblem, type Added } from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import { vSeen, vWatchMode, vWatchReport, vWatchView, watchesMax, type WatchView } from "./model/watch.ts";
import { internal } from "./_generated/api.js";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { findSame, hasFailed, letGo, refuse as refuseOne, takeAgain, takeIn } from "./turn/intake.ts";

const droppedPerTurn = 200;

export const list = ownerQuery({
  args: {},
  returns: v.array(vWatchView),
  handler: async (ctx) => (await ctx.db.query("watches").take(watchesMax)).map(toView),
});

/** From now on what lies in the folder is read, and what changes there is read again. Again with the same folder changes how. */
export const add = ownerMutation({
  args: { path: v.string(), mode: v.optional(vWatchMode), isReviewed: v.optional(v.boolean()) },
  returns: v.id("watches"),
  handler: async (turn, { path: raw, mode, isReviewed }) => {
    const path = raw.length > 1 ? raw.replace(/[/\\]+$/u, "") : raw;
    const isAbsolute = /^(?:\/.|[A-Za-z]:[/\\])/u.test(path);
    if (!isAbsolute || path.length > keyCharsMax || /\p{Cc}/u.test(path))
      throw new NikaError("invalid", "Give the whole path of a folder on Nika's machine, such as /home/me/Documents.");
    const known = await turn.db
      .query("watches")
      .withIndex("by_path", (q) => q.eq("path", path))
      .unique();
    const changes = { ...(mode && { mode }), ...(isReviewed !== undefined && { isReviewed }) };
    if (known) {
      await turn.db.patch(known._id, { ...changes, isPaused: false });
      return known._id;
    }
    const others = await turn.db.query("watches").take(watchesMax);
    if (others.length === watchesMax) throw new NikaError("full", `At most ${watchesMax} folders can be watched.`);
    const settings = await turn.db.query("settings").first();
    return turn.db.insert("watches", {
      path,
      mode: mode ?? "keep",
      isReviewed: isReviewed ?? settings?.review ?? false,
      isPaused: false,
      addedAt: turn.now,
    });
  },
});

/** The folder is not followed any more. The documents stay. */
export const remove = ownerMutation({
  args: { id: v.id("watches") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await mustGet(turn, id);
    await turn.db.delete(id);
    await turn.scheduler.runAfter(0, internal.watches.unsee, { watchId: id });
    return null;
  },
});

export const pause = ownerMutation({
  args: { id: v.id("watches"), isPaused: v.boolean() },
  returns: v.null(),
  handler: async (turn, { id, isPaused }) => {
    await mustGet(turn, id);
    await turn.db.patch(id, { isPaused });
    return null;
  },
});

/** What is to be followed: the service that does so watches this. Without the reports, or each would wake it. */
export const active = systemQuery({
  args: {},
  returns: v.array(v.object({ id: v.id("watches"), path: v.string(), mode: vWatchMode })),
  handler: async (ctx) => {
    const watches = await ctx.db.query("watches").take(watchesMax);
    return watches.filter(({ isPaused }) => !isPaused).map(({ _id, path, mode }) => ({ id: _id, path, mode }));
  },
});

/** The files of a folder as they were last seen. */
export const seen = systemQuery({
  args: { watchId: v.id("watches"), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(v.object({ key: v.string(), sizeBytes: v.number(), mtimeMs: v.number() })),
  handler: async (ctx, { watchId, paginationOpts }) => {
    const { page, ...rest } = await ctx.db
      .query("sources")
      .withIndex("by_watch", (q) => q.eq("seen.watchId", watchId))
      .paginate(paginationOpts);
    const files = page.map(({ key = "", seen: last }) => ({ key, sizeBytes: last?.sizeBytes ?? 0, mtimeMs: last?.mtimeMs ?? 0 }));
    return { ...rest, page: files };
  },
});

const vFile = { name: v.string(), key: v.string(), seen: vSeen };

/** As documents.note, for files of a watched folder: what Nika has already need not be sent. */
export const note = systemMutation({
  args: { files: v.array(v.object({ ...vFile, sha256: v.string() })), batchId: v.id("batches") },
  returns: v.array(v.boolean()),
  handler: async (turn, { files, batchId }) => {
    bounded(files);
    const noted: boolean[] = [];
    for (const { sha256, ...file } of files) {
      const same = await findSame(turn, sha256);
      const isHeld = same !== undefined && !hasFailed(same);
      if (isHeld) await takeAgain(turn, same, { ...file, batchId });
      noted.push(isHeld);
    }
    return noted;
  },
});

export const addFiles = systemMutation({
  args: { files: v.array(v.object({ ...vFile, storageId: v.id("_storage") })), batchId: v.id("batches") },
  returns: v.array(vAdded),
  handler: async (turn, { files, batchId }) => {
    bounded(files);
    const added: Added[] = [];
    for (const { storageId, ...file } of files) added.push(await takeIn(turn, storageId, { ...file, batchId }));
    return added;
  },
});

export const refuse = systemMutation({
  args: {
    files: v.array(v.object({ name: v.string(), sizeBytes: v.number(), problem: vProblem })),
    batchId: v.id("batches"),
  },
  returns: v.null(),
  handler: async (turn, { files, batchId }) => {
    bounded(files);
    for (const file of files) await refuseOne(turn, file, batchId);
    return null;
  },
});

/** Files that are no longer in the folder: it is no longer known that they were; and their documents go, when the folder is mirrored. */
export const gone = systemMutation({
  args: { watchId: v.id("watches"), keys: v.array(v.string()) },
  returns: v.null(),
  handler: async (turn, { watchId, keys }) => {
    bounded(keys);
    const isMirrored = (await turn.db.get(watchId))?.mode === "mirror";
    for (const key of keys) {
      const source = await turn.db
        .query("sources")
        .withIndex("by_key", (q) => q.eq("key", key))
        .first();
      if (source?.seen?.watchId !== watchId) continue;
      const document = source.documentId && (await turn.db.get(source.documentId));
      // Kept: the name stays, and a file that comes back under it is a new version.
      if (document && !isMirrored) await turn.db.patch(source._id, { seen: undefined });
      else await turn.db.delete(source._id);
      if (document && isMirrored) await letGo(turn, document, "forgotten");
    }
    return null;
  },
});

/** How the last look went. */
export const report = systemMutation({
  args: { watchId: v.id("watches"), report: vWatchReport },
  returns: v.null(),
  handler: async (turn, { watchId, report: told }) => {
    if (await turn.db.get(watchId)) await turn.db.patch(watchId, { report: told });
    return null;
  },
});

/** Nobody looks at these files any more; some at a time. */
export const unsee = systemMutation({
  args: { watchId: v.id("watches") },
  returns: v.null(),
  handler: async (turn, { watchId }) => {
    const sources = await turn.db
      .query("sources")
      .withIndex("by_watch", (q) => q.eq("seen.watchId", watchId))
      .take(droppedPerTurn);
    for (const { _id, documentId } of sources) {
      if (documentId) await turn.db.patch(_id, { seen: undefined });
      else await turn.db.delete(_id);
    }
    if (sources.length === droppedPerTurn) await turn.scheduler.runAfter(0, internal.watches.unsee, { watchId });
    return null;
  },
});

function toView({ _id, path, mode, isReviewed, isPaused, addedAt, report: last }: Doc<"watches">): WatchView {
  return { id: _id, path, mode, isReviewed, isPaused, addedAt, ...(last && { report: last }) };
}

function bounded(items: readonly unknown[]): void {
  if (items.length > filesPerCallMax) throw new NikaError("invalid", `At most ${filesPerCallMax} at a time.`);
}

async function mustGet(turn: Turn, id: Id<"watches">): Promise<Doc<"watches">> {
  const watch = await turn.db.get(id);
  if (!watch) throw new NikaError("missing", "There is no such watched folder.");
  return watch;
}
