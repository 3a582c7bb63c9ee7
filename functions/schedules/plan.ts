import { internal } from "../../convex/_generated/api.js";
import { plannedMax } from "../../convex/model/schedule.ts";
import { nextInstants } from "../../ml/time/next.ts";
import { defineFunction } from "../define.ts";

/** Works out when schedules happen next, as far ahead as is stored. Running it again finds the same instants. */
export const planSchedule = defineFunction({
  kind: "schedules.plan",
  needs: ["state", "clock"],
  run: async ({ args: { scheduleIds }, signal }, { state, clock }) => {
    const plans = await state.query(internal.schedules.forPlan, { ids: scheduleIds });
    const planned = plans.map(({ id, rule, version, after, fired }) => {
      signal.throwIfAborted();
      return { id, version, nextAts: nextInstants(rule, Math.max(after, clock.now()), plannedMax, fired) };
    });
    if (planned.length > 0) await state.mutation(internal.schedules.planned, { planned });
    return { type: "done" };
  },
});
