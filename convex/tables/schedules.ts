import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vOccurrenceState, vScheduleSpec } from "../model/schedule.ts";

/** What is to happen when. */
export const schedulesTables = {
  // What is to happen when. Written by schedules.ts alone; `nextAts` are instants that functions/schedules worked out, and `nextAt` is
  // the first of them, absent while nothing is to come.
  schedules: defineTable({
    ...vScheduleSpec.fields,
    isEnabled: v.boolean(),
    pausedUntil: v.optional(v.number()),
    version: v.number(),
    nextAts: v.array(v.number()),
    nextAt: v.optional(v.number()),
    lastAt: v.optional(v.number()),
    fired: v.number(),
    createdAt: v.number(),
  })
    .index("by_next", ["nextAt"])
    .index("by_sessionId", ["sessionId"]),

  // What became of each time of a schedule: at most one row for an instant, so nothing happens twice. Written with the schedule and by
  // the settling of its job; the oldest go as new ones come, all with the schedule.
  occurrences: defineTable({
    scheduleId: v.id("schedules"),
    version: v.number(),
    at: v.number(),
    state: vOccurrenceState,
    isLate: v.boolean(),
    jobId: v.optional(v.id("jobs")),
    /** The run that does it, when it is more than one thing. */
    runId: v.optional(v.id("runs")),
    endedAt: v.optional(v.number()),
    text: v.optional(v.string()),
  })
    .index("by_schedule", ["scheduleId", "at"])
    .index("by_open", ["scheduleId", "state"]),

  // Sessions that schedules end with, and until when they are known to live.
  sessions: defineTable({ sessionId: v.string(), until: v.number(), startedAt: v.optional(v.number()) })
    .index("by_sessionId", ["sessionId"])
    .index("by_until", ["until"]),
};
