/** Dates as French and English write them, as YYYY-MM-DD. */
import type { Found } from "./found.ts";

const months: readonly (readonly string[])[] = [
  ["janvier", "janv", "january", "jan"],
  ["février", "fevrier", "févr", "fevr", "february", "feb"],
  ["mars", "march", "mar"],
  ["avril", "avr", "april", "apr"],
  ["mai", "may"],
  ["juin", "june", "jun"],
  ["juillet", "juil", "july", "jul"],
  ["août", "aout", "august", "aug"],
  ["septembre", "sept", "september", "sep"],
  ["octobre", "oct", "october"],
  ["novembre", "nov", "november"],
  ["décembre", "decembre", "déc", "dec", "december"],
];
const numberOf = new Map(months.flatMap((names, at) => names.map((name) => [name, at + 1] as const)));
const monthWords = [...numberOf.keys()].toSorted((one, other) => other.length - one.length).join("|");

const iso = /(?<![\d-])(\d{4})-(\d{2})-(\d{2})(?![\d-])/gu;
const numeric = /(?<![\d./-])(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/]|[.-]\d)/gu;
const dayFirst = new RegExp(
  `(?<![\\p{L}\\d])(\\d{1,2})(?:er|st|nd|rd|th)?(?: of)?[ \\u00a0](${monthWords})\\.?,?[ \\u00a0](\\d{4})(?!\\d)`,
  "giu",
);
const monthFirst = new RegExp(
  `(?<![\\p{L}\\d])(${monthWords})\\.?[ \\u00a0](\\d{1,2})(?:st|nd|rd|th)?,?[ \\u00a0](\\d{4})(?!\\d)`,
  "giu",
);

/** A date of digits alone is read day first; where that cannot be, month first. */
export function findDates(text: string): Found[] {
  const found: Found[] = [];
  const add = (match: RegExpMatchArray, [year, month, day]: readonly [number, number, number]): void => {
    const value = toDate(year, month, day);
    if (value !== undefined) found.push({ type: "date", text: match[0], value, at: match.index ?? 0 });
  };
  for (const match of text.matchAll(iso)) add(match, [Number(match[1]), Number(match[2]), Number(match[3])]);
  for (const match of text.matchAll(numeric)) {
    const [one, other] = [Number(match[1]), Number(match[3])];
    const year = (match[4] ?? "").length === 2 ? 2000 + Number(match[4]) : Number(match[4]);
    // Two digits for the year and dots are as likely a version or a section.
    if ((match[4] ?? "").length === 2 && match[2] !== "/") continue;
    add(match, other > 12 ? [year, one, other] : [year, other, one]);
  }
  for (const match of text.matchAll(dayFirst)) add(match, [Number(match[3]), monthNumber(match[2]), Number(match[1])]);
  for (const match of text.matchAll(monthFirst)) add(match, [Number(match[3]), monthNumber(match[1]), Number(match[2])]);
  return found.toSorted((one, other) => one.at - other.at);
}

function monthNumber(word: string | undefined): number {
  return numberOf.get((word ?? "").toLowerCase()) ?? 0;
}

function toDate(year: number, month: number, day: number): string | undefined {
  if (year < 1800 || year > 2200 || month < 1 || month > 12 || day < 1) return undefined;
  if (day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return undefined;
  return `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}
