/** Public holidays that are the same in a whole country. Regional ones are not known here. */
import { dayNumber, fromDayNumber, toIsoDay, type Day } from "./zone.ts";

/** A date of each year, or days after Easter Sunday. */
type Feast = readonly [month: number, day: number] | number;

// Sources: Code du travail L3133-1 (FR); loi du 4 janvier 1974 (BE); Code du travail L.232-2 (LU); federal law on the national day and the
// cantons' common days (CH: those kept everywhere).
const feasts: Record<string, readonly Feast[]> = {
  FR: [[1, 1], 1, [5, 1], [5, 8], 39, 50, [7, 14], [8, 15], [11, 1], [11, 11], [12, 25]],
  BE: [[1, 1], 1, [5, 1], 39, 50, [7, 21], [8, 15], [11, 1], [11, 11], [12, 25]],
  LU: [[1, 1], 1, [5, 1], [5, 9], 39, 50, [6, 23], [8, 15], [11, 1], [12, 25], [12, 26]],
  CH: [[1, 1], 39, [8, 1], [12, 25]],
  GB: [[1, 1], -2, 1, [12, 25], [12, 26]],
  US: [
    [1, 1],
    [6, 19],
    [7, 4],
    [11, 11],
    [12, 25],
  ],
  DE: [[1, 1], -2, 1, [5, 1], 39, 50, [10, 3], [12, 25], [12, 26]],
};

const zones: Record<string, string> = {
  "Europe/Paris": "FR",
  "Europe/Brussels": "BE",
  "Europe/Luxembourg": "LU",
  "Europe/Zurich": "CH",
  "Europe/London": "GB",
  "Europe/Berlin": "DE",
};

/** The country whose holidays are kept where this zone's clocks are; undefined when we know none. */
export const countryOf = (zone: string): string | undefined => zones[zone];

const known = new Map<string, ReadonlySet<string>>();

/** Whether the day is a public holiday of the country. A country we do not know has none. */
export function isHoliday(country: string, day: Day): boolean {
  const key = `${country} ${day.year}`;
  let days = known.get(key);
  if (!days) known.set(key, (days = holidaysOf(country, day.year)));
  return days.has(toIsoDay(day));
}

function holidaysOf(country: string, year: number): ReadonlySet<string> {
  const easter = dayNumber(easterOf(year));
  const fixed = (feasts[country] ?? []).map((feast) =>
    typeof feast === "number" ? toIsoDay(fromDayNumber(easter + feast)) : toIsoDay({ year, month: feast[0], day: feast[1] }),
  );
  return new Set([...fixed, ...moving(country, year)]);
}

/** Those that are "the n-th Monday of a month". */
function moving(country: string, year: number): string[] {
  const nth = (month: number, weekday: number, n: number): string => {
    const first = dayNumber({ year, month, day: 1 });
    const last = dayNumber({ year, month: month + 1, day: 1 }) - 1;
    const weekdayOfFirst = (((first + 4) % 7) + 7) % 7;
    const ahead = first + ((weekday - weekdayOfFirst + 7) % 7) + (n - 1) * 7;
    if (n > 0) return toIsoDay(fromDayNumber(ahead));
    const weekdayOfLast = (((last + 4) % 7) + 7) % 7;
    return toIsoDay(fromDayNumber(last - ((weekdayOfLast - weekday + 7) % 7)));
  };
  if (country === "US") return [nth(1, 1, 3), nth(2, 1, 3), nth(5, 1, -1), nth(9, 1, 1), nth(10, 1, 2), nth(11, 4, 4)];
  if (country === "GB") return [nth(5, 1, 1), nth(5, 1, -1), nth(8, 1, -1)];
  return [];
}

/** Gregorian Easter Sunday, by the method printed in Nature of 20 April 1876 (anonymous; also in Meeus, Astronomical Algorithms, ch. 8). */
function easterOf(year: number): Day {
  const a = year % 19;
  const b = Math.floor(year / 100);
  const c = year % 100;
  const d = Math.floor(b / 4);
  const e = b % 4;
  const f = Math.floor((b + 8) / 25);
  const g = Math.floor((b - f + 1) / 3);
  const h = (19 * a + b - d - g + 15) % 30;
  const i = Math.floor(c / 4);
  const k = c % 4;
  const l = (32 + 2 * e + 2 * i - h - k) % 7;
  const m = Math.floor((a + 11 * h + 22 * l) / 451);
  const n = h + l - 7 * m + 114;
  return { year, month: Math.floor(n / 31), day: (n % 31) + 1 };
}
