import { mutationGeneric, queryGeneric } from "convex/server";
import { v } from "convex/values";

/** One document of a slot, found through its index. */
export const get = queryGeneric({
  args: { slot: v.number() },
  handler: async (ctx, { slot }) => {
    const found = await ctx.db
      .query("slots")
      .withIndex("slot", (q) => q.eq("slot", slot))
      .unique();
    return found && { n: found["n"] as number };
  },
});

export const put = mutationGeneric({
  args: { slot: v.number(), n: v.number() },
  handler: async (ctx, { slot, n }) => {
    const found = await ctx.db
      .query("slots")
      .withIndex("slot", (q) => q.eq("slot", slot))
      .unique();
    if (found) await ctx.db.patch(found._id, { n });
    else await ctx.db.insert("slots", { slot, n });
    return null;
  },
});

/** A run of slots, all in one transaction. */
export const putMany = mutationGeneric({
  args: { from: v.number(), count: v.number(), n: v.number() },
  handler: async (ctx, { from, count, n }) => {
    for (let slot = from; slot < from + count; slot++) {
      const found = await ctx.db
        .query("slots")
        .withIndex("slot", (q) => q.eq("slot", slot))
        .unique();
      if (found) await ctx.db.patch(found._id, { n });
      else await ctx.db.insert("slots", { slot, n });
    }
    return null;
  },
});

export const add = mutationGeneric({
  args: { slot: v.number(), n: v.number() },
  handler: async (ctx, args) => {
    await ctx.db.insert("slots", args);
    return null;
  },
});
