import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vFailure } from "../model/job.ts";
import { vFunctionReport, vInvocationState, vRunFacts, vTrigger } from "../model/userFunction.ts";

/** Functions that the owner wrote. */
export const functionsTables = {
  // Functions that the owner wrote, one row for each in the data folder: what the appliance found there, what the owner allows, and
  // how its runs went. Written by functions.ts and turn/invocation.ts; deleted when its folder is gone.
  userFunctions: defineTable({
    ...vFunctionReport.fields,
    isBareAllowed: v.boolean(),
    done: v.number(),
    failed: v.number(),
    lastError: v.optional(v.string()),
    lastAt: v.optional(v.number()),
    /** How long its latest runs took, oldest first. */
    recentMs: v.array(v.number()),
    /** Rows of `invocations`. */
    kept: v.number(),
    changedAt: v.number(),
  }).index("by_name", ["name"]),

  // Their runs. Written with the reason and by the settling of its job; the oldest go as new ones come, all with the function.
  invocations: defineTable({
    name: v.string(),
    trigger: vTrigger,
    state: vInvocationState,
    /** JSON text, or the file that holds it. */
    input: v.optional(v.string()),
    inputId: v.optional(v.id("_storage")),
    output: v.optional(v.string()),
    outputId: v.optional(v.id("_storage")),
    attempt: v.number(),
    error: v.optional(vFailure),
    facts: v.optional(vRunFacts),
    jobId: v.optional(v.id("jobs")),
    /** The time of a schedule that it is for. */
    occurrenceId: v.optional(v.id("occurrences")),
    createdAt: v.number(),
    endedAt: v.optional(v.number()),
  })
    .index("by_name", ["name"])
    .index("by_inputId", ["inputId"])
    .index("by_outputId", ["outputId"]),

  // What they said while they ran, apart because it grows meanwhile. Deleted with them.
  invocationLogs: defineTable({
    invocationId: v.id("invocations"),
    attempt: v.number(),
    text: v.string(),
    /** Characters that were not kept. */
    dropped: v.number(),
  }).index("by_invocation", ["invocationId"]),

  // Deliveries to webhooks, so that one that comes again is known. Written by functions.ts; the oldest go as new ones come.
  deliveries: defineTable({ name: v.string(), key: v.string(), invocationId: v.id("invocations"), at: v.number() })
    .index("by_key", ["name", "key"])
    .index("by_at", ["at"]),
};
