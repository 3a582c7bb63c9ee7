/**
 * Numbers, sizes and moments as people read them; all by Intl, so that no language's rules live here. A locale is a language, or one
 * with its region: "en-GB" writes days and hours as "en" alone does not.
 */
const sizeUnits = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;

export function formatNumber(value: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** `share` from 0 to 1. */
export function formatPercent(share: number, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(share);
}

/** A number with its noun, in the number's plural form. */
export function formatCount(count: number, locale: string, noun: { one: string; other: string }): string {
  const form = new Intl.PluralRules(locale).select(count) === "one" ? noun.one : noun.other;
  return `${formatNumber(count, locale)} ${form}`;
}

/** "480 byte" reads badly and "0.5 kB" reads well, so kilobytes are the smallest unit, of 1024 bytes as file managers count. */
export function formatBytes(sizeBytes: number, locale: string): string {
  let [value, unit] = [sizeBytes / 1024, 1];
  while (value >= 1024 && unit < sizeUnits.length - 1) [value, unit] = [value / 1024, unit + 1];
  const maximumFractionDigits = value < 10 && sizeBytes > 0 ? 1 : 0;
  return new Intl.NumberFormat(locale, {
    style: "unit",
    unit: sizeUnits[unit] ?? "kilobyte",
    unitDisplay: "short",
    maximumFractionDigits,
  }).format(sizeBytes > 0 ? Math.max(value, 0.1) : 0);
}

/** The time today, the day this year, the date before that. Absolute, so that it never goes stale on an open page. */
export function formatWhen(at: number, now: number, locale: string, timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const part = (ms: number, options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat(locale, { ...zone, ...options }).format(ms);
  const isSame = (options: Intl.DateTimeFormatOptions): boolean => part(at, options) === part(now, options);
  if (isSame({ dateStyle: "short" })) return part(at, { hour: "2-digit", minute: "2-digit" });
  if (isSame({ year: "numeric" })) return part(at, { day: "numeric", month: "short" });
  return part(at, { day: "numeric", month: "short", year: "numeric" });
}

/** Weekday, day and time; the year only when it is another one. */
export function formatMoment(at: number, now: number, locale: string, timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const yearOf = (ms: number): string => new Intl.DateTimeFormat(locale, { ...zone, year: "numeric" }).format(ms);
  return new Intl.DateTimeFormat(locale, {
    ...zone,
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    ...(yearOf(at) !== yearOf(now) && { year: "numeric" }),
  }).format(at);
}

/** A language's own name for a language code: "fr" is "French" in English. Empty for what cannot be told. */
export function formatLanguage(code: string, locale: string): string {
  if (code === "und") return "";
  const name = new Intl.DisplayNames(locale, { type: "language" }).of(code) ?? code;
  return name.charAt(0).toLocaleUpperCase(locale) + name.slice(1);
}

/** "3 min", "2 h": about how long, in the largest unit that says something. */
export function formatSpan(ms: number, locale: string): string {
  const seconds = Math.max(0, ms) / 1_000;
  const isSeconds = seconds < 90;
  const isMinutes = seconds < 90 * 60;
  const value = isSeconds ? seconds : isMinutes ? seconds / 60 : seconds / 3_600;
  const unit = isSeconds ? "second" : isMinutes ? "minute" : "hour";
  const format = new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" });
  return format.format(Math.max(1, Math.round(value)));
}
