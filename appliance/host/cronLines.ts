/**
 * A rule as lines of a five-field crontab. A crontab knows one zone, no holidays and no "every other", so its lines fire at every minute
 * the rule may mean there in the next 400 days, and whoever is fired asks the rule whether this is one of its times.
 */
import { NikaError } from "../../convex/model/error.ts";
import type { Rule } from "../../convex/model/recurrence.ts";
import { nextInstants } from "../../ml/time/next.ts";
import { dayMs, dayNumber, wallAt, weekdayOf, type Wall } from "../../ml/time/zone.ts";

/** Every transition of every zone's clock lies in it, and so do leap days' neighbours. */
const horizonMs = 400 * dayMs;
const instantsMax = 12_000;
/** More would be unreadable for whoever looks at the crontab, and a sign that cron is the wrong place. */
const linesMax = 6;
const minuteMs = 60_000;
const hourMinutes = 60;
const dayMinutes = 24 * hourMinutes;

/** `zone` is the machine's, by which cron reads its lines. Fails with `invalid` when five fields cannot say the rule. */
export function toCronLines(rule: Rule, { now, zone }: { readonly now: number; readonly zone: string }): string[] {
  if (rule.type === "every") return [intervalLine(rule, zone)];
  const walls = nextInstants(rule, now, instantsMax)
    .filter((at) => at <= now + horizonMs)
    .map((at) => wallAt(zone, at));
  if (walls.length === 0)
    throw new NikaError(
      "invalid",
      "That does not happen within a year, which is too rare for the machine's cron; keep it with Nika.",
    );
  const lines = timesOf(walls).map((times) => `${times} ${daysOf(walls)}`);
  if (lines.length > linesMax)
    throw new NikaError(
      "invalid",
      "The machine's cron would need too many lines for that; keep it with Nika, or say fewer times.",
    );
  return lines;
}

function intervalLine(rule: Extract<Rule, { type: "every" }>, zone: string): string {
  const every = rule.everyMs / minuteMs;
  const start = wallAt(zone, rule.anchor);
  const isWhole = Number.isInteger(every) && rule.anchor % minuteMs === 0;
  if (isWhole && hourMinutes % every === 0) {
    const first = start.minute % every;
    return every === 1 ? "* * * * *" : `${listed(steps(first, every, hourMinutes))} * * * *`;
  }
  const hours = every / hourMinutes;
  // Elapsed hours drift against a clock that is put forward and back; every hour does not, and whoever is fired asks the rule.
  if (isWhole && Number.isInteger(hours) && dayMinutes % every === 0) return `${start.minute} * * * *`;
  const told = Number.isInteger(hours) ? `every ${hours} hours` : `every ${every} minutes`;
  throw new NikaError(
    "invalid",
    `The machine's cron cannot say “${told}”, which does not divide the hour or the day; keep it with Nika.`,
  );
}

/** "30 8,18": minutes and hours; minutes that share their hours share a line. */
function timesOf(walls: readonly Wall[]): string[] {
  const hoursOf = new Map<number, Set<number>>();
  for (const { hour, minute } of walls) {
    const hours = hoursOf.get(minute) ?? new Set<number>();
    hoursOf.set(minute, hours.add(hour));
  }
  const minutesOf = new Map<string, number[]>();
  for (const [minute, hours] of hoursOf) {
    const text = hours.size === 24 ? "*" : listed([...hours]);
    minutesOf.set(text, [...(minutesOf.get(text) ?? []), minute]);
  }
  return [...minutesOf].map(([hours, minutes]) => `${minutes.length === 60 ? "*" : listed(minutes)} ${hours}`).toSorted();
}

/** Dates or weekdays, never both: cron would take either for enough. */
function daysOf(walls: readonly Wall[]): string {
  const dates = new Set(walls.map(({ day }) => day));
  const months = new Set(walls.map(({ month }) => month));
  const weekdays = new Set(walls.map((wall) => weekdayOf(dayNumber(wall))));
  const month = months.size === 12 ? "*" : listed([...months]);
  if (weekdays.size < 7) return `* ${month} ${listed([...weekdays])}`;
  return `${dates.size > 12 ? "*" : listed([...dates])} ${month} *`;
}

const listed = (numbers: readonly number[]): string => numbers.toSorted((a, b) => a - b).join(",");

function steps(first: number, step: number, end: number): number[] {
  return Array.from({ length: Math.ceil((end - first) / step) }, (_, i) => first + i * step);
}
