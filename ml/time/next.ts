/** When a rule happens next. */
import type { Calendar, Days, Rule, Thin } from "../../convex/model/recurrence.ts";
import { parseCron } from "./cron.ts";
import { isHoliday } from "./holidays.ts";
import {
  dayNumber,
  daysInMonth,
  firstInstant,
  fromDayNumber,
  fromIsoDay,
  instantsOf,
  toIsoDay,
  wallAt,
  weekdayOf,
  type Day,
} from "./zone.ts";

/** 29 February can be eight years away (1896 to 1904, 2096 to 2104), and a thinned one further; beyond this a rule has no next. */
const horizonDays = 366 * 9;

/**
 * The next instants of a rule, strictly after `after`, ascending, at most `limit`; fewer when it ends before. `done` is how
 * often it happened already, for rules that count. Fails with `invalid` for a malformed cron expression.
 */
export function nextInstants(rule: Rule, after: number, limit: number, done = 0): number[] {
  const most = "count" in rule && rule.count !== undefined ? Math.min(limit, rule.count - done) : limit;
  const until = "until" in rule ? (rule.until ?? Infinity) : Infinity;
  const found: number[] = [];
  for (const at of instants(rule, after)) {
    if (at > until || found.length >= most) break;
    found.push(at);
    if (found.length >= most) break;
  }
  return most <= 0 ? [] : found;
}

function* instants(rule: Rule, after: number): Generator<number> {
  switch (rule.type) {
    case "once":
      if (rule.at > after) yield rule.at;
      return;
    case "every": {
      const step = Math.max(0, Math.floor((after - rule.anchor) / rule.everyMs) + 1);
      // An interval has no end of its own; whoever asks stops.
      for (let at = rule.anchor + step * rule.everyMs; ; at += rule.everyMs) if (at > after) yield at;
    }
    case "calendar":
      return yield* calendarInstants(rule, after);
    case "cron":
      return yield* cronInstants(rule, after);
  }
}

function* calendarInstants(rule: Calendar, after: number): Generator<number> {
  const times = rule.times.map((time) => {
    const [hour = 0, minute = 0] = time.split(":").map(Number);
    return { hour, minute };
  });
  let last = after;
  for (const day of daysFrom(rule.zone, after)) {
    if (!isOn(rule, day)) continue;
    // Two times can fall on one instant where the clocks leap; it happens once.
    for (const time of times) {
      const at = firstInstant(rule.zone, { ...day, ...time });
      if (at > last) yield (last = at);
    }
  }
}

function* cronInstants(rule: Extract<Rule, { type: "cron" }>, after: number): Generator<number> {
  const cron = parseCron(rule.expression);
  let last = after;
  for (const day of daysFrom(rule.zone, after)) {
    if (!cron.matchesDay(day)) continue;
    const all: number[] = [];
    for (const hour of cron.hours) {
      for (const minute of cron.minutes) {
        const wall = { ...day, hour, minute };
        if (cron.isEachHour) all.push(...instantsOf(rule.zone, wall));
        else all.push(firstInstant(rule.zone, wall));
      }
    }
    for (const at of all.toSorted((a, b) => a - b)) if (at > last) yield (last = at);
  }
}

function* daysFrom(zone: string, after: number): Generator<Day> {
  const first = dayNumber(wallAt(zone, after));
  for (let number = first; number < first + horizonDays; number++) yield fromDayNumber(number);
}

/** Whether a calendar rule happens on a day. */
export function isOn(rule: Calendar, day: Day): boolean {
  if (rule.months && !rule.months.includes(day.month)) return false;
  if (!matchesDays(rule.days, day, rule.holidays)) return false;
  if (rule.except?.includes(toIsoDay(day))) return false;
  if (rule.holidays !== undefined && isHoliday(rule.holidays, day)) return false;
  return rule.thin === undefined || isKept(rule.thin, day);
}

function matchesDays(days: Days, day: Day, country: string | undefined): boolean {
  const weekday = weekdayOf(dayNumber(day));
  const last = daysInMonth(day.year, day.month);
  switch (days.type) {
    case "every":
      return true;
    case "weekdays":
      return days.weekdays.includes(weekday);
    case "dates":
      return days.dates.includes(day.day) || (days.dates.includes(-1) && day.day === last);
    case "yearly":
      return days.dates.includes(toIsoDay(day).slice(5));
    case "nth":
      return (
        days.weekdays.includes(weekday) &&
        days.nth.some((nth) => (nth === -1 ? day.day > last - 7 : Math.ceil(day.day / 7) === nth))
      );
    case "business":
      return day.day === businessDay(day, days.nth, country);
  }
}

/** The n-th business day from the start of the month (or from its end, when negative); 0 when there are not as many. */
function businessDay({ year, month }: Day, nth: number, country: string | undefined): number {
  const last = daysInMonth(year, month);
  let left = Math.abs(nth);
  for (let step = 0; step < last; step++) {
    const day = { year, month, day: nth > 0 ? 1 + step : last - step };
    const weekday = weekdayOf(dayNumber(day));
    if (weekday === 0 || weekday === 6 || (country !== undefined && isHoliday(country, day))) continue;
    if (--left === 0) return day.day;
  }
  return 0;
}

function isKept({ n, unit, anchor }: Thin, day: Day): boolean {
  const start = fromIsoDay(anchor);
  if (!start) return false;
  const number = dayNumber(day);
  const from = dayNumber(start);
  if (number < from) return false;
  if (unit === "day") return (number - from) % n === 0;
  if (unit === "month") return ((day.year - start.year) * 12 + day.month - start.month) % n === 0;
  const monday = (at: number): number => at - ((weekdayOf(at) + 6) % 7);
  return ((monday(number) - monday(from)) / 7) % n === 0;
}
