import {
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type DataModelFromSchemaDefinition,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { ConvexError, v } from "convex/values";
import type schema from "./schema.ts";

type Model = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Model, "public">;
const mutation = mutationGeneric as MutationBuilder<Model, "public">;
const internalMutation = internalMutationGeneric as MutationBuilder<Model, "internal">;

const args = { who: v.string(), n: v.number(), cell: v.string() };
type Entry = { who: string; n: number; cell: string };
const laterAppend = makeFunctionReference<"mutation", Entry, number>("history:appendLater");

async function lengthOf(ctx: GenericQueryCtx<Model>): Promise<number> {
  return (await ctx.db.query("entries").withIndex("at").order("desc").first())?.at ?? 0;
}

async function add(ctx: GenericMutationCtx<Model>, { who, n, cell }: Entry): Promise<number> {
  const at = (await lengthOf(ctx)) + 1;
  const { vars } = ctx.db as unknown as { vars: { commitTs: bigint } };
  await ctx.db.insert("entries", { at, who, n, cell, ts: vars.commitTs });
  const held = await ctx.db
    .query("cells")
    .withIndex("name", (q) => q.eq("name", cell))
    .unique();
  if (held) await ctx.db.patch(held._id, { at });
  else await ctx.db.insert("cells", { name: cell, at });
  return at;
}

export const append = mutation({ args, handler: add });
export const appendLater = internalMutation({ args, handler: add });
export const appendSoon = mutation({
  args,
  handler: async (ctx, entry) => {
    await ctx.scheduler.runAfter(0, laterAppend, { ...entry, who: `${entry.who} later` });
    return add(ctx, entry);
  },
});
export const refuse = mutation({
  args,
  handler: async (ctx, entry) => {
    await add(ctx, entry);
    throw new ConvexError("refused");
  },
});

export const length = query({ args: {}, handler: lengthOf });
export const byWho = query({
  args: { who: v.string() },
  handler: async (ctx, { who }) => {
    const found = await ctx.db
      .query("entries")
      .withIndex("who", (q) => q.eq("who", who))
      .collect();
    return found.map(({ n }) => n);
  },
});
export const window = query({
  args: { from: v.number(), to: v.number() },
  handler: async (ctx, { from, to }) => {
    const found = await ctx.db
      .query("entries")
      .withIndex("at", (q) => q.gte("at", from).lt("at", to))
      .collect();
    return found.map(({ at, who, n }) => [at, who, n]);
  },
});
export const recent = query({
  args: { count: v.number() },
  handler: async (ctx, { count }) =>
    (await ctx.db.query("entries").withIndex("at").order("desc").take(count)).map(({ at }) => at),
});
export const cell = query({
  args: { name: v.string() },
  handler: async (ctx, { name }) => {
    const found = await ctx.db
      .query("cells")
      .withIndex("name", (q) => q.eq("name", name))
      .unique();
    return found?.at ?? 0;
  },
});
/** Fails at every third entry. */
export const third = query({
  args: {},
  handler: async (ctx) => {
    const at = await lengthOf(ctx);
    if (at % 3 === 0) throw new ConvexError("third");
    return at;
  },
});
/** A slice of the history itself, for whoever checks the rest against it. */
export const slice = query({
  args: { from: v.number() },
  handler: async (ctx, { from }) =>
    (
      await ctx.db
        .query("entries")
        .withIndex("at", (q) => q.gte("at", from))
        .take(5000)
    ).map(({ at, who, n, cell: name, ts }) => ({
      at,
      who,
      n,
      cell: name,
      ts,
    })),
});
