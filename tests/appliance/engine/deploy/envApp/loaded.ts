import { queryGeneric as query } from "convex/server";

const shape = process.env["SHAPE"] ?? "none";
export const get = query({ args: {}, handler: async () => ({ value: shape, run: Math.random() }) });
