import { queryGeneric as query } from "convex/server";

/** Another one for each run. */
const run = (): number => Math.random();
export const colour = query({ args: {}, handler: async () => ({ value: process.env["COLOUR"] ?? "none", run: run() }) });
export const nothing = query({ args: {}, handler: async () => ({ value: "nothing", run: run() }) });
export const names = query({
  args: {},
  handler: async () => ({ value: Object.keys(process.env).includes("SHAPE"), run: run() }),
});
