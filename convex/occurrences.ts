/** What became of each time of a schedule. */
import { v } from "convex/values";
import { systemMutation } from "./turn/guard.ts";
import { dropOccurrences } from "./turn/occurrence.ts";

/** The rest of what a deleted schedule left. */
export const drop = systemMutation({
  args: { scheduleId: v.id("schedules") },
  returns: v.null(),
  handler: async (turn, { scheduleId }) => {
    await dropOccurrences(turn, scheduleId);
    return null;
  },
});
