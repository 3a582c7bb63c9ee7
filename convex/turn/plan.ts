/** The next instants of schedules: kept with them a few ahead, called for when they come, worked out by the planner when few are left. */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { plannedMax, plannedMin } from "../model/schedule.ts";
import { enqueue } from "./enqueue.ts";
import type { Turn } from "./guard.ts";

type Schedule = Doc<"schedules">;

/** The instants (ms) after `now`, ascending, as many as are kept. */
export const upcoming = (nextAts: readonly number[], now: number): number[] =>
  [...new Set(nextAts)]
    .filter((at) => at > now && Number.isSafeInteger(at))
    .toSorted((a, b) => a - b)
    .slice(0, plannedMax);

/** The call that fires it, and more instants when few are left. */
export async function arm(turn: Turn, schedule: Schedule): Promise<void> {
  if (!schedule.isEnabled) return;
  await callAtNext(turn, schedule);
  if (schedule.nextAts.length < plannedMin) await askForPlans(turn, [schedule]);
}

/** Schedules of one instant share one call: it is never taken back, so while another has that instant it is still to come. */
export async function callAtNext(turn: Turn, { nextAt }: Schedule): Promise<void> {
  if (nextAt === undefined) return;
  const sharing = await turn.db
    .query("schedules")
    .withIndex("by_next", (q) => q.eq("nextAt", nextAt))
    .take(2);
  if (sharing.length < 2) await turn.scheduler.runAt(nextAt, internal.schedules.fire, {});
}

/** Has the planner work out more instants of these. */
export async function askForPlans(turn: Turn, schedules: readonly Schedule[]): Promise<void> {
  const [first] = schedules;
  if (!first) return;
  const label = schedules.length === 1 ? first.name : `${schedules.length} schedules`;
  await enqueue(turn, { kind: "schedules.plan", args: { scheduleIds: schedules.map(({ _id }) => _id) }, label });
}

export type Plan = { readonly id: Id<"schedules">; readonly version: number; readonly nextAts: readonly number[] };

/** Instants that were worked out for this version of it; those of another one are left. */
export async function addPlanned(turn: Turn, { id, version, nextAts }: Plan): Promise<void> {
  const schedule = await turn.db.get(id);
  if (!schedule?.isEnabled || schedule.version !== version) return;
  const ahead = upcoming([...schedule.nextAts, ...nextAts], 0);
  const { nextAt: before, ...kept } = schedule;
  const after: Schedule = { ...kept, nextAts: ahead, ...(ahead[0] !== undefined && { nextAt: ahead[0] }) };
  await turn.db.replace(id, after);
  if (ahead[0] !== before) await callAtNext(turn, after);
}
