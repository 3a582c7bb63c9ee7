import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vFailure } from "../model/job.ts";
import { vEffectClass, vEffectState, vRunProblem, vRunState, vStepSpec, vStepState, vValue, vWaitFor } from "../model/run.ts";

/** Functions of many steps. */
export const runsTables = {
  // Functions of many steps that outlive their process. Written by turn/run.ts and what stands beside it; swept a week after
  // they ended. `jobId` is the job that advances it, present exactly while it is running: nobody else may write what it does.
  runs: defineTable({
    name: v.string(),
    label: v.string(),
    /** JSON. */
    args: v.string(),
    /** Of the code that took its last step. */
    version: v.optional(v.number()),
    state: vRunState,
    /** Goes up with each start from the beginning; steps and effects are of one life. */
    life: v.number(),
    jobId: v.optional(v.id("jobs")),
    parentId: v.optional(v.id("runs")),
    depth: v.number(),
    occurrenceId: v.optional(v.id("occurrences")),
    /** When it goes on by itself. */
    wakeAt: v.optional(v.number()),
    /** Goes up when something that it may wait for came while it was running. */
    news: v.number(),
    /** Effects that the owner is asked about. */
    asks: v.number(),
    result: v.optional(vValue),
    error: v.optional(vFailure),
    problem: v.optional(vRunProblem),
    endedAt: v.optional(v.number()),
  })
    .index("by_state", ["state", "wakeAt"])
    .index("by_parent", ["parentId", "endedAt"]),

  // What each run did, in the order in which it was begun: what is here is not done again. Written with each boundary between two steps.
  steps: defineTable({
    runId: v.id("runs"),
    life: v.number(),
    ...vStepSpec.fields,
    state: vStepState,
    /** Tries that failed. */
    attempts: v.number(),
    startedAt: v.number(),
    endedAt: v.optional(v.number()),
    waitFor: v.optional(vWaitFor),
    childId: v.optional(v.id("runs")),
    effectId: v.optional(v.id("effects")),
    value: v.optional(vValue),
    error: v.optional(vFailure),
  }).index("by_run", ["runId", "life"]),

  // Steps that wait, apart from `steps` so that those need only one index. Gone when the step goes on.
  waits: defineTable({ runId: v.id("runs"), stepId: v.id("steps") }).index("by_run", ["runId"]),

  // What was said to runs. `stepId` is the step that heard it; absent until one asks.
  signals: defineTable({
    runId: v.id("runs"),
    kind: v.string(),
    /** JSON. */
    body: v.string(),
    from: v.string(),
    at: v.number(),
    stepId: v.optional(v.id("steps")),
  }).index("by_run", ["runId", "stepId", "kind"]),

  // What runs do to the world, written down before it happens. Deleted with the run.
  effects: defineTable({
    runId: v.id("runs"),
    stepId: v.id("steps"),
    /** SHA-256 of run, life and step, in hex: whoever is asked twice under it need do it once. */
    key: v.string(),
    class: vEffectClass,
    state: vEffectState,
    /** How often it was begun. */
    tries: v.number(),
    at: v.number(),
    endedAt: v.optional(v.number()),
    /** What the owner says came of it, as JSON. */
    result: v.optional(v.string()),
  })
    .index("by_state", ["state", "at"])
    .index("by_run", ["runId"]),

  // Results too large for a row. A file may be of several runs: a child's result is also its parent's.
  runFiles: defineTable({ runId: v.id("runs"), storageId: v.id("_storage") })
    .index("by_run", ["runId"])
    .index("by_storageId", ["storageId"]),
};
