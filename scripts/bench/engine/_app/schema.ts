import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  slots: defineTable({ slot: v.number(), n: v.number() }).index("slot", ["slot"]),
  accounts: defineTable({ owner: v.string(), balance: v.number() }),
  rows: defineTable({ size: v.number(), at: v.number(), text: v.string() }).index("size", ["size", "at"]),
  notes: defineTable({ text: v.string() }),
});
