/** Schedules whose time has come: acts on them as they are now, notes what was missed, and sees to what comes next. */
import { internal } from "../_generated/api.js";
import type { Doc } from "../_generated/dataModel.js";
import { dueOf, plannedMin } from "../model/schedule.ts";
import type { Turn } from "./guard.ts";
import { note } from "./occurrence.ts";
import { askForPlans, callAtNext } from "./plan.ts";
import { begin } from "./schedule.ts";

type Schedule = Doc<"schedules">;

/** Of what is due, in one transaction: short, and yet a thousand at one instant are ten commits and not a thousand. */
const firedMax = 100;

/** All that is due by then (ms); what does not fit into this transaction follows in the next. */
export async function fireDue(turn: Turn, by: number): Promise<void> {
  const due = await turn.db
    .query("schedules")
    .withIndex("by_next", (q) => q.gt("nextAt", 0).lte("nextAt", by))
    .take(firedMax);
  const low: Schedule[] = [];
  const called = new Set<number | undefined>();
  for (const schedule of due) {
    const after = await happen(turn, schedule);
    // Many that happened together happen together again.
    if (!called.has(after.nextAt)) await callAtNext(turn, after);
    called.add(after.nextAt);
    if (after.nextAts.length < plannedMin) low.push(after);
  }
  await askForPlans(turn, low);
  if (due.length === firedMax) await turn.scheduler.runAfter(0, internal.schedules.fire, {});
}

/** Acts on what has come and notes what was missed. Returns the schedule as it now is. */
async function happen(turn: Turn, schedule: Schedule): Promise<Schedule> {
  const { act, isLate, missed, later } = dueOf(schedule.nextAts, turn.now, schedule.misfire);
  // The machine's cron fires its own, whether Nika runs or not, and reports.
  for (const at of schedule.backend === "host" ? [] : missed) await note(turn, schedule, { at, state: "missed" });
  const { nextAt: _next, ...kept } = schedule;
  const after: Schedule = {
    ...kept,
    nextAts: [...later],
    fired: schedule.fired + (act === undefined ? 0 : 1) + missed.length,
    ...(later[0] !== undefined && { nextAt: later[0] }),
    ...(act !== undefined && { lastAt: act }),
  };
  await turn.db.replace(schedule._id, after);
  if (act !== undefined && schedule.backend !== "host") await begin(turn, after, { at: act, isLate });
  return after;
}
