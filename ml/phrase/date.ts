/** Dates as people write them. */
import { dayNumber, daysInMonth, fromDayNumber, weekdayOf, type Day, type Wall } from "../time/zone.ts";
import { month, monthNames } from "./words.ts";

export const plainDate = `(?:\\d{4}-\\d\\d-\\d\\d|\\d{1,2}/\\d{1,2}(?:/\\d{2,4})?|(?:1er|premier|\\d{1,2}(?:st|nd|rd|th)?)(?: of)? ${month}(?:,? \\d{4})?|${month} \\d{1,2}(?:st|nd|rd|th)?(?:,? \\d{4})?)\\b`;
/** Six groups; see `toDay`. */
export const dateText = `(?:(\\d{4}-\\d\\d-\\d\\d)|(\\d{1,2}/\\d{1,2}(?:/\\d{2,4})?)|(1er|premier|\\d{1,2})(?:st|nd|rd|th)?(?: of)? (${month})(?:,? (\\d{4}))?|(${month} \\d{1,2}(?:st|nd|rd|th)?(?:,? \\d{4})?))\\b`;

/** The day a date means, the next one when it names no year. Undefined when there is no such day. */
export function toDay(groups: readonly (string | undefined)[], today: Wall): Day | undefined {
  const [iso, slashed, date, name, year, american] = groups;
  if (iso !== undefined) {
    const [y = 0, m = 0, d = 0] = iso.split("-").map(Number);
    return checked({ year: y, month: m, day: d });
  }
  if (slashed !== undefined) {
    const [d = 0, m = 0, y] = slashed.split("/").map(Number);
    return y === undefined ? upcoming(m, d, today) : checked({ year: y < 100 ? 2000 + y : y, month: m, day: d });
  }
  const [, monthName, monthDate, monthYear] = /^([a-z]+) (\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?$/u.exec(american ?? "") ?? [];
  const m = monthNames[name ?? monthName ?? ""] ?? 0;
  const d = date === "premier" ? 1 : Number.parseInt(date ?? monthDate ?? "", 10);
  const y = year ?? monthYear;
  return y === undefined ? upcoming(m, d, today) : checked({ year: Number(y), month: m, day: d });
}

function checked(day: Day): Day | undefined {
  return day.month >= 1 && day.month <= 12 && day.day >= 1 && day.day <= daysInMonth(day.year, day.month) ? day : undefined;
}

function upcoming(m: number, d: number, today: Wall): Day | undefined {
  const this_ = checked({ year: today.year, month: m, day: d });
  if (this_ && dayNumber(this_) >= dayNumber(today)) return this_;
  return checked({ year: today.year + 1, month: m, day: d });
}

/** The first such weekday from a day on. */
export const onOrAfter = (from: number, wanted: number): Day => fromDayNumber(from + ((wanted - weekdayOf(from) + 7) % 7));
