/** What an owner says of a schedule: checked, kept as a new version of it, and armed. */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import { nameCharsMax, promptCharsMax, tasksMax, type ScheduleSpec } from "../model/schedule.ts";
import type { Turn } from "./guard.ts";
import { arm, askForPlans, upcoming } from "./plan.ts";
import { mustGetSchedule, withdraw } from "./schedule.ts";
import { mustBeHeld } from "./session.ts";

type Schedule = Doc<"schedules">;

/** Fails with `invalid` when it never happens or cannot be, and with `missing` when its session is over. `nextAts` in ms. */
export async function createSchedule(turn: Turn, spec: ScheduleSpec, nextAts: readonly number[]): Promise<Schedule> {
  checked(spec);
  const ahead = upcoming(nextAts, turn.now);
  if (ahead.length === 0) throw new NikaError("invalid", "That never happens again; choose another time.");
  if (spec.sessionId !== undefined) await mustBeHeld(turn, spec.sessionId);
  const id = await turn.db.insert("schedules", {
    ...spec,
    isEnabled: true,
    version: 1,
    fired: 0,
    createdAt: turn.now,
    nextAts: ahead,
    ...(ahead[0] !== undefined && { nextAt: ahead[0] }),
  });
  const schedule = await mustGetSchedule(turn, id);
  await arm(turn, schedule);
  return schedule;
}

export type ScheduleEdit = {
  readonly id: Id<"schedules">;
  /** The version that the owner saw. */
  readonly version: number;
  readonly spec?: ScheduleSpec | undefined;
  readonly isEnabled?: boolean | undefined;
  readonly pausedUntil?: number | null | undefined;
  /** The next times (ms) of the rule as it is now; ignored when it is off. */
  readonly nextAts: readonly number[];
};

/** Withdraws what still waits of the old version. Fails with `conflict` when that moved on since the owner saw it. */
export async function updateSchedule(turn: Turn, edit: ScheduleEdit): Promise<Schedule> {
  const { id, version, spec, isEnabled, pausedUntil, nextAts } = edit;
  const before = await mustGetSchedule(turn, id);
  if (before.version !== version) throw new NikaError("conflict", "This schedule was changed meanwhile; look at it again.");
  if (spec) checked(spec);
  const isOn = isEnabled ?? before.isEnabled;
  const ahead = isOn ? upcoming(nextAts, turn.now) : [];
  if (isOn && ahead.length === 0) throw new NikaError("invalid", "That never happens again; choose another time.");
  const { pausedUntil: wasUntil, nextAt: _next, ...kept } = before;
  const until = isOn || pausedUntil === null ? undefined : (pausedUntil ?? wasUntil);
  const after: Schedule = {
    ...kept,
    ...spec,
    isEnabled: isOn,
    version: version + 1,
    nextAts: ahead,
    ...(ahead[0] !== undefined && { nextAt: ahead[0] }),
    ...(until !== undefined && { pausedUntil: until }),
    // A rule that counts starts over when it becomes another one.
    fired: spec && JSON.stringify(spec.rule) !== JSON.stringify(before.rule) ? 0 : before.fired,
  };
  await turn.db.replace(id, after);
  await withdraw(turn, before);
  await arm(turn, after);
  if (until !== undefined) await turn.scheduler.runAt(until, internal.schedules.resume, { id, version: after.version });
  return after;
}

/** The pause of that version is over: it is on again, once its instants were worked out anew. */
export async function resumeSchedule(turn: Turn, id: Id<"schedules">, version: number): Promise<void> {
  const schedule = await turn.db.get(id);
  if (!schedule || schedule.isEnabled || schedule.version !== version) return;
  const { pausedUntil: _until, ...kept } = schedule;
  await turn.db.replace(id, { ...kept, isEnabled: true, version: version + 1 });
  await askForPlans(turn, [schedule]);
}

function checked({ name, prompt, backend, sessionId, action }: ScheduleSpec): void {
  if ((backend === "host") !== (action.type === "upkeep"))
    throw new NikaError("invalid", "The machine's cron does upkeep, and nothing else does.");
  if (name.trim() === "" || name.length > nameCharsMax)
    throw new NikaError("invalid", `A schedule's name has 1 to ${nameCharsMax} characters.`);
  if (action.type === "run" && (action.tasks.length === 0 || action.tasks.length > tasksMax))
    throw new NikaError("invalid", `A schedule does 1 to ${tasksMax} things.`);
  // They are the arguments of a run.
  if (action.type === "run" && JSON.stringify(action).length + name.length > promptCharsMax)
    throw new NikaError("invalid", `What to do has at most ${promptCharsMax} characters.`);
  if (prompt.length > promptCharsMax) throw new NikaError("invalid", `What to do has at most ${promptCharsMax} characters.`);
  if ((backend === "session") !== (sessionId !== undefined))
    throw new NikaError("invalid", "A schedule of a session names its session.");
}
