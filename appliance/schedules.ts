/** Schedules, joined to the functions that know about time and words, and to the machine's own cron. */
import { internal } from "../convex/_generated/api.js";
import type { Id } from "../convex/_generated/dataModel.js";
import type { ScheduleView } from "../convex/model/schedule.ts";
import type { Ports } from "../functions/define.ts";
import { runCall } from "../functions/runtime/call.ts";
import { edit, findSchedule, keep, saySchedule } from "../functions/schedules/say.ts";
import { understand } from "../functions/schedules/understand.ts";
import type { HostSchedules } from "./host/hostSchedules.ts";
import type { Schedules } from "./http/schedules.ts";

/** `host` follows each change of a schedule that the machine's cron runs. */
export function schedulesOf(ports: Ports, host: HostSchedules): Schedules {
  const { state, clock } = ports;
  const all = (): Promise<ScheduleView[]> => state.query(internal.schedules.all, {});
  const follow = async (schedule: ScheduleView): Promise<ScheduleView> => {
    if (schedule.backend === "host") await host.sync(await all());
    return schedule;
  };
  const remove = async (id: string): Promise<void> => {
    const schedule = await findSchedule(state, id);
    await state.mutation(internal.schedules.remove, { id: schedule.id });
    await follow(schedule);
  };
  return {
    zone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
    async say(saying, signal) {
      const said = await runCall(saySchedule, { args: saying, ports, signal });
      if ("schedule" in said && saying.isDryRun !== true) await follow(said.schedule);
      return said;
    },
    async understand(wish) {
      const [targets, functions] = await Promise.all([
        state.query(internal.bridge.targetNames, {}),
        state.query(internal.functions.names, {}),
      ]);
      return understand({ ...wish, now: clock.now(), targets, functions });
    },
    list: all,
    find: (id) => findSchedule(state, id),
    async keep(spec) {
      const schedule = await keep(spec, ports);
      try {
        return await follow(schedule);
      } catch (error) {
        // What cron does not take must not stand there as if it did.
        await state.mutation(internal.schedules.remove, { id: schedule.id });
        throw error;
      }
    },
    edit: async (schedule, changes) => follow(await edit(ports, schedule, changes)),
    remove,
    start: async (id) => {
      await state.mutation(internal.schedules.start, { id: id as Id<"schedules"> });
    },
    holdSession: (sessionId, holdMs) => state.mutation(internal.schedules.holdSession, { sessionId, holdMs }),
    endSession: async (sessionId) => {
      await state.mutation(internal.schedules.endSession, { sessionId });
    },
    lookAtHost: async () => host.look(await all()),
    syncHost: async () => {
      await host.sync(await all());
      return host.look(await all());
    },
    report: async (id, report) => {
      await state.mutation(internal.schedules.reportHost, { id: id as Id<"schedules">, ...report });
    },
  };
}
