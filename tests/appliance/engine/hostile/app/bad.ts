import { actionGeneric as action, mutationGeneric as mutation, queryGeneric as query } from "convex/server";
import { v } from "convex/values";
import { misbehave } from "./ways.ts";

const args = { way: v.string(), ballast: v.optional(v.string()) };

export const asQuery = query({ args, handler: async (_ctx, { way }) => misbehave(way) });
export const asMutation = mutation({ args, handler: async (_ctx, { way }) => misbehave(way) });
export const asAction = action({ args, handler: async (_ctx, { way }) => misbehave(way) });
