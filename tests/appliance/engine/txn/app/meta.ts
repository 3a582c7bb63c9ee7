import {
  mutationGeneric as mutation,
  queryGeneric as query,
  type GenericDataModel,
  type GenericMutationCtx,
  type StorageActionWriter,
} from "convex/server";
import { v } from "convex/values";

/** Mutations may store and read bytes since 1.48; its types say so for actions only where they are older. */
type Storage = Pick<StorageActionWriter, "store" | "get">;
const storageOf = (ctx: GenericMutationCtx<GenericDataModel>) => ctx.storage as unknown as Storage;

export const store = mutation({
  args: { text: v.string(), fail: v.optional(v.boolean()) },
  handler: async (ctx, { text, fail }) => {
    const blob = new Blob([text.slice(0, 2), new TextEncoder().encode(text.slice(2))], { type: "text/plain" });
    const id = await storageOf(ctx).store(blob);
    const back = await storageOf(ctx).get(id);
    if (fail) throw new Error(`stored ${id}`);
    return { id, text: await back?.text(), type: back?.type, size: back?.size, part: await back?.slice(1, 3).text() };
  },
});

export const url = query({ args: { id: v.id("_storage") }, handler: async (ctx, { id }) => ctx.storage.getUrl(id) });

export const metrics = mutation({
  args: {},
  handler: async (ctx) => {
    const id = await ctx.db.insert("things", { size: 1 });
    await ctx.db.get("things", id);
    await ctx.db.query("things").take(1);
    const { documentsRead, documentsWritten, databaseQueries, bytesWritten } = await ctx.meta.getTransactionMetrics();
    return { documentsRead, documentsWritten, databaseQueries, hasBytes: bytesWritten.used > 0 };
  },
});

export const request = mutation({ args: {}, handler: async (ctx) => ctx.meta.getRequestMetadata() });

export const moment = query({
  args: {},
  handler: async (ctx) => {
    const { name, type } = await ctx.meta.getFunctionMetadata();
    return { ts: ctx.meta.getSnapshotTs(), name, type };
  },
});
