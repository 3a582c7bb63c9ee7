/** When a cron runs next. Clock kinds become five fields in UTC; our spread over the minute is 0, unlike the original's. */
export type CronSchedule =
  | { readonly type: "interval"; readonly seconds?: number; readonly minutes?: number; readonly hours?: number }
  | { readonly type: "hourly"; readonly minuteUTC?: number }
  | { readonly type: "daily"; readonly hourUTC: number; readonly minuteUTC?: number }
  | { readonly type: "weekly"; readonly dayOfWeek: string; readonly hourUTC: number; readonly minuteUTC?: number }
  | { readonly type: "monthly"; readonly day: number; readonly hourUTC: number; readonly minuteUTC?: number }
  | { readonly type: "cron"; readonly cron: string };
export type CronDefinition = {
  readonly name: string;
  readonly path: string;
  readonly args: string;
  readonly schedule: CronSchedule;
};

const dayNames = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const minuteMs = 60_000;
const searchDays = 366 * 5; // A 29 February comes at least every eight years, but five of searching is already no schedule.

/** The first run of a new cron: intervals start at once. */
export function firstRunMs(schedule: CronSchedule, nowMs: number): number {
  return schedule.type === "interval" ? nowMs : nextRunMs(schedule, nowMs, nowMs);
}

/** The next run after `nowMs`. Intervals stay anchored to the previous one; what was missed is skipped. */
export function nextRunMs(schedule: CronSchedule, previousMs: number, nowMs: number): number {
  if (schedule.type === "interval") {
    const periodMs = ((schedule.hours ?? 0) * 3600 + (schedule.minutes ?? 0) * 60 + (schedule.seconds ?? 0)) * 1000;
    const missed = Math.max(0, Math.floor((nowMs - previousMs) / periodMs));
    return previousMs + (missed + 1) * periodMs;
  }
  return nextMatchMs(fieldsOf(schedule), nowMs);
}

type Fields = {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  readonly isEitherDay: boolean;
};

function fieldsOf(schedule: Exclude<CronSchedule, { type: "interval" }>): Fields {
  switch (schedule.type) {
    case "hourly":
      return parseCron(`${schedule.minuteUTC ?? 0} * * * *`);
    case "daily":
      return parseCron(`${schedule.minuteUTC ?? 0} ${schedule.hourUTC} * * *`);
    case "weekly":
      return parseCron(
        `${schedule.minuteUTC ?? 0} ${schedule.hourUTC} * * ${dayNames.indexOf(schedule.dayOfWeek.toLowerCase())}`,
      );
    case "monthly":
      return parseCron(`${schedule.minuteUTC ?? 0} ${schedule.hourUTC} ${schedule.day} * *`);
    case "cron":
      return parseCron(schedule.cron);
  }
}

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** `m h D M W`. Fails on anything else. */
export function parseCron(text: string): Fields {
  const parts = text.trim().toLowerCase().split(/\s+/);
  const [minute, hour, day, month, weekday] = parts;
  if (parts.length !== 5 || !minute || !hour || !day || !month || !weekday) throw new Error(`A cron has five fields: "${text}".`);
  const weekdays = field(weekday, { min: 0, max: 7, names: dayNames.map((name) => name.slice(0, 3)), offset: 0 });
  if (weekdays.delete(7)) weekdays.add(0);
  return {
    minutes: field(minute, { min: 0, max: 59 }),
    hours: field(hour, { min: 0, max: 23 }),
    days: field(day, { min: 1, max: 31 }),
    months: field(month, { min: 1, max: 12, names: monthNames, offset: 1 }),
    weekdays,
    // As cron has always read it: with both days restricted, either will do.
    isEitherDay: !day.startsWith("*") && !weekday.startsWith("*"),
  };
}

type FieldRange = { readonly min: number; readonly max: number; readonly names?: readonly string[]; readonly offset?: number };

function field(text: string, range: FieldRange): Set<number> {
  const found = new Set<number>();
  const number = (word: string): number => {
    const named = range.names?.indexOf(word.slice(0, 3)) ?? -1;
    const value = named >= 0 && /^[a-z]/.test(word) ? named + (range.offset ?? 0) : Number(word);
    if (!/^(\d+|[a-z]+)$/.test(word) || !Number.isInteger(value) || value < range.min || value > range.max)
      throw new Error(`"${word}" is not between ${range.min} and ${range.max}.`);
    return value;
  };
  for (const part of text.split(",")) {
    const [span = "", stepText] = part.split("/");
    const step = stepText === undefined ? 1 : Number(stepText);
    if (!Number.isInteger(step) || step < 1) throw new Error(`"${part}" has no whole step.`);
    const [from, to] = span.split("-");
    const first = span === "*" ? range.min : number(from ?? "");
    const last = span === "*" || (stepText !== undefined && to === undefined) ? range.max : number(to ?? from ?? "");
    for (let value = first; value <= last; value += step) found.add(value);
  }
  return found;
}

function nextMatchMs(fields: Fields, nowMs: number): number {
  let at = (Math.floor(nowMs / minuteMs) + 1) * minuteMs;
  const end = at + searchDays * 24 * 60 * minuteMs;
  while (at < end) {
    const date = new Date(at);
    if (!isDay(fields, date)) {
      at = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1);
      continue;
    }
    if (!fields.hours.has(date.getUTCHours())) {
      at = (Math.floor(at / (60 * minuteMs)) + 1) * 60 * minuteMs;
      continue;
    }
    if (fields.minutes.has(date.getUTCMinutes())) return at;
    at += minuteMs;
  }
  return Infinity;
}

function isDay(fields: Fields, date: Date): boolean {
  if (!fields.months.has(date.getUTCMonth() + 1)) return false;
  const isDayOfMonth = fields.days.has(date.getUTCDate());
  const isWeekday = fields.weekdays.has(date.getUTCDay());
  return fields.isEitherDay ? isDayOfMonth || isWeekday : isDayOfMonth && isWeekday;
}
