import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { vReport } from "./model/appliance.ts";
import { vDocumentState, vProgress, vReading, vTrouble } from "./model/document.ts";
import { vEventType } from "./model/event.ts";
import { vFailure, vJobState, vLease } from "./model/job.ts";
import { vArgs, vKind } from "./model/kinds.ts";
import { vSettings } from "./model/setting.ts";

export default defineSchema({
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
  })
    .index("by_state", ["state"])
    .index("by_sha256", ["sha256"])
    .index("by_name", ["name", "sha256"])
    .index("by_baseName", ["baseName"])
    .index("by_storageId", ["storageId"]),

  // Written by whoever wants work done, in the transaction that gives the reason. Claimed and settled only through jobs.ts; deleted
  // by upkeep a week after it ended. `lease` is present exactly while state is "leased". `isDue` is `readyAt` having passed, as a
  // stored fact: a query must not look at the clock, or it would never be told that time went by.
  jobs: defineTable({
    kind: vKind,
    args: vArgs,
    label: v.string(),
    documentId: v.optional(v.id("documents")),
    rank: v.number(),
    state: vJobState,
    readyAt: v.number(),
    isDue: v.boolean(),
    attempts: v.number(),
    deaths: v.number(),
    lease: v.optional(vLease),
    cancelAsked: v.optional(v.boolean()),
    progress: v.optional(vProgress),
    error: v.optional(vFailure),
    startedAt: v.optional(v.number()),
    endedAt: v.optional(v.number()),
  })
    .index("by_state", ["state"])
    .index("by_queue", ["state", "isDue", "rank", "readyAt"])
    .index("by_delay", ["state", "isDue", "readyAt"])
    .index("by_worker", ["lease.workerId", "cancelAsked"])
    .index("by_endedAt", ["endedAt"]),

  // One row per worker name, written when it starts, stops or is given up. Claims read it, so it must stay quiet.
  workers: defineTable({
    name: v.string(),
    /** Goes up with each incarnation; whoever holds a lower one is nobody. */
    epoch: v.number(),
    isUp: v.boolean(),
    slots: v.number(),
    startedAt: v.number(),
  })
    .index("by_name", ["name"])
    .index("by_isUp", ["isUp"]),

  // Each worker's pulse, apart from `workers` because it changes every few seconds. Written by workers.beat alone.
  beats: defineTable({ workerId: v.id("workers"), epoch: v.number(), until: v.number() }).index("by_workerId", ["workerId"]),

  // What the owner wants to be told. Written in the transaction that made it true; deleted by upkeep.
  events: defineTable({
    at: v.number(),
    type: vEventType,
    name: v.string(),
    text: v.string(),
    documentId: v.optional(v.id("documents")),
  }).index("by_at", ["at"]),

  // At most one row: what the owner chose.
  settings: defineTable(vSettings),

  // At most one row: what the running appliance says about itself, written at its start.
  appliance: defineTable(vReport),

  // At most one row: uploads older than this were looked at, and those without a document thrown away. Written by upkeep alone.
  sweeps: defineTable({ uploadsUntil: v.number() }),

  // One row per noun: how many rows there are of each sort, kept by turn/tally.ts in every transaction that changes one.
  tallies: defineTable({ noun: v.string(), counts: v.record(v.string(), v.number()) }).index("by_noun", ["noun"]),
});
