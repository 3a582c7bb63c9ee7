import { internal } from "../../convex/_generated/api.js";
import { plannedMax } from "../../convex/model/schedule.ts";
import { nextInstants } from "../../ml/time/next.ts";
import { defineFunction } from "../define.ts";

/** Works out when a schedule happens next, as far ahead as is stored. Running it again finds the same instants. */
export const planSchedule = defineFunction({
  kind: "schedules.plan",
  needs: ["state", "clock"],
  run: async ({ args: { scheduleId } }, { state, clock }) => {
    const plan = await state.query(internal.schedules.forPlan, { id: scheduleId });
    if (!plan) return { type: "done" };
    const { rule, version, after, fired } = plan;
    const nextAts = nextInstants(rule, Math.max(after, clock.now()), plannedMax, fired);
    await state.mutation(internal.schedules.planned, { id: scheduleId, version, nextAts });
    return { type: "done" };
  },
});
