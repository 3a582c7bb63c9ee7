import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

// The app of the search tests.
export default defineSchema({
  articles: defineTable({
    text: v.string(),
    shelf: v.string(),
    stars: v.optional(v.number()),
    embedding: v.optional(v.array(v.float64())),
  })
    .searchIndex("words", { searchField: "text", filterFields: ["shelf"] })
    .vectorIndex("meaning", { vectorField: "embedding", dimensions: 3, filterFields: ["shelf"] }),
});
