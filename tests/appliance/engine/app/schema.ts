import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

// The app that the engine's tests run: written and read by the functions beside it.
export default defineSchema({
  notes: defineTable({ rank: v.number(), text: v.string() }).index("rank", ["rank"]),
  counters: defineTable({ name: v.string(), value: v.number() }).index("name", ["name"]),
  files: defineTable({ storageId: v.id("_storage") }),
});
