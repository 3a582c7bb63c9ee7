"use node";
import { writeFileSync } from "node:fs";
import { actionGeneric as action } from "convex/server";
import { v } from "convex/values";
import { misbehave } from "./ways.ts";

export const asNodeAction = action({
  args: { way: v.string(), ballast: v.optional(v.string()) },
  handler: async (_ctx, { way }) => misbehave(way),
});

/** Never ends, and says where it runs. */
export const orphan = action({
  args: { file: v.string() },
  handler: async (_ctx, { file }) => {
    writeFileSync(file, String(process.pid));
    for (;;);
  },
});
