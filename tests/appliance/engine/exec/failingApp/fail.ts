import {
  actionGeneric as action,
  makeFunctionReference,
  mutationGeneric as mutation,
  queryGeneric as query,
} from "convex/server";
import { ConvexError } from "convex/values";
import { deep } from "./lib/deep.ts";

const failing = makeFunctionReference<"query">("fail:inQuery");

export const inQuery = query({ args: {}, handler: async () => deep("query") });

export const inMutation = mutation({
  args: {},
  handler: async (ctx): Promise<null> => {
    await ctx.runQuery(failing, {});
    return null;
  },
});

export const inAction = action({
  args: {},
  handler: async () => {
    await new Promise((resolve) => void setImmediate(resolve));
    return deep("action");
  },
});

export const withData = query({
  args: {},
  handler: async () => {
    throw new ConvexError({ code: 7 });
  },
});

function say(): null {
  console.log("words", 1n, -0, undefined, { a: [1] }, new Map([["k", 1]]));
  console.warn(new RangeError("shown"));
  console.time("watch");
  console.timeEnd("watch");
  console.timeEnd("watch");
  console.count();
  console.count();
  console.assert(false, "is so");
  return null;
}

export const says = query({ args: {}, handler: async () => say() });
export const saysInAction = action({ args: {}, handler: async () => say() });
