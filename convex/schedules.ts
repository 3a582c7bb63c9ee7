/** What is to happen when. Instants are worked out by functions/schedules and only stored here: no zone is ever looked at. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { NikaError } from "./model/error.ts";
import {
  dueOf,
  holdMsMax,
  nameCharsMax,
  plannedMax,
  plannedMin,
  promptCharsMax,
  sessionMsMax,
  tasksMax,
  vOccurrenceView,
  vScheduleSpec,
  vScheduleView,
  type OccurrenceView,
  type ScheduleSpec,
  type ScheduleView,
} from "./model/schedule.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { dropOccurrences, note, noteHost } from "./turn/occurrence.ts";
import { begin, withdraw } from "./turn/schedule.ts";

const listedMax = 500;
/** Behind this the call that was to fire it is taken to be lost. */
const overdueMs = 5_000;
const sessionsMax = 1_000;
/** Of what is due, in one transaction: short, and yet a thousand at one instant are ten commits and not a thousand. */
const firedMax = 100;

type Schedule = Doc<"schedules">;

/** By when they happen next, paused ones last. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vScheduleView),
  handler: async (ctx) => {
    const active = await ctx.db
      .query("schedules")
      .withIndex("by_next", (q) => q.gt("nextAt", 0))
      .take(listedMax);
    const idle = await ctx.db
      .query("schedules")
      .withIndex("by_next", (q) => q.eq("nextAt", undefined))
      .take(listedMax - active.length);
    return [...active, ...idle].map(toView);
  },
});

export const get = ownerQuery({
  args: { id: v.id("schedules") },
  returns: v.union(vScheduleView, v.null()),
  handler: async (ctx, { id }) => {
    const schedule = await ctx.db.get(id);
    return schedule && toView(schedule);
  },
});

/** What became of its times, newest first. */
export const occurrences = ownerQuery({
  args: { id: v.id("schedules"), limit: v.optional(v.number()) },
  returns: v.array(vOccurrenceView),
  handler: async (ctx, { id, limit = 50 }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > 200) throw new NikaError("invalid", "The limit must be from 1 to 200.");
    const found = await ctx.db
      .query("occurrences")
      .withIndex("by_schedule", (q) => q.eq("scheduleId", id))
      .order("desc")
      .take(limit);
    return found.map(toOccurrenceView);
  },
});

/** It is done once more right now, whatever its rule says. */
export const runNow = ownerMutation({
  args: { id: v.id("schedules") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await startNow(turn, id);
    return null;
  },
});

/** One of them, for the appliance. */
export const one = systemQuery({
  args: { id: v.string() },
  returns: v.union(vScheduleView, v.null()),
  handler: async (ctx, { id }) => {
    const known = ctx.db.normalizeId("schedules", id);
    const schedule = known && (await ctx.db.get(known));
    return schedule && toView(schedule);
  },
});

/** All of them, for the appliance: words about schedules find theirs among all of them. */
export const all = systemQuery({
  args: {},
  returns: v.array(vScheduleView),
  handler: async (ctx) => (await ctx.db.query("schedules").take(listedMax)).map(toView),
});

/** As `runNow`, for what was asked in words. */
export const start = systemMutation({
  args: { id: v.id("schedules") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await startNow(turn, id);
    return null;
  },
});

/** What the machine's cron did. The same time twice is the same as once. */
export const reportHost = systemMutation({
  args: { id: v.id("schedules"), at: v.number(), endedAt: v.number(), code: v.number(), text: v.string() },
  returns: v.null(),
  handler: async (turn, { id, at, endedAt, code, text }) => {
    const schedule = await mustGet(turn, id);
    if (schedule.backend !== "host") throw new NikaError("invalid", "The machine's cron does not run that schedule.");
    await noteHost(turn, schedule, { at, endedAt, code, text });
    return null;
  },
});

/** Made by the appliance, which worked the instants out. An empty list of them is refused: it would never happen. */
export const create = systemMutation({
  args: { spec: vScheduleSpec, nextAts: v.array(v.number()) },
  returns: vScheduleView,
  handler: async (turn, { spec, nextAts }) => {
    checked(spec);
    const ahead = upcoming(nextAts, turn.now);
    if (ahead.length === 0) throw new NikaError("invalid", "That never happens again; choose another time.");
    if (spec.sessionId !== undefined && ((await findSession(turn, spec.sessionId))?.until ?? 0) <= turn.now)
      throw new NikaError("missing", "That session is over; hold it before something is kept with it.");
    const id = await turn.db.insert("schedules", {
      ...spec,
      isEnabled: true,
      version: 1,
      fired: 0,
      createdAt: turn.now,
      nextAts: ahead,
      ...(ahead[0] !== undefined && { nextAt: ahead[0] }),
    });
    const schedule = await mustGet(turn, id);
    await arm(turn, schedule);
    return toView(schedule);
  },
});

/**
 * The owner's edit, on the version the owner saw: `conflict` when it moved on since. Whatever of the old version still waits is
 * withdrawn, so that it never happens.
 */
export const update = systemMutation({
  args: {
    id: v.id("schedules"),
    version: v.number(),
    spec: v.optional(vScheduleSpec),
    isEnabled: v.optional(v.boolean()),
    pausedUntil: v.optional(v.union(v.number(), v.null())),
    /** The next times of the rule as it is now; ignored when it is off. */
    nextAts: v.array(v.number()),
  },
  returns: vScheduleView,
  handler: async (turn, { id, version, spec, isEnabled, pausedUntil, nextAts }) => {
    const before = await mustGet(turn, id);
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
    return toView(after);
  },
});

/** Takes it away, with what is left of it to do and what is known of its past. */
export const remove = systemMutation({
  args: { id: v.id("schedules") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await drop(turn, await mustGet(turn, id));
    return null;
  },
});

/**
 * A time has come: acts on everything that is due. It looks at schedules as they are now, so one that was edited, turned off or deleted
 * since this call was made does not happen.
 */
export const fire = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    if ((await happenDue(turn, turn.now)) === firedMax) await turn.scheduler.runAfter(0, internal.schedules.fire, {});
    return null;
  },
});

/** The pause is over: the instants are worked out anew, and then it is on again. */
export const resume = systemMutation({
  args: { id: v.id("schedules"), version: v.number() },
  returns: v.null(),
  handler: async (turn, { id, version }) => {
    const schedule = await turn.db.get(id);
    if (!schedule || schedule.isEnabled || schedule.version !== version) return null;
    const { pausedUntil: _until, ...kept } = schedule;
    await turn.db.replace(id, { ...kept, isEnabled: true, version: version + 1 });
    await askForPlans(turn, [schedule]);
    return null;
  },
});

/** Behind the calls at each instant: what they lost is found here. */
export const check = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const isMore = (await happenDue(turn, turn.now - overdueMs)) === firedMax;
    if (isMore) await turn.scheduler.runAfter(0, internal.schedules.fire, {});
    const ended = await turn.db
      .query("sessions")
      .withIndex("by_until", (q) => q.lt("until", turn.now))
      .take(sessionsMax);
    for (const session of ended) await end(turn, session);
    return null;
  },
});

/** What the planner needs of those of them that are to be planned. */
export const forPlan = systemQuery({
  args: { ids: v.array(v.id("schedules")) },
  returns: v.array(
    v.object({
      id: v.id("schedules"),
      rule: vScheduleSpec.fields.rule,
      version: v.number(),
      after: v.number(),
      fired: v.number(),
    }),
  ),
  handler: async (ctx, { ids }) => {
    const found = await Promise.all(ids.map((id) => ctx.db.get(id)));
    return found.flatMap((schedule) => {
      if (!schedule?.isEnabled) return [];
      const { _id: id, rule, version, nextAts, fired } = schedule;
      return [{ id, rule, version, after: nextAts.at(-1) ?? 0, fired: fired + nextAts.length }];
    });
  },
});

/** More instants of rules, each worked out for that version of it. */
export const planned = systemMutation({
  args: { planned: v.array(v.object({ id: v.id("schedules"), version: v.number(), nextAts: v.array(v.number()) })) },
  returns: v.null(),
  handler: async (turn, { planned: all }) => {
    for (const { id, version, nextAts } of all) {
      const schedule = await turn.db.get(id);
      if (!schedule?.isEnabled || schedule.version !== version) continue;
      const ahead = upcoming([...schedule.nextAts, ...nextAts], 0);
      const { nextAt: before, ...kept } = schedule;
      const after: Schedule = { ...kept, nextAts: ahead, ...(ahead[0] !== undefined && { nextAt: ahead[0] }) };
      await turn.db.replace(id, after);
      if (ahead[0] !== before) await callAtNext(turn, after);
    }
    return null;
  },
});

/**
 * A session lives that much longer; said again and again by whoever holds it. Returns until when, which is a day after it began at the
 * latest; then it is over (`invalid`).
 */
export const holdSession = systemMutation({
  args: { sessionId: v.string(), holdMs: v.number() },
  returns: v.object({ until: v.number(), endsAt: v.number() }),
  handler: async (turn, { sessionId, holdMs }) => {
    if (!(holdMs >= 1_000 && holdMs <= holdMsMax))
      throw new NikaError("invalid", `A session is held for 1 second to ${holdMsMax / 60_000} minutes at a time.`);
    const session = await findSession(turn, sessionId);
    const startedAt = session?.startedAt ?? turn.now;
    const endsAt = startedAt + sessionMsMax;
    if (endsAt <= turn.now) throw new NikaError("invalid", "A session lasts a day at most; begin another one.");
    const until = Math.min(turn.now + holdMs, endsAt);
    if (session) await turn.db.patch(session._id, { until, startedAt });
    else await turn.db.insert("sessions", { sessionId, until, startedAt });
    await turn.scheduler.runAt(until, internal.schedules.endSilent, { sessionId });
    return { until, endsAt };
  },
});

/** It was to be held again by now. Does nothing when it was. */
export const endSilent = systemMutation({
  args: { sessionId: v.string() },
  returns: v.null(),
  handler: async (turn, { sessionId }) => {
    const session = await findSession(turn, sessionId);
    if (session && session.until <= turn.now) await end(turn, session);
    return null;
  },
});

/** The session is over, and with it what was asked for in it. */
export const endSession = systemMutation({
  args: { sessionId: v.string() },
  returns: v.null(),
  handler: async (turn, { sessionId }) => {
    const session = await findSession(turn, sessionId);
    if (session) await end(turn, session);
    return null;
  },
});

/** What a run of it needs; null when there is nothing to do any more. */
export const forRun = systemQuery({
  args: { occurrenceId: v.id("occurrences") },
  returns: v.union(v.object({ schedule: vScheduleView, at: v.number(), isLate: v.boolean() }), v.null()),
  handler: async (ctx, { occurrenceId }) => {
    const occurrence = await ctx.db.get(occurrenceId);
    const schedule = occurrence && (await ctx.db.get(occurrence.scheduleId));
    if (!schedule || occurrence.state !== "open") return null;
    return { schedule: toView(schedule), at: occurrence.at, isLate: occurrence.isLate };
  },
});

async function findSession(turn: Turn, sessionId: string): Promise<Doc<"sessions"> | null> {
  return turn.db
    .query("sessions")
    .withIndex("by_sessionId", (q) => q.eq("sessionId", sessionId))
    .unique();
}

async function end(turn: Turn, session: Doc<"sessions">): Promise<void> {
  const mine = await turn.db
    .query("schedules")
    .withIndex("by_sessionId", (q) => q.eq("sessionId", session.sessionId))
    .take(listedMax);
  for (const schedule of mine) await drop(turn, schedule);
  await turn.db.delete(session._id);
}

async function drop(turn: Turn, schedule: Schedule): Promise<void> {
  await withdraw(turn, schedule);
  await turn.db.delete(schedule._id);
  await dropOccurrences(turn, schedule._id);
}

/** Returns how many were due by then; there may be more when it is `firedMax`. */
async function happenDue(turn: Turn, by: number): Promise<number> {
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
  return due.length;
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

/** The call that fires it, and more instants when few are left. */
async function arm(turn: Turn, schedule: Schedule): Promise<void> {
  if (!schedule.isEnabled) return;
  await callAtNext(turn, schedule);
  if (schedule.nextAts.length < plannedMin) await askForPlans(turn, [schedule]);
}

/** Schedules of one instant share one call: it is never taken back, so while another has that instant it is still to come. */
async function callAtNext(turn: Turn, { nextAt }: Schedule): Promise<void> {
  if (nextAt === undefined) return;
  const sharing = await turn.db
    .query("schedules")
    .withIndex("by_next", (q) => q.eq("nextAt", nextAt))
    .take(2);
  if (sharing.length < 2) await turn.scheduler.runAt(nextAt, internal.schedules.fire, {});
}

async function askForPlans(turn: Turn, schedules: readonly Schedule[]): Promise<void> {
  const [first] = schedules;
  if (!first) return;
  const label = schedules.length === 1 ? first.name : `${schedules.length} schedules`;
  await enqueue(turn, { kind: "schedules.plan", args: { scheduleIds: schedules.map(({ _id }) => _id) }, label });
}

const upcoming = (nextAts: readonly number[], now: number): number[] =>
  [...new Set(nextAts)]
    .filter((at) => at > now && Number.isSafeInteger(at))
    .toSorted((a, b) => a - b)
    .slice(0, plannedMax);

async function startNow(turn: Turn, id: Id<"schedules">): Promise<void> {
  const schedule = await mustGet(turn, id);
  if (schedule.backend === "host")
    throw new NikaError("invalid", `The machine runs that one: \`nika host run ${id} --now\` does it at once.`);
  await begin(turn, schedule, { at: turn.now, isLate: false });
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

async function mustGet(turn: Turn, id: Id<"schedules">): Promise<Schedule> {
  const schedule = await turn.db.get(id);
  if (!schedule) throw new NikaError("missing", "There is no such schedule.");
  return schedule;
}

function toView(schedule: Schedule): ScheduleView {
  const { _id: id, _creationTime: _created, nextAt: _next, ...view } = schedule;
  return { id, ...view };
}

function toOccurrenceView({ _id: id, _creationTime: _created, version: _version, ...view }: Doc<"occurrences">): OccurrenceView {
  return { id, ...view };
}
