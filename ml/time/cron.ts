/**
 * Cron expressions of five fields, with names, ranges, steps, L, W and #. Day of month and weekday are OR-ed when both are
 * given, as in every cron since Vixie's.
 */
import { NikaError } from "../../convex/model/error.ts";
import { dayNumber, daysInMonth, weekdayOf, type Day } from "./zone.ts";

export type Cron = {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** The hour field is a wildcard: then every real hour counts, also one that the clocks repeat. */
  readonly isEachHour: boolean;
  readonly matchesDay: (day: Day) => boolean;
};

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const named: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

type Field = { readonly name: string; readonly from: number; readonly to: number; readonly names?: readonly string[] };
const fields = {
  minute: { name: "minute", from: 0, to: 59 },
  hour: { name: "hour", from: 0, to: 23 },
  date: { name: "day of the month", from: 1, to: 31 },
  month: { name: "month", from: 1, to: 12, names: months },
  weekday: { name: "weekday", from: 0, to: 7, names: weekdays },
} satisfies Record<string, Field>;

/** Fails with `invalid`, saying which field is wrong. */
export function parseCron(expression: string): Cron {
  const text = named[expression.trim().toLowerCase()] ?? expression.trim().toLowerCase();
  const [minute, hour, date, month, weekday, ...more] = text.split(/\s+/u);
  if (
    minute === undefined ||
    hour === undefined ||
    date === undefined ||
    month === undefined ||
    weekday === undefined ||
    more.length > 0
  )
    throw new NikaError("invalid", "A cron rule has five fields: minute, hour, day of the month, month, weekday.");
  const monthSet = new Set(numbers(month, fields.month));
  const dates = datesOf(date);
  const days = weekdaysOf(weekday);
  // A field that begins with * restricts together with the other; two restricting ones widen each other.
  const isEither = !date.startsWith("*") && !date.startsWith("?") && !weekday.startsWith("*") && !weekday.startsWith("?");
  return {
    minutes: numbers(minute, fields.minute),
    hours: numbers(hour, fields.hour),
    isEachHour: hour.startsWith("*"),
    matchesDay: (day) => monthSet.has(day.month) && (isEither ? dates(day) || days(day) : dates(day) && days(day)),
  };
}

const wrong = (field: Field, part: string): NikaError =>
  new NikaError("invalid", `"${part}" is not a ${field.name} of a cron rule (${field.from} to ${field.to}).`);

/** What a field without L, W or # allows, ascending. */
function numbers(text: string, field: Field): number[] {
  const all = new Set<number>();
  for (const part of text.split(","))
    for (const number of range(part, field)) all.add(field.to === 7 && number === 7 ? 0 : number);
  return [...all].toSorted((a, b) => a - b);
}

function* range(part: string, field: Field): Generator<number> {
  const [, body = "", step] = /^([^/]+)(?:\/(\d+))?$/u.exec(part) ?? [];
  const by = step === undefined ? 1 : Number(step);
  if (body === "" || by < 1 || by > field.to) throw wrong(field, part);
  let from = field.from;
  let to = field.to === 7 ? 6 : field.to;
  if (body !== "*" && body !== "?") {
    const [first = "", last, ...more] = body.split("-");
    if (more.length > 0) throw wrong(field, part);
    from = number(first, field, part);
    // "5/15" means from five on.
    to = last === undefined ? (step === undefined ? from : to) : number(last, field, part);
    // "fri-mon" wraps round the week, as "22-2" does round the day.
    if (to < from) {
      if (field.names === undefined && field.to !== 23) throw wrong(field, part);
      const size = field.to === 7 ? 7 : field.to - field.from + 1;
      for (let at = from; at <= to + size; at += by) yield field.from + ((at - field.from) % size);
      return;
    }
  }
  for (let at = from; at <= to; at += by) yield at;
}

function number(text: string, field: Field, part: string): number {
  const at = field.names?.indexOf(text.slice(0, 3)) ?? -1;
  if (at >= 0 && /^[a-z]{3,}$/u.test(text)) return field.from + at;
  const value = /^\d{1,2}$/u.test(text) ? Number(text) : Number.NaN;
  if (!(value >= field.from && value <= field.to)) throw wrong(field, part);
  return value;
}

type DayTest = (day: Day) => boolean;

function datesOf(text: string): DayTest {
  const tests = text.split(",").map((part): DayTest => {
    if (part === "lw" || part === "wl") return (day) => day.day === lastWorkday(day);
    const [, back] = /^l(?:-(\d{1,2}))?$/u.exec(part) ?? [];
    if (part === "l" || back !== undefined) return (day) => day.day === daysInMonth(day.year, day.month) - Number(back ?? 0);
    const [, near] = /^(\d{1,2})w$/u.exec(part) ?? [];
    if (near !== undefined) {
      const date = number(near, fields.date, part);
      return (day) => day.day === nearestWorkday(day, date);
    }
    const set = new Set(numbers(part, fields.date));
    return (day) => set.has(day.day);
  });
  return (day) => tests.some((test) => test(day));
}

function weekdaysOf(text: string): DayTest {
  const tests = text.split(",").map((part): DayTest => {
    const [, last] = /^([a-z0-9]+)#?l$/u.exec(part) ?? [];
    if (last !== undefined && last !== "") {
      const weekday = number(last, fields.weekday, part) % 7;
      return (day) => weekdayOf(dayNumber(day)) === weekday && day.day > daysInMonth(day.year, day.month) - 7;
    }
    const [, name, nth] = /^([a-z0-9]+)#([1-5])$/u.exec(part) ?? [];
    if (name !== undefined) {
      const weekday = number(name, fields.weekday, part) % 7;
      return (day) => weekdayOf(dayNumber(day)) === weekday && Math.ceil(day.day / 7) === Number(nth);
    }
    const set = new Set(numbers(part, fields.weekday));
    return (day) => set.has(weekdayOf(dayNumber(day)));
  });
  return (day) => tests.some((test) => test(day));
}

function lastWorkday({ year, month }: Day): number {
  const last = daysInMonth(year, month);
  const weekday = weekdayOf(dayNumber({ year, month, day: last }));
  return weekday === 0 ? last - 2 : weekday === 6 ? last - 1 : last;
}

/** The day from Monday to Friday that is nearest, without leaving the month. */
function nearestWorkday({ year, month }: Day, date: number): number {
  const last = daysInMonth(year, month);
  if (date > last) return 0;
  const weekday = weekdayOf(dayNumber({ year, month, day: date }));
  if (weekday === 6) return date === 1 ? 3 : date - 1;
  if (weekday === 0) return date === last ? date - 2 : date + 1;
  return date;
}
