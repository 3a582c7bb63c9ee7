import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vReadingRoom, vReport } from "../model/appliance.ts";
import { vEventType } from "../model/event.ts";
import { vSettings } from "../model/setting.ts";

/** What the machine and its owner say of themselves. */
export const applianceTables = {
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

  // At most one row: how many files are read at a time, and why not more. Written by the appliance when that changes.
  readingRooms: defineTable(vReadingRoom),

  // At most one row: uploads older than this were looked at, and those without a document thrown away. Written by upkeep alone.
  sweeps: defineTable({ uploadsUntil: v.number() }),

  // One row per noun: how many rows there are of each sort, kept by turn/tally.ts in every transaction that changes one.
  tallies: defineTable({ noun: v.string(), counts: v.record(v.string(), v.number()) }).index("by_noun", ["noun"]),

  // The names of secrets and when they were set; the appliance writes and deletes them, pages read.
  credentials: defineTable({ name: v.string(), setAt: v.number() }).index("by_name", ["name"]),
};
