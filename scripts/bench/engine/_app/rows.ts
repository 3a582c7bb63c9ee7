import { mutationGeneric, queryGeneric } from "convex/server";
import { v } from "convex/values";

/** `size` tells the sets of rows apart that lie in the one table. */
export const fill = mutationGeneric({
  args: { size: v.number(), from: v.number(), count: v.number(), chars: v.number() },
  handler: async (ctx, { size, from, count, chars }) => {
    const text = "x".repeat(chars);
    for (let at = from; at < from + count; at++) await ctx.db.insert("rows", { size, at, text });
    return null;
  },
});

/** `salt` makes each question a new one, here and below. */
export const first = queryGeneric({
  args: { size: v.number(), salt: v.number() },
  handler: async (ctx, { size }) =>
    ctx.db
      .query("rows")
      .withIndex("size", (q) => q.eq("size", size))
      .take(1),
});

/** Reads much and says little. */
export const scan = queryGeneric({
  args: { size: v.number(), count: v.number(), salt: v.number() },
  handler: async (ctx, { size, count }) => {
    let total = 0;
    for (const row of await ctx.db
      .query("rows")
      .withIndex("size", (q) => q.eq("size", size))
      .take(count))
      total += row["at"];
    return total;
  },
});

export const note = mutationGeneric({
  args: { text: v.string() },
  handler: async (ctx, { text }) => ctx.db.insert("notes", { text }),
});
