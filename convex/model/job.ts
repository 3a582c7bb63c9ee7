/** The whole life of a job, as values. No clock, no database: callers pass `now`. */
import { v, type Infer } from "convex/values";
import { vProblem, vReading } from "./document.ts";

/**
 * ready → leased → done | dead | cancelled, and back to ready for another try. A delayed try is `ready` with `readyAt` in the future.
 */
export const vJobState = v.union(
  v.literal("ready"),
  v.literal("leased"),
  v.literal("done"),
  v.literal("dead"),
  v.literal("cancelled"),
);
export type JobState = Infer<typeof vJobState>;

/** What a function reports. Throwing is for the unexpected; the runtime turns it into `failed`. */
export const vOutcome = v.union(
  v.object({
    type: v.literal("done"),
    result: v.optional(
      v.union(
        v.object({ type: v.literal("read"), reading: vReading }),
        v.object({ type: v.literal("unreadable"), problem: vProblem }),
      ),
    ),
  }),
  v.object({ type: v.literal("snoozed"), delayMs: v.number() }),
  v.object({ type: v.literal("failed"), code: v.string(), message: v.string(), retry: v.boolean() }),
);
export type Outcome = Infer<typeof vOutcome>;
