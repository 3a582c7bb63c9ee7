/** Wall clocks of the world and the instants they show. */

export const dayMs = 86_400_000;
const minuteMs = 60_000;

/** A day of the calendar, without a time or a zone. */
export type Day = { readonly year: number; readonly month: number; readonly day: number };
export type Wall = Day & { readonly hour: number; readonly minute: number };

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}

/** Whether it names a zone of the tz database (or UTC), in any case. */
export function isZone(zone: string): boolean {
  // An offset such as "+02:00" is accepted by Intl, but is no zone: it has no summer.
  if (!/^[A-Za-z]/u.test(zone)) return false;
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
}

// Asking Intl is the dear part (a few microseconds); offsets change a few times a year, so one answer serves its whole hour.
const offsets = new Map<string, Map<number, number>>();
const offsetsMax = 20_000;

/** What is added to an instant to get the zone's wall clock, in ms. */
export function offsetAt(zone: string, at: number): number {
  const slot = Math.floor(at / (15 * minuteMs)); // All changes of this century fall on quarters of an hour.
  let known = offsets.get(zone);
  if (!known || known.size > offsetsMax) offsets.set(zone, (known = new Map()));
  const held = known.get(slot);
  if (held !== undefined) return held;
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(at)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  const offset = Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1_000) * 1_000;
  known.set(slot, offset);
  return offset;
}

/** What the clocks of a zone show. */
export function wallAt(zone: string, at: number): Wall {
  const local = new Date(at + offsetAt(zone, at));
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth() + 1,
    day: local.getUTCDate(),
    hour: local.getUTCHours(),
    minute: local.getUTCMinutes(),
  };
}

/** All instants at which the zone's clocks show this: none in a gap, two where an hour is repeated. */
export function instantsOf(zone: string, wall: Wall): readonly number[] {
  const utc = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute);
  const candidates = new Set([offsetAt(zone, utc - dayMs), offsetAt(zone, utc + dayMs)]);
  return [...candidates]
    .map((offset) => utc - offset)
    .filter((at) => at + offsetAt(zone, at) === utc)
    .toSorted((a, b) => a - b);
}

/** The first instant that shows this time; in a gap, the first instant after it. */
export function firstInstant(zone: string, wall: Wall): number {
  const [first] = instantsOf(zone, wall);
  if (first !== undefined) return first;
  const utc = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute);
  const before = offsetAt(zone, utc - dayMs);
  const after = offsetAt(zone, utc + dayMs);
  // The change lies between the two readings of this time.
  let low = utc - Math.max(before, after);
  let high = utc - Math.min(before, after);
  const offset = offsetAt(zone, high);
  while (high - low > minuteMs) {
    const middle = low + Math.floor((high - low) / 2 / minuteMs) * minuteMs;
    if (offsetAt(zone, middle) === offset) high = middle;
    else low = middle;
  }
  return offsetAt(zone, low) === offset ? low : high;
}

/** Days since 1970, for arithmetic on calendar days. */
export const dayNumber = ({ year, month, day }: Day): number => Date.UTC(year, month - 1, day) / dayMs;

export function fromDayNumber(number: number): Day {
  const date = new Date(number * dayMs);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** 0 is Sunday. */
export const weekdayOf = (number: number): number => (((number + 4) % 7) + 7) % 7;

export const daysInMonth = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();

export const toIsoDay = ({ year, month, day }: Day): string =>
  `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;

/** Undefined when there is no such day. */
export function fromIsoDay(text: string): Day | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/u.exec(text) ?? [];
  if (year === undefined) return undefined;
  const found = { year: Number(year), month: Number(month), day: Number(day) };
  return toIsoDay(fromDayNumber(dayNumber(found))) === text ? found : undefined;
}
