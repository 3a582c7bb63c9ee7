import {
  actionGeneric as action,
  makeFunctionReference,
  mutationGeneric as mutation,
  queryGeneric as query,
} from "convex/server";
import { v } from "convex/values";

const bumped = makeFunctionReference<"mutation", { name: string }, number>("good:bump");

export const bump = mutation({
  args: { name: v.string() },
  handler: async (ctx, { name }) => {
    const found = await ctx.db
      .query("counters")
      .filter((q) => q.eq(q.field("name"), name))
      .unique();
    const value = ((found?.["value"] as number | undefined) ?? 0) + 1;
    if (found) await ctx.db.patch(found._id, { value });
    else await ctx.db.insert("counters", { name, value });
    return value;
  },
});
export const count = query({
  args: { name: v.string() },
  handler: async (ctx, { name }) => {
    const found = await ctx.db
      .query("counters")
      .filter((q) => q.eq(q.field("name"), name))
      .unique();
    return (found?.["value"] as number | undefined) ?? 0;
  },
});
export const act = action({
  args: { name: v.string() },
  handler: async (ctx, { name }): Promise<number> => ctx.runMutation(bumped, { name }),
});
