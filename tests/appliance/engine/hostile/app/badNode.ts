"use node";
import { actionGeneric as action } from "convex/server";
import { v } from "convex/values";
import { misbehave } from "./ways.ts";

export const asNodeAction = action({
  args: { way: v.string(), ballast: v.optional(v.string()) },
  handler: async (_ctx, { way }) => misbehave(way),
});
