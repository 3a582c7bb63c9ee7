import {
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type GenericMutationCtx,
} from "convex/server";
import { v, type GenericId } from "convex/values";

type Model = {
  counters: {
    document: { _id: GenericId<"counters">; name: string; value: number };
    fieldPaths: "name";
    indexes: {};
    searchIndexes: {};
    vectorIndexes: {};
  };
};
const bumped = makeFunctionReference<"mutation", { name: string }, number>("work:bumpLater");
const args = { name: v.string() };

async function bumpOne(ctx: GenericMutationCtx<Model>, name: string): Promise<number> {
  const found = await ctx.db
    .query("counters")
    .filter((q) => q.eq(q.field("name"), name))
    .unique();
  const value = (found?.value ?? 0) + 1;
  if (found) await ctx.db.patch(found._id, { value });
  else await ctx.db.insert("counters", { name, value });
  return value;
}

export const bump = mutationGeneric({ args, handler: async (ctx, { name }) => bumpOne(ctx as never, name) });
export const bumpLater = internalMutationGeneric({ args, handler: async (ctx, { name }) => bumpOne(ctx as never, name) });
export const later = mutationGeneric({
  args: { name: v.string(), inMs: v.number() },
  handler: async (ctx, { name, inMs }) => ctx.scheduler.runAfter(inMs, bumped, { name }),
});
export const count = queryGeneric({
  args,
  handler: async (ctx, { name }) => {
    const found = await ctx.db
      .query("counters")
      .filter((q) => q.eq(q.field("name"), name))
      .unique();
    return (found?.["value"] as number | undefined) ?? 0;
  },
});
