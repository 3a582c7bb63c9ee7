/** What is to happen when. Instants are worked out by functions/schedules and only stored here: no zone is ever looked at. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { NikaError } from "./model/error.ts";
import { vOccurrenceView, vScheduleSpec, vScheduleView, type OccurrenceView, type ScheduleView } from "./model/schedule.ts";
import { fireDue } from "./turn/due.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery } from "./turn/guard.ts";
import { noteHost } from "./turn/occurrence.ts";
import { addPlanned } from "./turn/plan.ts";
import { dropSchedule, mustGetSchedule, startNow } from "./turn/schedule.ts";
import { createSchedule, resumeSchedule, updateSchedule } from "./turn/scheduleEdit.ts";
import { closeSession, closeSilentSession, closeSilentSessions, prolongSession } from "./turn/session.ts";

const listedMax = 500;
/** Behind this the call that was to fire it is taken to be lost. */
const overdueMs = 5_000;

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
    const schedule = await mustGetSchedule(turn, id);
    if (schedule.backend !== "host") throw new NikaError("invalid", "The machine's cron does not run that schedule.");
    await noteHost(turn, schedule, { at, endedAt, code, text });
    return null;
  },
});

/** Made by the appliance, which worked the instants out. An empty list of them is refused: it would never happen. */
export const create = systemMutation({
  args: { spec: vScheduleSpec, nextAts: v.array(v.number()) },
  returns: vScheduleView,
  handler: async (turn, { spec, nextAts }) => toView(await createSchedule(turn, spec, nextAts)),
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
  handler: async (turn, edit) => toView(await updateSchedule(turn, edit)),
});

/** Takes it away, with what is left of it to do and what is known of its past. */
export const remove = systemMutation({
  args: { id: v.id("schedules") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await dropSchedule(turn, await mustGetSchedule(turn, id));
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
    await fireDue(turn, turn.now);
    return null;
  },
});

/** The pause is over: the instants are worked out anew, and then it is on again. */
export const resume = systemMutation({
  args: { id: v.id("schedules"), version: v.number() },
  returns: v.null(),
  handler: async (turn, { id, version }) => {
    await resumeSchedule(turn, id, version);
    return null;
  },
});

/** Behind the calls at each instant: what they lost is found here. */
export const check = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    await fireDue(turn, turn.now - overdueMs);
    await closeSilentSessions(turn);
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
  handler: async (turn, { planned: plans }) => {
    for (const plan of plans) await addPlanned(turn, plan);
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
  handler: (turn, { sessionId, holdMs }) => prolongSession(turn, sessionId, holdMs),
});

/** It was to be held again by now. Does nothing when it was. */
export const endSilent = systemMutation({
  args: { sessionId: v.string() },
  returns: v.null(),
  handler: async (turn, { sessionId }) => {
    await closeSilentSession(turn, sessionId);
    return null;
  },
});

/** The session is over, and with it what was asked for in it. */
export const endSession = systemMutation({
  args: { sessionId: v.string() },
  returns: v.null(),
  handler: async (turn, { sessionId }) => {
    await closeSession(turn, sessionId);
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

function toView(schedule: Doc<"schedules">): ScheduleView {
  const { _id: id, _creationTime: _created, nextAt: _next, ...view } = schedule;
  return { id, ...view };
}

function toOccurrenceView({ _id: id, _creationTime: _created, version: _version, ...view }: Doc<"occurrences">): OccurrenceView {
  return { id, ...view };
}
