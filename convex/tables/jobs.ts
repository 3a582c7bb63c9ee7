import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vProgress } from "../model/document.ts";
import { vFailure, vJobEvent, vJobState, vLease } from "../model/job.ts";
import { vWorkerAbout } from "../model/joined.ts";
import { vArgs, vKind } from "../model/kinds.ts";
import { vGate, vLane } from "../model/lane.ts";

/** Work to be done, and who does it. */
export const jobsTables = {
  // Written by whoever wants work done, in the transaction that gives the reason. Claimed and settled only through jobs.ts; deleted
  // by upkeep a week after it ended. `lease` is present exactly while state is "leased". `isDue` is `readyAt` having passed, as a
  // stored fact: a query must not look at the clock, or it would never be told that time went by.
  jobs: defineTable({
    kind: vKind,
    args: vArgs,
    label: v.string(),
    documentId: v.optional(v.id("documents")),
    batchId: v.optional(v.id("batches")),
    /** Its batch is paused: it is not due until that goes on. */
    isParked: v.optional(v.boolean()),
    /** Absent only in jobs of before there were lanes; workers.hello gives them theirs. */
    lane: v.optional(vLane),
    rank: v.number(),
    /** Doors it has to be through to be due (rows of `gates`), and whether it waits at one. */
    gates: v.optional(v.array(vGate)),
    isGated: v.optional(v.boolean()),
    /** While it is open, another one of the same kind and key is not made (row of `uniques`). */
    uniqueKey: v.optional(v.string()),
    state: vJobState,
    readyAt: v.number(),
    isDue: v.boolean(),
    attempts: v.number(),
    deaths: v.number(),
    lease: v.optional(vLease),
    cancelAsked: v.optional(v.boolean()),
    progress: v.optional(vProgress),
    error: v.optional(vFailure),
    /** What went wrong, newest last; absent as long as nothing did. */
    history: v.optional(v.array(vJobEvent)),
    startedAt: v.optional(v.number()),
    endedAt: v.optional(v.number()),
  })
    // Each index costs two writes a job. Of ended ones `readyAt` is when they ended, of leased ones when they were claimed.
    .index("by_state", ["state", "isDue", "readyAt"])
    .index("by_lane", ["state", "isDue", "lane", "rank", "readyAt"])
    .index("by_worker", ["lease.workerId", "cancelAsked"])
    .index("by_batch", ["batchId", "state", "isParked"]),

  // Who is through a door or waits at it: one row for each door of each job that wants to be worked on. Written by turn/gate.ts alone.
  gates: defineTable({ name: v.string(), limit: v.number(), jobId: v.id("jobs"), isIn: v.boolean(), rank: v.number() })
    .index("by_name", ["name", "isIn", "rank"])
    .index("by_jobId", ["jobId"]),

  // The open job of each key that may have only one. Written by turn/enqueue.ts and, when the job ends, by turn/move.ts.
  uniques: defineTable({ kind: vKind, key: v.string(), jobId: v.id("jobs") }).index("by_key", ["kind", "key"]),

  // One row per worker name, written when it starts, stops or is given up. Claims read it, so it must stay quiet.
  workers: defineTable({
    name: v.string(),
    /** Goes up with each incarnation; whoever holds a lower one is nobody. */
    epoch: v.number(),
    isUp: v.boolean(),
    slots: v.number(),
    startedAt: v.number(),
    about: v.optional(vWorkerAbout),
    /** What it was let in with, when it is on another machine. */
    tokenId: v.optional(v.id("workerTokens")),
  })
    .index("by_name", ["name"])
    .index("by_isUp", ["isUp"]),

  // Who may join as a worker from another machine, one row each. Only hashes of secrets; written by workers.ts, deleted when revoked.
  workerTokens: defineTable({ name: v.string(), hash: v.string(), createdAt: v.number() })
    .index("by_hash", ["hash"])
    .index("by_name", ["name"]),

  // Each worker's pulse, apart from `workers` because it changes every few seconds. Written by workers.beat alone.
  beats: defineTable({ workerId: v.id("workers"), epoch: v.number(), until: v.number() }).index("by_workerId", ["workerId"]),
};
