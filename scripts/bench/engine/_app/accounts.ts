import { mutationGeneric, queryGeneric } from "convex/server";
import { v } from "convex/values";

export const open = mutationGeneric({
  args: { from: v.number(), count: v.number() },
  handler: async (ctx, { from, count }) => {
    const ids: string[] = [];
    for (let i = from; i < from + count; i++) ids.push(await ctx.db.insert("accounts", { owner: `u${i}`, balance: 1e7 }));
    return ids;
  },
});

export const transfer = mutationGeneric({
  args: { from: v.id("accounts"), to: v.id("accounts"), amount: v.number() },
  handler: async (ctx, args) => {
    const from = await ctx.db.get(args.from);
    const to = await ctx.db.get(args.to);
    if (!from || !to || from["balance"] < args.amount) return false;
    await ctx.db.patch(args.from, { balance: from["balance"] - args.amount });
    await ctx.db.patch(args.to, { balance: to["balance"] + args.amount });
    return true;
  },
});

export const get = queryGeneric({
  args: { id: v.id("accounts") },
  handler: async (ctx, { id }) => ctx.db.get(id),
});
