/** Where documents come from: what came out of holders, and letting go of it. Nobody but the appliance calls these. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import { unpacking, vProblem } from "./model/document.ts";
import { NikaError } from "./model/error.ts";
import { findSame, hasFailed, letGo, refuse, takeAgain, takeIn } from "./turn/intake.ts";
import { systemMutation, systemQuery } from "./turn/guard.ts";

const entriesPerCallMax = 64;
const droppedPerTurn = 100;

const vEntries = v.array(
  v.object({ entry: v.number(), name: v.string(), sha256: v.string(), sizeBytes: v.number(), problem: v.optional(vProblem) }),
);

/** Which of a holder's entries became documents already, by their positions. */
export const taken = systemQuery({
  args: { parentId: v.id("documents"), from: v.number(), to: v.number() },
  returns: v.array(v.number()),
  handler: async (ctx, { parentId, from, to }) => {
    const known = ctx.db
      .query("sources")
      .withIndex("by_parent", (q) => q.eq("parentId", parentId).gte("entry", from).lt("entry", to));
    return (await known.collect()).map(({ entry }) => entry ?? -1);
  },
});

/**
 * Entries of a holder become documents of their own, each once however often this is said. The bytes of those that Nika has not are
 * asked for: `missing` tells which. `isFull` when the outermost holder has given as much as one may.
 */
export const unpack = systemMutation({
  args: {
    parentId: v.id("documents"),
    entries: vEntries,
    uploads: v.array(v.object({ entry: v.number(), storageId: v.id("_storage") })),
  },
  returns: v.object({ missing: v.array(v.number()), isFull: v.boolean(), isGone: v.boolean() }),
  handler: async (turn, { parentId, entries, uploads }) => {
    if (entries.length > entriesPerCallMax) throw new NikaError("invalid", `At most ${entriesPerCallMax} entries at a time.`);
    const parent = await turn.db.get(parentId);
    if (!parent || parent.state === "forgetting") {
      for (const { storageId } of uploads) await turn.storage.delete(storageId);
      return { missing: [], isFull: false, isGone: true };
    }
    const rootId = parent.rootId ?? parentId;
    const root = await turn.db.get(rootId);
    const unpacked = { entries: root?.unpacked?.entries ?? 0, sizeBytes: root?.unpacked?.sizeBytes ?? 0 };
    const missing: number[] = [];
    let isFull = false;
    for (const { entry, name, sha256, sizeBytes, problem } of entries) {
      const known = await turn.db
        .query("sources")
        .withIndex("by_parent", (q) => q.eq("parentId", parentId).eq("entry", entry))
        .first();
      const upload = uploads.find((one) => one.entry === entry)?.storageId;
      const hasRoom = unpacked.entries < unpacking.entriesMax && unpacked.sizeBytes + sizeBytes <= unpacking.bytesMax;
      isFull ||= !known && !hasRoom;
      if (known || isFull) {
        if (upload) await turn.storage.delete(upload);
        continue;
      }
      const origin = { name: `${parent.name}/${name}`, parent: { document: parent, entry }, batchId: parent.batchId };
      // There, and not to be had: its row says why.
      if (problem) {
        await refuse(turn, { name: origin.name, sizeBytes, problem }, origin.batchId, origin);
        unpacked.entries += 1;
        continue;
      }
      const same = await findSame(turn, sha256);
      if (same && !hasFailed(same)) {
        if (upload && same.storageId !== upload) await turn.storage.delete(upload);
        await takeAgain(turn, same, origin);
      } else if (upload) await takeIn(turn, upload, origin);
      else {
        missing.push(entry);
        continue;
      }
      unpacked.entries += 1;
      unpacked.sizeBytes += sizeBytes;
    }
    if (root && unpacked.entries !== (root.unpacked?.entries ?? 0)) await turn.db.patch(rootId, { unpacked });
    return { missing, isFull, isGone: false };
  },
});

/** Where the bytes of entries and pictures are POSTed to. */
export const uploadUrl = systemMutation({
  args: {},
  returns: v.string(),
  handler: (turn) => turn.storage.generateUploadUrl(),
});

/** What came out of a holder that is no more goes too, unless it has another place. A few at a time. */
export const dropEntries = systemMutation({
  args: { parentId: v.id("documents") },
  returns: v.null(),
  handler: async (turn, { parentId }) => {
    const rows = await turn.db
      .query("sources")
      .withIndex("by_parent", (q) => q.eq("parentId", parentId))
      .take(droppedPerTurn);
    for (const { _id, documentId } of rows) {
      await turn.db.delete(_id);
      const document = documentId && (await turn.db.get(documentId));
      if (document) await letGo(turn, document, "forgotten");
    }
    if (rows.length === droppedPerTurn) await turn.scheduler.runAfter(0, internal.sources.dropEntries, { parentId });
    return null;
  },
});
