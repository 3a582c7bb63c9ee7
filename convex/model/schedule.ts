/** Schedules: what is to happen when, and what became of each time. No clock, no database: callers pass `now`. */
import { v, type Infer } from "convex/values";
import { vLoraWish } from "./model.ts";
import { vRule, type Rule } from "./recurrence.ts";

/**
 * Where a schedule is kept. "persistent": with the state, so it outlives everything. "session": it ends with the session that asked
 * for it. "host": in the machine's own crontab, for upkeep of the machine.
 */
export const vBackend = v.union(v.literal("persistent"), v.literal("session"), v.literal("host"));
export type Backend = Infer<typeof vBackend>;

/** What the machine's own cron may do for Nika: rotate the logs, save the state, look at the room on the disk. */
export const vScript = v.union(v.literal("logs"), v.literal("backup"), v.literal("disk"));
export type Script = Infer<typeof vScript>;
export const scripts: readonly Script[] = vScript.members.map(({ value }) => value);
export const isScript = (text: unknown): text is Script => scripts.some((script) => script === text);

/** One of several things that a schedule is for. */
export const vTask = v.object({
  text: v.string(),
  action: v.union(
    v.object({ type: v.literal("remind") }),
    v.object({ type: v.literal("ask") }),
    v.object({ type: v.literal("message"), target: v.string() }),
    v.object({ type: v.literal("function"), name: v.string() }),
  ),
});
export type Task = Infer<typeof vTask>;
export const tasksMax = 20;

/** What is done at each time, with the schedule's prompt. */
export const vAction = v.union(
  /** The owner is told. */
  v.object({ type: v.literal("remind") }),
  /** The vault is asked; its answer is kept with the occurrence. */
  v.object({ type: v.literal("ask") }),
  /** A remote agent is sent it, over the bridge. */
  v.object({ type: v.literal("message"), target: v.string() }),
  /** A function of the owner's runs. `isDeclared`: its own manifest asked for it, and takes it back. */
  v.object({ type: v.literal("function"), name: v.string(), isDeclared: v.optional(v.boolean()) }),
  /** Several things, each with an outcome of its own: together, or one after the other. */
  v.object({ type: v.literal("run"), tasks: v.array(vTask), isInTurn: v.boolean() }),
  /** A model is trained on what was remembered, with `lora` beside a base; a better one is put in force where `deploys`. */
  v.object({ type: v.literal("learn"), deploys: v.boolean(), lora: v.optional(vLoraWish) }),
  /** Upkeep of the machine, by its own cron. */
  v.object({ type: v.literal("upkeep"), script: vScript }),
);
export type Action = Infer<typeof vAction>;

/** When the last time is still being worked on: leave this one out, let it wait its turn, or stop the last for it. */
export const vOverlap = v.union(v.literal("skip"), v.literal("queue"), v.literal("replace"));
/** When a time passed while nobody could act on it: leave it out, or do the latest once, late. */
export const vMisfire = v.union(v.literal("skip"), v.literal("coalesce"));
export type Misfire = Infer<typeof vMisfire>;

export const vOccurrenceState = v.union(
  v.literal("open"),
  v.literal("done"),
  v.literal("failed"),
  v.literal("cancelled"),
  /** The time before was still being worked on. */
  v.literal("skipped"),
  /** Nobody could act on it in time. */
  v.literal("missed"),
);
export type OccurrenceState = Infer<typeof vOccurrenceState>;

/** What an owner says of a schedule. */
export const vScheduleSpec = v.object({
  name: v.string(),
  /** What to do, in the owner's words; empty for a function. */
  prompt: v.string(),
  rule: vRule,
  action: vAction,
  backend: vBackend,
  /** The session it ends with; only for that backend. */
  sessionId: v.optional(v.string()),
  overlap: vOverlap,
  misfire: vMisfire,
  /** The phrase it was made from, if it was. */
  phrase: v.optional(v.string()),
});
export type ScheduleSpec = Infer<typeof vScheduleSpec>;

/** What is done at each time, in words: a schedule without a task is its name. */
export const wishOf = ({ name, prompt }: { readonly name: string; readonly prompt: string }): string =>
  prompt === "" ? name : prompt;

export const vScheduleView = v.object({
  id: v.id("schedules"),
  ...vScheduleSpec.fields,
  isEnabled: v.boolean(),
  pausedUntil: v.optional(v.number()),
  /** Goes up with every edit; an edit names the one it saw. */
  version: v.number(),
  /** The next times, ascending; milliseconds since 1970. */
  nextAts: v.array(v.number()),
  lastAt: v.optional(v.number()),
  /** How often it happened. */
  fired: v.number(),
  createdAt: v.number(),
});
export type ScheduleView = Infer<typeof vScheduleView>;

export const vOccurrenceView = v.object({
  id: v.id("occurrences"),
  scheduleId: v.id("schedules"),
  at: v.number(),
  state: vOccurrenceState,
  isLate: v.boolean(),
  jobId: v.optional(v.id("jobs")),
  runId: v.optional(v.id("runs")),
  endedAt: v.optional(v.number()),
  /** What came of it, or why nothing did. */
  text: v.optional(v.string()),
});
export type OccurrenceView = Infer<typeof vOccurrenceView>;

/** Instants stored ahead: enough for a quarter of an hour of the fastest rule without anybody computing. */
export const plannedMax = 16;
/** With fewer left, more are worked out. */
export const plannedMin = 4;
/** Started within this it is in time: a busy second or a restart is no delay worth telling. */
export const graceMs = 60_000;
/** A brief missed by a night's outage is still wanted in the morning; yesterday's is not. */
export const lateMaxMs = 12 * 3_600_000;
/** Who holds a session says so again before this; who dies is noticed by its end. */
export const holdMsMax = 10 * 60_000;
/** A session that should outlive a day is no session: say it without one, and it is kept for good. */
export const sessionMsMax = 24 * 3_600_000;
export const nameCharsMax = 200;
export const promptCharsMax = 4_000;
/** Kept of each schedule. */
export const occurrencesKeptMax = 200;

/** What often repeats is not made up for; what is daily or rarer is done once, late. */
export function misfireFor(rule: Rule): Misfire {
  return rule.type === "every" && rule.everyMs <= 3_600_000 ? "skip" : "coalesce";
}

/** Of the instants that have come, the one to act on and those that were missed. `later` are still ahead. */
export function dueOf(
  nextAts: readonly number[],
  now: number,
  misfire: Misfire,
): { readonly act?: number; readonly isLate: boolean; readonly missed: readonly number[]; readonly later: readonly number[] } {
  const due = nextAts.filter((at) => at <= now);
  const later = nextAts.filter((at) => at > now);
  const latest = due.at(-1);
  if (latest === undefined) return { isLate: false, missed: [], later };
  const lateMs = now - latest;
  const isLate = lateMs > graceMs;
  const isWanted = !isLate || (misfire === "coalesce" && lateMs <= lateMaxMs);
  if (!isWanted) return { isLate, missed: due, later };
  return { act: latest, isLate, missed: due.slice(0, -1), later };
}
