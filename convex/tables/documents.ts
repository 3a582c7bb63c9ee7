import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vBatchOrigin, vBatchSums, vDecision, vGrouping, vSample } from "../model/batch.ts";
import { vDocumentState, vLabels, vReading, vTrouble } from "../model/document.ts";
import { vPictureFacts } from "../model/picture.ts";
import { vProfile } from "../model/theme.ts";
import { vSeen, vWatchMode, vWatchReport } from "../model/watch.ts";

/** What was handed in, and what is known of it. */
export const documentsTables = {
  // What the owner handed in. Written by documents.ts, and by the settling of its job in the same transaction; deleted only when
  // its forget job settles. `storageId` and `sha256` are absent for files that were refused before a byte was stored.
  documents: defineTable({
    name: v.string(),
    /** The last part of `name`. */
    baseName: v.string(),
    state: vDocumentState,
    sizeBytes: v.number(),
    /** Hex. */
    sha256: v.optional(v.string()),
    storageId: v.optional(v.id("_storage")),
    addedAt: v.number(),
    readyAt: v.optional(v.number()),
    problem: v.optional(vTrouble),
    reading: v.optional(vReading),
    /** Its open job; absent when there is none. */
    jobId: v.optional(v.id("jobs")),
    /** Whose it is; absent means the owner. */
    tenantId: v.optional(v.string()),
    /** What it was handed in with. */
    batchId: v.optional(v.id("batches")),
    /** The archive or mailbox it came out of, the outermost of these, and how many they are. */
    parentId: v.optional(v.id("documents")),
    rootId: v.optional(v.id("documents")),
    depth: v.optional(v.number()),
    /** Of an outermost one: what was taken out of it so far, all in all. */
    unpacked: v.optional(v.object({ entries: v.number(), sizeBytes: v.number() })),
    /** Versions of one file have the id of the first in common, and count from 1. `isOld` is set when a newer one took its place. */
    family: v.optional(v.id("documents")),
    version: v.optional(v.number()),
    isOld: v.optional(v.boolean()),
    /** What the owner said of it, and whether that was while it was being read. */
    labels: v.optional(vLabels),
    isRelabelled: v.optional(v.boolean()),
    /** The theme that it was put into. */
    domain: v.optional(v.string()),
  })
    .index("by_state", ["state"])
    .index("by_isOld", ["isOld"])
    .index("by_family", ["family", "version"])
    .index("by_batch", ["batchId", "state"])
    .index("by_isInBatch", ["batchId"])
    .index("by_sha256", ["sha256"])
    .index("by_name", ["name", "sha256"])
    .index("by_baseName", ["baseName"])
    .index("by_storageId", ["storageId"]),

  // Where each document comes from: one row for each name, file or archive entry that has its bytes. Written with the document by
  // turn/intake.ts; deleted with it. `key` names a file whose bytes may change; then the row moves on to the new version. A row
  // without a document is a watched file that the owner had forgotten: it stays forgotten until it changes.
  sources: defineTable({
    documentId: v.optional(v.id("documents")),
    name: v.string(),
    baseName: v.string(),
    key: v.optional(v.string()),
    parentId: v.optional(v.id("documents")),
    /** Its position in `parentId`, from 0. */
    entry: v.optional(v.number()),
    seen: v.optional(vSeen),
  })
    .index("by_documentId", ["documentId"])
    .index("by_key", ["key"])
    .index("by_parent", ["parentId", "entry"])
    .index("by_watch", ["seen.watchId"])
    .index("by_baseName", ["baseName"]),

  // What was handed in together. Written by batches.ts when the owner says so; claims read it, so it must stay quiet.
  batches: defineTable({
    label: v.string(),
    origin: vBatchOrigin,
    isReviewed: v.boolean(),
    /** No more files are to come. */
    isClosed: v.boolean(),
    isPaused: v.boolean(),
    isCancelled: v.boolean(),
    decision: v.optional(vDecision),
    addedAt: v.number(),
    watchId: v.optional(v.id("watches")),
  }).index("by_watch", ["watchId", "isClosed"]),

  // How far each batch is, apart from `batches` because it changes with every document. Written by turn/sum.ts alone.
  batchSums: defineTable({
    batchId: v.id("batches"),
    sums: vBatchSums,
    samples: v.array(vSample),
    endedAt: v.optional(v.number()),
  }).index("by_batchId", ["batchId"]),

  // What is in each batch: one row for each type, language, theme, folder, format and problem. Written by turn/sum.ts alone.
  groups: defineTable({
    batchId: v.id("batches"),
    by: vGrouping,
    value: v.string(),
    documents: v.number(),
    sizeBytes: v.number(),
    staged: v.number(),
  })
    .index("by_value", ["batchId", "by", "value"])
    .index("by_size", ["batchId", "by", "documents"]),

  // Pictures taken out of documents. Written by the ingest that found them, deleted with their document.
  pictures: defineTable({
    documentId: v.id("documents"),
    sha256: v.string(),
    sizeBytes: v.number(),
    storageId: v.id("_storage"),
    ...vPictureFacts.fields,
  })
    .index("by_documentId", ["documentId", "ordinal"])
    .index("by_storageId", ["storageId"]),

  // Folders the owner wants followed. Written by watches.ts; `report` by the service that follows them.
  watches: defineTable({
    path: v.string(),
    mode: vWatchMode,
    isReviewed: v.boolean(),
    isPaused: v.boolean(),
    addedAt: v.number(),
    report: v.optional(vWatchReport),
  }).index("by_path", ["path"]),

  // The wording of each document in short, and the parts of it by which others alike are found. Written when its
  // ingest settles, deleted with it.
  sketches: defineTable({ documentId: v.id("documents"), sketch: v.array(v.number()) }).index("by_documentId", ["documentId"]),

  // What each document is about, and how many came since themes were last looked for among them. Written by turn/theme.ts.
  profiles: defineTable({ documentId: v.id("documents"), ...vProfile.fields }).index("by_documentId", ["documentId"]),

  themes: defineTable({ fresh: v.number(), jobId: v.optional(v.id("jobs")) }),

  bands: defineTable({ documentId: v.id("documents"), band: v.string() })
    .index("by_documentId", ["documentId"])
    .index("by_band", ["band"]),
};
