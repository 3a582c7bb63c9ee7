import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  /** The history: one row for each mutation that did well, numbered from 1. */
  entries: defineTable({ at: v.number(), who: v.string(), n: v.number(), cell: v.string(), ts: v.int64() })
    .index("at", ["at"])
    .index("who", ["who", "at"]),
  /** Who wrote last where. */
  cells: defineTable({ name: v.string(), at: v.number() }).index("name", ["name"]),
});
