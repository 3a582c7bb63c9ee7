import {
  actionGeneric,
  internalMutationGeneric,
  mutationGeneric,
  paginationOptsValidator,
  queryGeneric,
  makeFunctionReference,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type GenericMutationCtx,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { ConvexError, v } from "convex/values";
import type schema from "./schema.ts";

type Model = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Model, "public">;
const mutation = mutationGeneric as MutationBuilder<Model, "public">;
const internalMutation = internalMutationGeneric as MutationBuilder<Model, "internal">;
const action = actionGeneric as ActionBuilder<Model, "public">;
const later = makeFunctionReference<"mutation", { name: string }, number>("notes:bumpLater");
const acting = makeFunctionReference<"action", { name: string }, number>("notes:act");

export const get = query({
  args: { rank: v.number() },
  handler: async (ctx, { rank }) => {
    const found = await ctx.db
      .query("notes")
      .withIndex("rank", (q) => q.eq("rank", rank))
      .unique();
    return found?.text ?? null;
  },
});

export const between = query({
  args: { from: v.number(), to: v.number() },
  handler: async (ctx, { from, to }) => {
    const found = await ctx.db
      .query("notes")
      .withIndex("rank", (q) => q.gte("rank", from).lt("rank", to))
      .collect();
    return found.map(({ text }) => text);
  },
});

export const page = query({
  args: { paginationOpts: paginationOptsValidator },
  handler: async (ctx, { paginationOpts }) => ctx.db.query("notes").withIndex("rank").paginate(paginationOpts),
});

export const put = mutation({
  args: { rank: v.number(), text: v.string() },
  handler: async (ctx, { rank, text }) => {
    const found = await ctx.db
      .query("notes")
      .withIndex("rank", (q) => q.eq("rank", rank))
      .unique();
    if (found) await ctx.db.patch(found._id, { text });
    else await ctx.db.insert("notes", { rank, text });
    return null;
  },
});

export const fill = mutation({
  args: { count: v.number() },
  handler: async (ctx, { count }) => {
    for (let rank = 0; rank < count; rank++) await ctx.db.insert("notes", { rank, text: `note ${rank}` });
    return null;
  },
});

export const count = query({
  args: { name: v.string() },
  handler: async (ctx, { name }) => {
    const found = await ctx.db
      .query("counters")
      .withIndex("name", (q) => q.eq("name", name))
      .unique();
    return found?.value ?? 0;
  },
});

async function bumped(ctx: GenericMutationCtx<Model>, name: string): Promise<number> {
  const found = await ctx.db
    .query("counters")
    .withIndex("name", (q) => q.eq("name", name))
    .unique();
  if (!found) {
    await ctx.db.insert("counters", { name, value: 1 });
    return 1;
  }
  await ctx.db.patch(found._id, { value: found.value + 1 });
  return found.value + 1;
}

export const bump = mutation({ args: { name: v.string() }, handler: async (ctx, { name }) => bumped(ctx, name) });
export const bumpLater = internalMutation({ args: { name: v.string() }, handler: async (ctx, { name }) => bumped(ctx, name) });

export const refuse = mutation({
  args: {},
  handler: async (ctx) => {
    await ctx.db.insert("notes", { rank: -1, text: "never seen" });
    throw new ConvexError({ code: "no", bytes: new Uint8Array([1, 2]).buffer });
  },
});

export const whoAmI = query({ args: {}, handler: async (ctx) => (await ctx.auth.getUserIdentity())?.tokenIdentifier ?? null });

/** What leaves one arrives at the other: their sum never changes. */
export const move = mutation({
  args: { from: v.string(), to: v.string(), amount: v.number() },
  handler: async (ctx, { from, to, amount }) => {
    for (const [name, by] of [
      [from, -amount],
      [to, amount],
    ] as const) {
      const found = await ctx.db
        .query("counters")
        .withIndex("name", (q) => q.eq("name", name))
        .unique();
      if (found) await ctx.db.patch(found._id, { value: found.value + by });
      else await ctx.db.insert("counters", { name, value: by });
    }
    return null;
  },
});

/** Fails while the counter is odd. */
export const even = query({
  args: { name: v.string() },
  handler: async (ctx, { name }) => {
    const found = await ctx.db
      .query("counters")
      .withIndex("name", (q) => q.eq("name", name))
      .unique();
    if ((found?.value ?? 0) % 2 !== 0) throw new ConvexError("odd");
    return found?.value ?? 0;
  },
});

/** Lets a mutation and an action happen a little later. */
export const schedule = mutation({
  args: { name: v.string(), inMs: v.number() },
  handler: async (ctx, { name, inMs }) => {
    await ctx.scheduler.runAfter(inMs, later, { name });
    await ctx.scheduler.runAfter(inMs, acting, { name });
    return null;
  },
});

export const act = action({
  args: { name: v.string() },
  handler: async (ctx, { name }): Promise<number> => ctx.runMutation(later, { name }),
});

export const store = action({
  args: { size: v.number() },
  handler: async (ctx, { size }): Promise<string> => ctx.storage.store(new Blob([new Uint8Array(size).fill(7)])),
});

export const uploadUrl = mutation({ args: {}, handler: async (ctx) => ctx.storage.generateUploadUrl() });

export const keep = mutation({
  args: { storageId: v.id("_storage") },
  handler: async (ctx, { storageId }) => ctx.db.insert("files", { storageId }),
});

export const urls = query({
  args: {},
  handler: async (ctx) => {
    const files = await ctx.db.query("files").collect();
    return Promise.all(files.map(({ storageId }) => ctx.storage.getUrl(storageId)));
  },
});

export const drop = mutation({
  args: { storageId: v.id("_storage") },
  handler: async (ctx, { storageId }) => ctx.storage.delete(storageId),
});
