import {
  actionGeneric,
  mutationGeneric,
  paginationOptsValidator,
  queryGeneric,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import type schema from "./schema.ts";

type Model = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Model, "public">;
const mutation = mutationGeneric as MutationBuilder<Model, "public">;
const action = actionGeneric as ActionBuilder<Model, "public">;

export const add = mutation({
  args: { text: v.string(), shelf: v.string(), embedding: v.optional(v.array(v.float64())) },
  handler: async (ctx, fields) => ctx.db.insert("articles", fields),
});

export const change = mutation({
  args: {
    id: v.id("articles"),
    fields: v.object({ text: v.optional(v.string()), stars: v.optional(v.number()), shelf: v.optional(v.string()) }),
  },
  handler: async (ctx, { id, fields }) => ctx.db.patch(id, fields),
});

export const remove = mutation({ args: { id: v.id("articles") }, handler: async (ctx, { id }) => ctx.db.delete(id) });

export const find = query({
  args: { words: v.string(), shelf: v.optional(v.string()), most: v.optional(v.number()) },
  handler: async (ctx, { words, shelf, most }) => {
    const found = await ctx.db
      .query("articles")
      .withSearchIndex("words", (q) => {
        const search = q.search("text", words);
        return shelf === undefined ? search : search.eq("shelf", shelf);
      })
      .take(most ?? 1000);
    return found.map(({ text, stars }) => (stars === undefined ? text : `${text} (${stars})`));
  },
});

export const page = query({
  args: { words: v.string(), paginationOpts: paginationOptsValidator },
  handler: async (ctx, { words, paginationOpts }) =>
    ctx.db
      .query("articles")
      .withSearchIndex("words", (q) => q.search("text", words))
      .paginate(paginationOpts),
});

/** What a mutation finds of its own: once it has added, changed, and failed inside. */
export const addAndFind = mutation({
  args: { text: v.string(), words: v.string() },
  handler: async (ctx, { text, words }) => {
    const count = async () =>
      (
        await ctx.db
          .query("articles")
          .withSearchIndex("words", (q) => q.search("text", words))
          .collect()
      ).length;
    const before = await count();
    const id = await ctx.db.insert("articles", { text, shelf: "own" });
    const added = await count();
    await ctx.db.patch(id, { text: "something else" });
    return [before, added, await count()];
  },
});

export const near = action({
  args: { vector: v.array(v.float64()), limit: v.optional(v.number()), shelves: v.optional(v.array(v.string())) },
  handler: async (ctx, { vector, limit, shelves }): Promise<{ id: string; score: number }[]> => {
    const found = await ctx.vectorSearch("articles", "meaning", {
      vector,
      ...(limit === undefined ? {} : { limit }),
      ...(shelves === undefined ? {} : { filter: (q) => q.or(...shelves.map((one) => q.eq("shelf", one))) }),
    });
    return found.map(({ _id, _score }) => ({ id: _id, score: _score }));
  },
});
