import { defineFunction } from "../define.ts";

/** Does nothing. Whoever wants to know whether and how fast work is done adds one of these. */
export const checkJobs = defineFunction({ kind: "jobs.check", needs: [], run: async () => ({ type: "done" }) });
