import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vComparison } from "../model/comparison.ts";
import { vGenerationState } from "../model/generation.ts";
import { vFusion, vLoraWish, vModelResult } from "../model/model.ts";
import { vPassageName, vReactionType } from "../model/use.ts";
import { vWriting, vWritten } from "../model/written.ts";

/** What is learned from use, and what searches go by. */
export const modelsTables = {
  // At most one row: of which documents the use may be remembered. Written by uses.ts alone.
  learning: defineTable({ scopes: v.array(v.string()) }),

  // Models trained on use. Written by models.ts, which drops the oldest; the files of those that were made lie in the data folder.
  models: defineTable({
    at: v.number(),
    seed: v.number(),
    /** Whether addresses, accounts and numbers were taken out of questions first. */
    isScrubbed: v.boolean(),
    /** Present: trained beside a base (models.tune). */
    lora: v.optional(vLoraWish),
    /** Present: learned from what a language model wrote about passages, too. */
    writing: v.optional(vWriting),
    /** Learned from what was remembered until then; absent: until `at`. */
    until: v.optional(v.number()),
    /** To be the same as this one. */
    againOf: v.optional(v.id("models")),
    /** Put in force when it is better, by the owner's word. */
    deploys: v.optional(v.boolean()),
    jobId: v.optional(v.id("jobs")),
    result: v.optional(vModelResult),
  }),

  // What a language model wrote about passages, at most one row a passage. Written by written.ts, dropped as uses are (turn/use.ts).
  written: defineTable({ at: v.number(), ...vWritten.fields })
    .index("by_at", ["at"])
    .index("by_documentId", ["documentId", "ordinal"]),

  // Models beside each other, on the questions of that day. Written by comparisons.ts, which drops the oldest; they quote what was asked, and
  // go with it.
  comparisons: defineTable({
    at: v.number(),
    one: v.string(),
    other: v.optional(v.string()),
    jobId: v.optional(v.id("jobs")),
    result: v.optional(vComparison),
  }),

  // Questions that have to stay answered by a document. Written by comparisons.ts; they go with the document.
  pins: defineTable({ question: v.string(), documentId: v.id("documents"), at: v.number() }).index("by_documentId", [
    "documentId",
  ]),

  // Which vectors searches go by: one row for each space there was. At most one is "live", and at most one beside it is being filled or
  // kept. Written by generations.ts and turn/generation.ts alone; history beyond the newest goes with upkeep.
  generations: defineTable({
    number: v.number(),
    wanted: v.string(),
    collection: v.string(),
    embedderId: v.optional(v.string()),
    dimensions: v.optional(v.number()),
    fusion: vFusion,
    state: vGenerationState,
    by: v.string(),
    reason: v.optional(v.string()),
    at: v.number(),
    liveAt: v.optional(v.number()),
    endedAt: v.optional(v.number()),
    jobId: v.optional(v.id("jobs")),
    /** The next passage to copy, by its id. */
    cursor: v.optional(v.string()),
    done: v.optional(v.number()),
    total: v.optional(v.number()),
    problem: v.optional(v.string()),
    /** When a schedule first said that what it trains could not better this one. */
    saidBestAt: v.optional(v.number()),
  }).index("by_state", ["state"]),

  // Questions that were asked, and what was shown, where the owner lets Nika learn. Written by uses.ts; dropped by age, by the owner's
  // word, and with a document that answered (turn/use.ts).
  uses: defineTable({
    key: v.string(),
    at: v.number(),
    session: v.string(),
    question: v.string(),
    shown: v.array(vPassageName),
  })
    .index("by_key", ["key"])
    .index("by_at", ["at"]),

  // What was done with what was shown. Lives and goes with its use.
  reactions: defineTable({ useId: v.id("uses"), at: v.number(), type: vReactionType, ...vPassageName.fields })
    .index("by_use", ["useId"])
    .index("by_documentId", ["documentId"]),
};
