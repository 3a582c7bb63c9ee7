import {
  actionGeneric as action,
  internalMutationGeneric as internalMutation,
  mutationGeneric as mutation,
  queryGeneric as query,
} from "convex/server";
import { anyApi } from "convex/server";
import { v } from "convex/values";

export const aloud = mutation({
  args: { secret: v.string() },
  handler: () => {
    console.log("said", { times: 1 });
    return null;
  },
});

export const count = query({ args: {}, handler: async (ctx) => (await ctx.db.query("things").collect()).length });

export const add = internalMutation({ args: {}, handler: async (ctx) => ctx.db.insert("things", {}) });

export const later = mutation({
  args: {},
  handler: async (ctx) => {
    await ctx.scheduler.runAfter(0, anyApi["say"]!["add"]!, {});
  },
});

export const through = action({ args: {}, handler: (ctx) => ctx.runQuery(anyApi["say"]!["count"]!, {}) });

export const stumble = query({
  args: {},
  handler: () => {
    throw new Error("it stumbled");
  },
});
