/** Schedules, joined to the functions that know about time and words. */
import { internal } from "../convex/_generated/api.js";
import type { Id } from "../convex/_generated/dataModel.js";
import type { Ports } from "../functions/define.ts";
import { runCall } from "../functions/runtime/call.ts";
import { edit, findSchedule, keep, saySchedule } from "../functions/schedules/say.ts";
import { understand } from "../functions/schedules/understand.ts";
import type { Schedules } from "./http/schedules.ts";

export function schedulesOf(ports: Ports): Schedules {
  const { state, clock } = ports;
  return {
    zone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
    say: (saying, signal) => runCall(saySchedule, { args: saying, ports, signal }),
    understand: (wish) => understand({ ...wish, now: clock.now() }),
    list: () => state.query(internal.schedules.all, {}),
    find: (id) => findSchedule(state, id),
    keep: (spec) => keep(spec, ports),
    edit: (schedule, changes) => edit(ports, schedule, changes),
    holdSession: (sessionId, holdMs) => state.mutation(internal.schedules.holdSession, { sessionId, holdMs }),
    endSession: async (sessionId) => {
      await state.mutation(internal.schedules.endSession, { sessionId });
    },
    remove: async (id) => {
      await state.mutation(internal.schedules.remove, { id: id as Id<"schedules"> });
    },
    start: async (id) => {
      await state.mutation(internal.schedules.start, { id: id as Id<"schedules"> });
    },
  };
}
