import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  slots: defineTable({ slot: v.number(), n: v.number() }).index("slot", ["slot"]),
});
