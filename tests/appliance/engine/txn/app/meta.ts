import {
  actionGeneric as action,
  makeFunctionReference,
  mutationGeneric as mutation,
  queryGeneric as query,
  type GenericDataModel,
  type GenericMutationCtx,
  type RequestMetadata,
  type StorageActionWriter,
} from "convex/server";
import { ConvexError, v } from "convex/values";

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
    await ctx.db.get("things", id);
    const { documentsRead, documentsWritten, databaseQueries, ...rest } = await ctx.meta.getTransactionMetrics();
    return { documentsRead, documentsWritten, databaseQueries, bytes: [rest.bytesRead.used, rest.bytesWritten.used] };
  },
});

export const fileMetrics = mutation({
  args: {},
  handler: async (ctx) => {
    const id = await storageOf(ctx).store(new Blob(["12345"]));
    await storageOf(ctx).get(id);
    const used = await ctx.meta.getTransactionMetrics();
    return [used.filesWritten.used, used.fileWriteBytes.used, used.filesRead.used, used.fileReadBytes.used];
  },
});

export const request = mutation({ args: {}, handler: async (ctx) => ctx.meta.getRequestMetadata() });
const requestReference = makeFunctionReference<"mutation", Record<string, never>, RequestMetadata>("meta:request");
export const requestOfAction = action({
  args: {},
  handler: async (ctx): Promise<{ own: RequestMetadata; nested: RequestMetadata }> => ({
    own: await ctx.meta.getRequestMetadata(),
    nested: await ctx.runMutation(requestReference, {}),
  }),
});
export const remember = mutation({
  args: { request: v.any() },
  handler: async (ctx, { request }) => ctx.db.insert("requests", { request }),
});
export const requestLater = action({
  args: {},
  handler: async (ctx) => {
    const request: unknown = await ctx.meta.getRequestMetadata();
    await ctx.runMutation(makeFunctionReference<"mutation">("meta:remember"), { request });
  },
});
export const scheduleRequest = mutation({
  args: {},
  handler: async (ctx): Promise<string> =>
    ctx.scheduler.runAfter(0, makeFunctionReference<"action", Record<string, never>>("meta:requestLater"), {}),
});
export const countRequests = query({
  args: {},
  handler: async (ctx) => [(await ctx.db.query("requests").collect()).length, ctx.meta.getSnapshotTs() > 0n],
});
export const stale = mutation({
  args: {},
  handler: async (ctx): Promise<unknown> => {
    await ctx.db.insert("requests", { request: null });
    const count = makeFunctionReference<"query", Record<string, never>, unknown>("meta:countRequests");
    const [fresh, old] = [await ctx.runQuery(count, {}), await ctx.runQuery(count, {}, { useStaleSnapshot: true })];
    throw new ConvexError({ fresh, old } as never);
  },
});
export const requests = query({
  args: {},
  handler: async (ctx) => (await ctx.db.query("requests").collect()).map((one) => one["request"] as RequestMetadata),
});

export const moment = query({
  args: {},
  handler: async (ctx) => {
    const { name, type } = await ctx.meta.getFunctionMetadata();
    return { ts: ctx.meta.getSnapshotTs(), name, type };
  },
});
