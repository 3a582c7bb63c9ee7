/** Pictures taken out of documents. */
import { v } from "convex/values";
import { picturesPerDocumentMax, toHex } from "./model/document.ts";
import { lookAgainMs, vMediaType, vPictureFacts, vPictureView } from "./model/picture.ts";
import { deleteFile } from "./turn/document.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerQuery, systemMutation, systemQuery } from "./turn/guard.ts";

/** In the order of the document. */
export const ofDocument = ownerQuery({
  args: { documentId: v.id("documents") },
  returns: v.array(vPictureView),
  handler: async (ctx, { documentId }) => {
    const pictures = await ctx.db
      .query("pictures")
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
      .take(picturesPerDocumentMax);
    return pictures.map(({ _id, _creationTime, sha256: _sha256, storageId: _storageId, ...facts }) => ({ id: _id, ...facts }));
  },
});

/** What is held of a document: an ingest that begins again need not send it again. */
export const held = systemQuery({
  args: { documentId: v.id("documents") },
  returns: v.array(v.object({ id: v.id("pictures"), ordinal: v.number(), sha256: v.string() })),
  handler: async (ctx, { documentId }) => {
    const pictures = await ctx.db
      .query("pictures")
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
      .take(picturesPerDocumentMax);
    return pictures.map(({ _id, ordinal, sha256 }) => ({ id: _id, ordinal, sha256 }));
  },
});

/** Keeps a picture in its place among those of its document; again is no harm. */
export const put = systemMutation({
  args: { documentId: v.id("documents"), storageId: v.id("_storage"), facts: vPictureFacts },
  returns: v.null(),
  handler: async (turn, { documentId, storageId, facts }) => {
    const [document, stored] = [await turn.db.get(documentId), await turn.db.system.get(storageId)];
    if (!document || !stored || facts.ordinal >= picturesPerDocumentMax) {
      await deleteFile(turn, storageId);
      return null;
    }
    const before = await turn.db
      .query("pictures")
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId).eq("ordinal", facts.ordinal))
      .unique();
    const row = { documentId, storageId, sha256: toHex(stored.sha256), sizeBytes: stored.size, ...facts };
    if (!before) await turn.db.insert("pictures", row);
    else {
      await turn.db.replace(before._id, row);
      if (before.storageId !== storageId) await deleteFile(turn, before.storageId);
    }
    return null;
  },
});

/** An earlier reading may have found more. */
export const trim = systemMutation({
  args: { documentId: v.id("documents"), count: v.number() },
  returns: v.null(),
  handler: async (turn, { documentId, count }) => {
    const beyond = await turn.db
      .query("pictures")
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId).gte("ordinal", count))
      .take(picturesPerDocumentMax);
    for (const picture of beyond) {
      await turn.db.delete(picture._id);
      await deleteFile(turn, picture.storageId);
    }
    return null;
  },
});

/** What embeds pictures did not answer when these were read: they are looked at later, however long that takes. */
export const owe = systemMutation({
  args: { documentId: v.id("documents") },
  returns: v.null(),
  handler: async (turn, { documentId }) => {
    const document = await turn.db.get(documentId);
    if (!document) return null;
    const runAt = turn.now + lookAgainMs;
    await enqueue(turn, { kind: "documents.look", args: { documentId }, label: document.name, uniqueKey: documentId, runAt });
    return null;
  },
});

/** Where a picture's bytes are; null when there is no such picture. `id` may be any text. */
export const forServing = systemQuery({
  args: { id: v.string() },
  returns: v.union(
    v.object({
      url: v.string(),
      mediaType: vMediaType,
      sizeBytes: v.number(),
      /** Its caption and what was read in it. */
      words: v.string(),
    }),
    v.null(),
  ),
  handler: async (ctx, { id }) => {
    const known = ctx.db.normalizeId("pictures", id);
    const picture = known && (await ctx.db.get(known));
    const url = picture && (await ctx.storage.getUrl(picture.storageId));
    if (!url) return null;
    const { mediaType, sizeBytes, caption, text } = picture;
    return { url, mediaType, sizeBytes, words: [caption, text].filter(Boolean).join("\n") };
  },
});

/** Where a document's file is, and what it is called; null when there is none. `id` may be any text. */
export const fileForServing = systemQuery({
  args: { id: v.string() },
  returns: v.union(v.object({ url: v.string(), name: v.string(), sizeBytes: v.number() }), v.null()),
  handler: async (ctx, { id }) => {
    const known = ctx.db.normalizeId("documents", id);
    const document = known && (await ctx.db.get(known));
    const url = document?.storageId && (await ctx.storage.getUrl(document.storageId));
    return url ? { url, name: document.name, sizeBytes: document.sizeBytes } : null;
  },
});
