/** A cron expression as a rule that can be read aloud, where it is one. */
import type { Days, Rule } from "../../convex/model/recurrence.ts";
import { parseCron } from "../time/cron.ts";
import { firstInstant, wallAt } from "../time/zone.ts";

const minuteMs = 60_000;

/** `now` anchors what is really an interval. Fails with `invalid`, naming the field that is wrong. */
export function fromCron(expression: string, { zone, now }: { zone: string; now: number }): Rule {
  const { minutes, hours } = parseCron(expression);
  const [minute = "", hour = "", date = "", month = "", weekday = ""] = expression.trim().toLowerCase().split(/\s+/u);
  const cron: Rule = { type: "cron", expression: expression.trim(), zone };
  const isAnyDay = date === "*" && month === "*" && weekday === "*";
  const midnight = firstInstant(zone, { ...wallAt(zone, now), hour: 0, minute: 0 });
  const each = (everyMinutes: number, fromMinute: number): Rule => ({
    type: "every",
    everyMs: everyMinutes * minuteMs,
    anchor: midnight + fromMinute * minuteMs,
    zone,
  });
  // Steps that do not divide their hour or day are uneven in cron, so they stay what they are.
  const step = (text: string, size: number): number | undefined => {
    const n = text === "*" ? 1 : Number(/^\*\/(\d+)$/u.exec(text)?.[1] ?? Number.NaN);
    return size % n === 0 ? n : undefined;
  };
  if (isAnyDay && hour === "*") {
    const by = step(minute, 60);
    if (by !== undefined) return each(by, 0);
    if (minutes.length === 1) return each(60, minutes[0] ?? 0);
  }
  const byHours = step(hour, 24);
  if (isAnyDay && byHours !== undefined && hour !== "*" && minutes.length === 1) return each(byHours * 60, minutes[0] ?? 0);
  if (hour.startsWith("*") || minutes.length * hours.length > 48) return cron;

  const days = daysOf(date, weekday);
  if (!days || (month !== "*" && !/^[\d,-]+$/u.test(month))) return cron;
  const months = month === "*" ? undefined : numbersOf(month);
  const times = hours.flatMap((h) => minutes.map((m) => `${String(h).padStart(2, "0")}:${String(m).padStart(2, "0")}`));
  if (days.type === "dates" && months && months.length * days.dates.length <= 4) {
    const dates = months.flatMap((m) => days.dates.map((d) => `${String(m).padStart(2, "0")}-${String(d).padStart(2, "0")}`));
    const isQuarterly = months.join() === "1,4,7,10" && days.dates.join() === "1";
    if (!isQuarterly && !days.dates.includes(-1)) return { type: "calendar", zone, times, days: { type: "yearly", dates } };
  }
  return { type: "calendar", zone, times, days, ...(months && { months }) };
}

function daysOf(date: string, weekday: string): Days | undefined {
  if (date === "*" && weekday === "*") return { type: "every" };
  if (date === "*") {
    const [, name, nth] = /^([0-7])(?:#([1-5])|#?l)$/u.exec(weekday) ?? [];
    if (name !== undefined) return { type: "nth", weekdays: [Number(name) % 7], nth: [nth === undefined ? -1 : Number(nth)] };
    if (!/^[\d,-]+$/u.test(weekday)) return undefined;
    const weekdays = [...new Set(numbersOf(weekday).map((day) => day % 7))].toSorted((a, b) => a - b);
    return weekdays.length === 7 ? { type: "every" } : { type: "weekdays", weekdays };
  }
  if (weekday !== "*") return undefined;
  if (date === "l") return { type: "dates", dates: [-1] };
  return /^[\d,-]+$/u.test(date) ? { type: "dates", dates: numbersOf(date) } : undefined;
}

function numbersOf(text: string): number[] {
  const all = text.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(all)].toSorted((a, b) => a - b);
}
