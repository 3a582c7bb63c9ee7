/** Periods in questions: "factures de mars", "last week", "en 2024", "between March and May 2023". All of it in UTC. */
export type Period = {
  /** Milliseconds since 1970; `from` included, `to` not. One of them may be open. */
  readonly from?: number;
  readonly to?: number;
  /** Where the text says so. */
  readonly spans: readonly { readonly from: number; readonly to: number }[];
};

type Range = { readonly from: number; readonly to: number };
type Found = Range & { readonly at: number; readonly end: number };

const dayMs = 86_400_000;
const monthNames = [
  "january|janvier|jan|janv",
  "february|fevrier|feb|fev|fevr",
  "march|mars|mar",
  "april|avril|apr|avr",
  "may|mai",
  "june|juin|jun",
  "july|juillet|jul|juil",
  "august|aout|aug",
  "september|septembre|sept|sep",
  "october|octobre|oct",
  "november|novembre|nov",
  "december|decembre|dec",
];
const month = `(?:${monthNames.join("|")})`;
/** Words that a month or a year stands after; without one, "may" and "march" are verbs and 2024 may be a number. */
const lead = `(?:in|of|from|for|since|during|before|after|until|by|late|early|mid|between|and|to|en|de|du|d|au|aux|depuis|pour|avant|apres|entre|et|mois de|debut|fin|courant|annee|year|l'annee|exercice)`;
const year = `(?:19[5-9]\\d|20\\d\\d)`;

/** The period a question names, if it does. `text` is in lower case without accents; `now` is what "last month" counts from. */
export function findPeriod(text: string, now: number): Period | undefined {
  const found: Found[] = [];
  let left = text;
  for (const { pattern, range } of rules) {
    for (const match of left.matchAll(pattern)) {
      const made = range(match.slice(1), now);
      if (!made) continue;
      found.push({ ...made, at: match.index, end: match.index + match[0].length });
    }
    // What one rule has read is no longer there for the next: the 2024 of "mars 2024" is not a year by itself.
    left = blanked(left, found);
  }
  if (found.length === 0) return undefined;
  found.sort((one, other) => one.at - other.at);
  const [first] = found;
  const spans = found.map(({ at, end }) => ({ from: leadBefore(text, at), to: end }));
  if (!first) return undefined;
  if (found.length === 1) {
    const before = text.slice(0, first.at);
    if (
      /(?:\bsince|\bafter|\bdepuis|\bapres|\ba partir d[eu']|\bfrom)\s*(?:l[ea]s?\s+|l'|the\s+)?(?:mois d[e']\s*)?$/u.test(before)
    )
      return { from: /(?:after|apres)\s*\S*$/u.test(before) ? first.to : first.from, spans };
    if (/(?:\bbefore|\bavant|\buntil|\bjusqu'(?:a|en|au))\s*(?:l[ea]s?\s+|l'|the\s+)?$/u.test(before))
      return { to: /(?:until|jusqu'\S+)\s*\S*$/u.test(before) ? first.to : first.from, spans };
  }
  return { from: Math.min(...found.map(({ from }) => from)), to: Math.max(...found.map(({ to }) => to)), spans };
}

type Rule = {
  readonly pattern: RegExp;
  readonly range: (groups: readonly (string | undefined)[], now: number) => Range | undefined;
};

const rules: readonly Rule[] = [
  rule(`\\b(${year})-(\\d{2})-(\\d{2})\\b`, ([y, m, d]) => dayRange(Number(y), Number(m), Number(d))),
  rule(`\\b(\\d{1,2})[/.](\\d{1,2})[/.](${year})\\b`, ([d, m, y]) => dayRange(Number(y), Number(m), Number(d))),
  rule(`\\b(\\d{1,2})(?:er|st|nd|rd|th)?\\s+(?:of\\s+)?(${month})\\.?,?\\s+(${year})\\b`, ([d, m, y]) =>
    dayRange(Number(y), monthOf(m), Number(d)),
  ),
  rule(`\\b(${month})\\.?\\s+(\\d{1,2})(?:st|nd|rd|th)?,?\\s+(${year})\\b`, ([m, d, y]) =>
    dayRange(Number(y), monthOf(m), Number(d)),
  ),
  rule(`\\b(${month})\\s+(?:and|to|et|a|au|-|–)\\s+(${month})\\s+(${year})\\b`, ([first, last, y]) => {
    const [from, to] = [monthRange(Number(y), monthOf(first)), monthRange(Number(y), monthOf(last))];
    return from.from < to.to ? { from: from.from, to: to.to } : undefined;
  }),
  rule(`\\b(${month})\\.?,?\\s+(?:of\\s+|de\\s+)?(${year})\\b`, ([m, y]) => monthRange(Number(y), monthOf(m))),
  rule(`\\b(${year})-(0[1-9]|1[0-2])\\b`, ([y, m]) => monthRange(Number(y), Number(m))),
  rule(`(?<![\\d/.-])(0[1-9]|1[0-2])/(${year})\\b`, ([m, y]) => monthRange(Number(y), Number(m))),
  rule(`\\b[qt]([1-4])\\s+(?:of\\s+|de\\s+)?(${year})\\b`, ([q, y]) => quarterRange(Number(y), Number(q))),
  rule(
    `\\b(first|second|third|fourth|premier|deuxieme|troisieme|quatrieme|1er|2e|3e|4e|1st|2nd|3rd|4th)\\s+(?:quarter|trimestre)\\s+(?:of\\s+|de\\s+)?(${year})\\b`,
    ([q, y]) => quarterRange(Number(y), ordinals.findIndex((names) => names.includes(q ?? "")) + 1),
  ),
  rule(
    `\\b(?:last|past|previous|ces|les|des)\\s+(\\d{1,3})\\s+(?:derniers?\\s+|dernieres?\\s+)?(days?|weeks?|months?|years?|jours?|semaines?|mois|ans?|annees?)\\b(?:\\s+derniers?|\\s+dernieres?)?`,
    ([n, unit], now) => {
      const to = startOfDay(now) + dayMs;
      return { from: to - Number(n) * unitDays(unit ?? "") * dayMs, to };
    },
  ),
  rule(`\\b(?:yesterday|hier)\\b`, (_, now) => ({ from: startOfDay(now) - dayMs, to: startOfDay(now) })),
  rule(`\\b(?:today|aujourd'hui|aujourd’hui)\\b`, (_, now) => ({ from: startOfDay(now), to: startOfDay(now) + dayMs })),
  rule(`\\b(?:last week|previous week|(?:la )?semaine (?:derniere|passee))\\b`, (_, now) => shifted(weekStart(now), -7, 7)),
  rule(`\\b(?:this week|cette semaine)\\b`, (_, now) => shifted(weekStart(now), 0, 7)),
  rule(`\\b(?:last month|previous month|(?:le )?mois (?:dernier|passe))\\b`, (_, now) => monthRange(...monthBefore(now))),
  rule(`\\b(?:this month|ce mois(?:-ci)?)\\b`, (_, now) => monthRange(yearOf(now), new Date(now).getUTCMonth() + 1)),
  rule(`\\b(?:last year|previous year|l'an (?:dernier|passe)|(?:l')?annee (?:derniere|passee))\\b`, (_, now) =>
    yearRange(yearOf(now) - 1),
  ),
  rule(`\\b(?:this year|cette annee)\\b`, (_, now) => yearRange(yearOf(now))),
  // Without a year: the latest such month that has begun.
  rule(`(?<=\\b${lead}\\s|\\bd')(${month})(?![\\p{L}\\p{N}'])`, ([m], now) => latest(monthOf(m), now)),
  rule(`^\\s*(${month.replace("|may|", "|").replace("march|", "")})(?![\\p{L}\\p{N}'])`, ([m], now) => latest(monthOf(m), now)),
  rule(`(?<=\\b${lead}\\s|\\bl'annee\\s|\\bl'exercice\\s)(${year})(?![\\p{L}\\p{N}]|[-/.]\\d)`, ([y]) => yearRange(Number(y))),
  rule(`(?<![\\p{L}\\p{N}][-/.]?|[-/.])(${year})(?=\\s*[?!.]?\\s*$)`, ([y]) => yearRange(Number(y))),
];

const ordinals = [
  ["first", "premier", "1er", "1st"],
  ["second", "deuxieme", "2e", "2nd"],
  ["third", "troisieme", "3e", "3rd"],
  ["fourth", "quatrieme", "4e", "4th"],
];

function rule(source: string, range: Rule["range"]): Rule {
  return { pattern: new RegExp(source, "gu"), range };
}

function monthOf(name: string | undefined): number {
  return monthNames.findIndex((names) => names.split("|").includes(name ?? "")) + 1;
}

function dayRange(year: number, month: number, day: number): Range | undefined {
  const from = Date.UTC(year, month - 1, day);
  const isDay = new Date(from).getUTCMonth() === month - 1 && day > 0;
  return isDay ? { from, to: from + dayMs } : undefined;
}

const monthRange = (year: number, month: number): Range => ({ from: Date.UTC(year, month - 1), to: Date.UTC(year, month) });
const quarterRange = (year: number, quarter: number): Range => ({
  from: Date.UTC(year, quarter * 3 - 3),
  to: Date.UTC(year, quarter * 3),
});
const yearRange = (year: number): Range => ({ from: Date.UTC(year), to: Date.UTC(year + 1) });
const yearOf = (now: number): number => new Date(now).getUTCFullYear();
const startOfDay = (now: number): number => Math.floor(now / dayMs) * dayMs;
/** Weeks begin on Monday. */
const weekStart = (now: number): number => startOfDay(now) - ((new Date(now).getUTCDay() + 6) % 7) * dayMs;
const shifted = (from: number, days: number, length: number): Range => ({
  from: from + days * dayMs,
  to: from + (days + length) * dayMs,
});

function monthBefore(now: number): [number, number] {
  const before = new Date(Date.UTC(yearOf(now), new Date(now).getUTCMonth() - 1));
  return [before.getUTCFullYear(), before.getUTCMonth() + 1];
}

function latest(month: number, now: number): Range {
  const isBegun = Date.UTC(yearOf(now), month - 1) <= now;
  return monthRange(isBegun ? yearOf(now) : yearOf(now) - 1, month);
}

function unitDays(unit: string): number {
  if (/^(?:day|jour)/u.test(unit)) return 1;
  if (/^(?:week|semaine)/u.test(unit)) return 7;
  return unit.startsWith("mo") ? 30 : 365;
}

/** The word before a period that only leads to it goes with it. */
function leadBefore(text: string, at: number): number {
  const match = new RegExp(`(?:\\b${lead}\\s+|\\bd')(?:l[ea]s?\\s+|l'|the\\s+)?$`, "u").exec(text.slice(0, at));
  return match ? match.index : at;
}

function blanked(text: string, found: readonly Found[]): string {
  let left = text;
  for (const { at, end } of found) left = left.slice(0, at) + "_".repeat(end - at) + left.slice(end);
  return left;
}
