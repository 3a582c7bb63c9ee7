/** What a phrase says about when, as far as it was understood. */
import type { Days } from "../../convex/model/recurrence.ts";
import type { Day, Wall } from "../time/zone.ts";
import type { ClockTime } from "./clock.ts";
import type { Phrase } from "./text.ts";

export type Part = "morning" | "noon" | "afternoon" | "evening" | "night" | "endOfMonth";

/** Everything found so far; absent means not said. */
export type Found = {
  /** Something says that it repeats. */
  repeats: boolean;
  everyMinutes?: number;
  thin?: { n: number; unit: "day" | "week" | "month" };
  days?: Days;
  /** Weekdays named without a sign that they repeat: "lundi à 8 h". */
  bareWeekdays?: number[];
  /** "le lundi": a habit in French, unlike "lundi". */
  hasArticle?: boolean;
  months?: number[];
  yearly?: { month: number; date: number }[];
  times: ClockTime[];
  window?: { from: ClockTime; to: ClockTime };
  parts: Part[];
  holidaysOut?: boolean;
  business?: boolean;
  exceptWeekdays?: number[];
  exceptMonths?: number[];
  except?: string[];
  untilDay?: Day;
  forSpan?: { n: number; unit: string };
  count?: number;
  isSession?: boolean;
  stopWhen?: string;
  /** A single day or moment. */
  day?: Day;
  inMinutes?: number;
  /** "ce soir", "tonight". */
  isToday?: boolean;
  /** A date that no calendar has: 31 February. */
  hasBadDate?: boolean;
  /** What is asked back when it cannot be told. */
  ask?: "biweekly" | "bimonthly" | "vague";
  cron?: string;
};

export type Reader = (phrase: Phrase, found: Found, today: Wall) => void;

/** Whether it says anything that changes a rule there is already. */
export const isChange = (found: Found): boolean =>
  isSomething(found) ||
  found.parts.length > 0 ||
  [
    found.exceptMonths,
    found.exceptWeekdays,
    found.except,
    found.months,
    found.holidaysOut,
    found.untilDay,
    found.forSpan,
    found.count,
  ].some((part) => part !== undefined);

export const isSomething = (found: Found): boolean =>
  found.repeats ||
  found.ask !== undefined ||
  found.cron !== undefined ||
  found.day !== undefined ||
  found.inMinutes !== undefined ||
  found.bareWeekdays !== undefined ||
  found.isToday === true ||
  found.hasBadDate === true ||
  found.times.length > 0;
