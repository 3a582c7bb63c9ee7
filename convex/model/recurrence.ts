/**
 * When something is to happen, as data. What a rule means in instants is worked out by ml/time, because zones need the machine's
 * time tables; how it reads is `recurrenceLabel.ts`.
 */
import { v, type Infer } from "convex/values";

/** "08:00", in the rule's zone. */
export const vTime = v.string();

/** Which days. Weekdays count from 0, Sunday. A date of -1 is the last day of the month; an `nth` of -1 the last such weekday. */
export const vDays = v.union(
  v.object({ type: v.literal("every") }),
  v.object({ type: v.literal("weekdays"), weekdays: v.array(v.number()) }),
  v.object({ type: v.literal("dates"), dates: v.array(v.number()) }),
  /** Dates of the year, "07-14". */
  v.object({ type: v.literal("yearly"), dates: v.array(v.string()) }),
  v.object({ type: v.literal("nth"), weekdays: v.array(v.number()), nth: v.array(v.number()) }),
  /** The first (1) or last (-1) day of the month that is from Monday to Friday and no holiday. */
  v.object({ type: v.literal("business"), nth: v.number() }),
);
export type Days = Infer<typeof vDays>;

/** Only each n-th day, week or month, counted from `anchor` ("2026-11-23"). Weeks begin on Monday. */
export const vThin = v.object({
  n: v.number(),
  unit: v.union(v.literal("day"), v.literal("week"), v.literal("month")),
  anchor: v.string(),
});
export type Thin = Infer<typeof vThin>;

const bounds = {
  /** The last instant at which it may happen; milliseconds since 1970. */
  until: v.optional(v.number()),
  /** How often it happens in all. */
  count: v.optional(v.number()),
};

export const vRule = v.union(
  v.object({ type: v.literal("once"), at: v.number(), zone: v.string() }),
  /** Elapsed time: an hour is an hour, whatever the clocks do. Happens at `anchor` plus any number of `everyMs`. */
  v.object({ type: v.literal("every"), everyMs: v.number(), anchor: v.number(), zone: v.string(), ...bounds }),
  /** Wall clock. A time that a day skips happens at the first instant after the gap; one that a day has twice, the first time. */
  v.object({
    type: v.literal("calendar"),
    zone: v.string(),
    /** Ascending, at least one. */
    times: v.array(vTime),
    days: vDays,
    /** 1 to 12, ascending; all when absent. */
    months: v.optional(v.array(v.number())),
    /** Not on these days, "2026-12-25". */
    except: v.optional(v.array(v.string())),
    thin: v.optional(vThin),
    /** Public holidays of a country (ISO 3166): left out. */
    holidays: v.optional(v.string()),
    ...bounds,
  }),
  /** Five fields, for what the others cannot say. */
  v.object({ type: v.literal("cron"), expression: v.string(), zone: v.string(), ...bounds }),
);
export type Rule = Infer<typeof vRule>;
export type Calendar = Extract<Rule, { type: "calendar" }>;

/** Below this a rule is refused: the appliance is no stopwatch, and a mistyped rule must not fill the queue. */
export const everyMsMin = 60_000;

/** Whether it happens once and never again. */
export const isOnce = (rule: Rule): boolean => rule.type === "once" || ("count" in rule && rule.count === 1);
