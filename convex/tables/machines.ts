import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vBillRow, vBillTerms } from "../model/bill.ts";
import { vCaps } from "../model/budget.ts";
import { vMachineFacts } from "../model/agent.ts";
import { vCapability, vMoney, vObserved, vOffer, vProviderId, vSatellite } from "../model/gpu.ts";
import { vGpuAsk, vGpuFile, vGpuJobLife } from "../model/gpuJob.ts";
import { vMachineLife, vMachineOwner } from "../model/machine.ts";
import { vBlock, vEvidence } from "../model/posterior.ts";
import { vScalingMemory } from "../model/scale.ts";
import { vScalingPlan, vScalingView } from "../model/scaling.ts";

/** Rented compute, its work and its money. */
export const machinesTables = {
  // Rented machines, one row a billable thing, written before it is asked for (with its money set aside in the same transaction) or when a
  // provider shows one of ours without a row. Written by turn/lease.ts alone; rows of what is gone go after a month.
  machines: defineTable({
    owner: vMachineOwner,
    /** Of 12 characters; with the name and the token, what it is known by outside. */
    key: v.string(),
    name: v.string(),
    token: v.string(),
    /** The number under which what runs on it reports, and a hash of the secret that it enrols with. */
    epoch: v.number(),
    secretHash: v.optional(v.string()),
    offer: vOffer,
    capability: vCapability,
    diskMb: v.number(),
    deadline: v.number(),
    bootBy: v.number(),
    /** Who asked for it: "owner", or an agent's name. */
    by: v.string(),
    createdAt: v.number(),
    /** In the currency of its offer: set aside, and, once it is gone, what it came to. */
    reserved: vMoney,
    cost: v.optional(vMoney),
    /** What it said of itself when its work began. */
    facts: v.optional(vMachineFacts),
    /** What the sums of `gpuTotals` hold of it, micro-EUR. */
    counted: v.object({ reserved: v.number(), hourly: v.number(), spent: v.number() }),
    /** As the provider shows it, the last time it did; and when it last answered at all. */
    observed: v.optional(vObserved),
    lookedAt: v.optional(v.number()),
    /** Of a worker: the name of the worker that joined. */
    workerName: v.optional(v.string()),
    /** When it was told to take nothing new, and to stop. */
    drainedAt: v.optional(v.number()),
    life: vMachineLife,
    /** When the reaper looks at it, should nothing happen before. */
    reapAt: v.optional(v.number()),
  })
    .index("by_key", ["key"])
    .index("by_ref", ["life.ref.provider", "life.ref.region", "life.ref.id"])
    .index("by_state", ["life.state"])
    .index("by_reapAt", ["reapAt"])
    .index("by_provider", ["offer.provider", "life.verb", "life.dueAt"])
    .index("by_createdAt", ["offer.provider", "createdAt"])
    .index("by_lookedAt", ["offer.provider", "life.state", "lookedAt"])
    .index("by_alarm", ["life.alarmAt"])
    .index("by_goneAt", ["life.goneAt"])
    .index("by_gpuJob", ["owner.gpuJobId"])
    .index("by_lane", ["owner.lane", "life.state"]),

  // What the owner allows of renting machines for work that waits, and what is remembered from look to look: one row, of scaling.ts.
  scaling: defineTable({
    ...vScalingPlan.fields,
    memory: vScalingMemory,
    /** Since when each machine has done nothing. */
    idle: v.array(v.object({ id: v.string(), since: v.number() })),
    bootMs: v.optional(v.number()),
    look: vScalingView.fields.look,
  }),

  // What was decided about them, and why; with all that was seen, as JSON, so that it can be decided again. Written by scaling.ts; the
  // last 500 are kept.
  scalingDecisions: defineTable({
    at: v.number(),
    add: v.number(),
    remove: v.array(v.string()),
    need: v.number(),
    says: v.string(),
    where: v.optional(v.string()),
    input: v.string(),
  }),

  // When what runs on a machine was last heard, apart from its row, which must stay quiet. `at` is absent for one that is over.
  machineBeats: defineTable({
    machineId: v.id("machines"),
    at: v.optional(v.number()),
    seq: v.number(),
    gpu: v.optional(v.object({ name: v.string(), busy: v.number(), memoryMb: v.number(), celsius: v.optional(v.number()) })),
    diskFreeMb: v.optional(v.number()),
    says: v.optional(v.string()),
  })
    .index("by_machine", ["machineId"])
    .index("by_at", ["at"]),

  // Work for rented machines. Written by gpuJobs.ts and turn/lease.ts; their life is model/gpuJob.ts.
  gpuJobs: defineTable({
    ask: vGpuAsk,
    by: v.string(),
    createdAt: v.number(),
    life: vGpuJobLife,
    machineId: v.optional(v.id("machines")),
    /** What there is of its output: the next offset, in bytes, by attempt. */
    logBytes: v.number(),
    /** Official results, and the attempt that they are of. */
    files: v.optional(v.object({ attempt: v.number(), files: v.array(vGpuFile), manifestSha256: v.string() })),
    /** The last two that are whole, newest first. */
    checkpoints: v.array(v.object({ attempt: v.number(), seq: v.number(), file: vGpuFile, at: v.number() })),
    facts: v.array(v.string()),
  })
    .index("by_state", ["life.state"])
    .index("by_due", ["life.dueAt"])
    .index("by_endedAt", ["life.endedAt"])
    .index("by_key", ["ask.key"]),

  // Stored files of jobs: payload, checkpoints, results. A payload may be of several. Written by turn/gpuFile.ts.
  gpuFiles: defineTable({ gpuJobId: v.id("gpuJobs"), storageId: v.id("_storage") })
    .index("by_job", ["gpuJobId"])
    .index("by_storageId", ["storageId"]),

  // Output of a job's attempt, in pieces; each begins where the one before it ended.
  gpuLogs: defineTable({ gpuJobId: v.id("gpuJobs"), attempt: v.number(), offset: v.number(), text: v.string() }).index("by_job", [
    "gpuJobId",
    "attempt",
    "offset",
  ]),

  // Prices that somebody was told, good for ten minutes; `usedBy` is the job that took it.
  gpuQuotes: defineTable({
    ask: vGpuAsk,
    by: v.string(),
    offers: v.array(vOffer),
    says: v.string(),
    atMost: vMoney,
    until: v.number(),
    usedBy: v.optional(v.id("gpuJobs")),
  }).index("by_until", ["until"]),

  // At most one row: what may be spent, and whether anything may.
  gpuSettings: defineTable({
    caps: vCaps,
    usdPerEur: v.number(),
    rateAt: v.optional(v.number()),
    stoppedAt: v.optional(v.number()),
    /** When the reaper last looked, and since when it does so without a pause: what was not heard before that is not silent. */
    reapedAt: v.optional(v.number()),
    upSince: v.optional(v.number()),
    /** Where it goes on among those not heard, when there were more than it looks at in one go. */
    silentFrom: v.optional(v.number()),
  }),

  // Sums of money under one heading each ("all/day/2026-11-21", "provider/aws/day/…", "agent/NAME/day/…", "live"), in micro-EUR.
  gpuTotals: defineTable({
    name: v.string(),
    reserved: v.number(),
    spent: v.number(),
    hourly: v.number(),
    /** Of "live": what each costs to the end that it comes to by itself, counted from one day in the past (model/budget.ts). */
    worst: v.optional(v.number()),
    /** The owner was told that its cap is nearly used up. */
    isWarned: v.optional(v.boolean()),
  }).index("by_name", ["name"]),

  // What is not worth asking for before a time, and what was learned of places where machines are had (model/posterior.ts).
  gpuBlocks: defineTable(vBlock).index("by_name", ["name"]).index("by_until", ["until"]),

  gpuEvidence: defineTable(vEvidence).index("by_place", ["place"]),

  // What a paid test showed of a provider, dated: capabilities are believed when they were seen.
  gpuProofs: defineTable({
    provider: vProviderId,
    at: v.number(),
    passed: v.boolean(),
    facts: v.array(v.string()),
    cost: v.optional(vMoney),
  }).index("by_provider", ["provider", "at"]),

  // When a provider's account was last looked through, what there was that is not ours (never touched), or why it could not be.
  gpuSweeps: defineTable({
    provider: vProviderId,
    at: v.number(),
    wholeAt: v.optional(v.number()),
    ours: v.number(),
    foreign: v.array(v.object({ name: v.string(), id: v.string(), satellites: v.array(vSatellite) })),
    failure: v.optional(v.string()),
  }).index("by_provider", ["provider"]),

  // What vendors say that they billed, a row a day or month, beside what is known here. Written by gpuBills.ts; kept for 400 days.
  gpuBills: defineTable({
    ...vBillRow.fields,
    readAt: v.number(),
    /** Since when it is too much, by how much it was when that was told; when the owner said that they saw it. */
    alarmAt: v.optional(v.number()),
    toldMicros: v.optional(v.number()),
    seenAt: v.optional(v.number()),
  })
    .index("by_provider", ["provider", "period"])
    .index("by_period", ["period"])
    .index("by_alarmAt", ["alarmAt"]),

  // When each bill was last asked for, how it is told, or why it could not be read.
  gpuBillReads: defineTable({
    provider: vProviderId,
    at: v.number(),
    /** When it was read without failing. */
    readAt: v.optional(v.number()),
    terms: v.optional(vBillTerms),
    failure: v.optional(v.string()),
  }).index("by_provider", ["provider"]),
};
