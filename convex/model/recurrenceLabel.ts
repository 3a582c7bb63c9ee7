/**
 * A rule as people say it, in French and in English. Every label is itself a phrase that ml/phrase understands as the same rule:
 * what Nika says it will do can be typed back.
 */
import type { Calendar, Rule } from "./recurrence.ts";

export type LabelLanguage = "en" | "fr";

type Words = {
  readonly weekdays: readonly string[];
  readonly months: readonly string[];
  readonly time: (hour: number, minute: number) => string;
  readonly and: string;
};

const pad = (value: number): string => String(value).padStart(2, "0");

const french: Words = {
  weekdays: ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
  months: [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
  ],
  time: (hour, minute) => (minute > 0 ? `${hour} h ${pad(minute)}` : hour === 0 ? "minuit" : hour === 12 ? "midi" : `${hour} h`),
  and: "et",
};

const english: Words = {
  weekdays: ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
  months: [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
  ],
  time: (hour, minute) => {
    if (minute === 0 && hour % 12 === 0) return hour === 0 ? "midnight" : "noon";
    return `${hour % 12 === 0 ? 12 : hour % 12}${minute > 0 ? `:${pad(minute)}` : ""} ${hour < 12 ? "AM" : "PM"}`;
  },
  and: "and",
};

const words = { fr: french, en: english };

/** `zone` is the reader's own: the rule's zone is named only when it is another. */
export function recurrenceLabel(rule: Rule, { language, zone }: { language: LabelLanguage; zone: string }): string {
  const sentence = bodyOf(rule, language, zone) + boundsOf(rule, language);
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function bodyOf(rule: Rule, language: LabelLanguage, zone: string): string {
  const place = rule.zone === zone ? "" : ` ${zoneLabel(rule.zone, language)}`;
  switch (rule.type) {
    case "once":
      return onceLabel(rule.at, rule.zone, language) + place;
    case "every":
      // Elapsed time is the same everywhere.
      return intervalLabel(rule.everyMs / 60_000, language);
    case "cron":
      return `cron ${rule.expression}${place}`;
    case "calendar":
      return calendarLabel(rule, language, place);
  }
}

/** "heure de New York", "UTC": how people name the clock a rule goes by. */
export function zoneLabel(zone: string, language: LabelLanguage): string {
  if (zone === "UTC" || zone.startsWith("Etc/")) return `(${zone})`;
  const city = (zone.split("/").at(-1) ?? zone).replaceAll("_", " ");
  return language === "fr" ? `(heure de ${city})` : `(${city} time)`;
}

function onceLabel(at: number, zone: string, language: LabelLanguage): string {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  const part: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(at)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = part;
  const word = words[language];
  const weekday = word.weekdays[new Date(Date.UTC(year, month - 1, day)).getUTCDay()] ?? "";
  return language === "fr"
    ? `${weekday} ${dayLabel({ year, month, day }, "fr")} à ${word.time(hour, minute)}`
    : `${weekday}, ${dayLabel({ year, month, day }, "en")} at ${word.time(hour, minute)}`;
}

function dayLabel({ year, month, day }: { year: number; month: number; day: number }, language: LabelLanguage): string {
  const name = words[language].months[month - 1] ?? "";
  return language === "fr" ? `${day === 1 ? "1er" : day} ${name} ${year}` : `${name} ${day}, ${year}`;
}

function isoLabel(iso: string, language: LabelLanguage): string {
  const [year = 0, month = 1, day = 1] = iso.split("-").map(Number);
  return dayLabel({ year, month, day }, language);
}

function intervalLabel(minutes: number, language: LabelLanguage): string {
  const hours = minutes / 60;
  const [n, one, many] = Number.isInteger(hours)
    ? ([hours, language === "fr" ? "heure" : "hour", language === "fr" ? "heures" : "hours"] as const)
    : ([minutes, "minute", "minutes"] as const);
  if (language === "fr") return n === 1 ? `toutes les ${many}` : `toutes les ${n} ${many}`;
  return n === 1 ? `every ${one}` : `every ${n} ${many}`;
}

function calendarLabel(rule: Calendar, language: LabelLanguage, place: string): string {
  const grid = gridOf(rule.times);
  const isFrench = language === "fr";
  const time = (text: string): string => {
    const [hour = 0, minute = 0] = text.split(":").map(Number);
    return words[language].time(hour, minute);
  };
  const clauses = clausesOf(rule, language);
  if (grid) {
    const [from = "", to = ""] = [rule.times[0], rule.times.at(-1)];
    const span = isFrench ? `de ${time(from)} à ${time(to)}` : `from ${time(from)} to ${time(to)}`;
    const days = rule.days.type === "every" && !rule.thin ? "" : `, ${daysLabel(rule, language)}`;
    return `${intervalLabel(grid, language)} ${span}${place}${days}${clauses}`;
  }
  const times = listed(rule.times.map(time), words[language].and);
  return `${daysLabel(rule, language)} ${isFrench ? "à" : "at"} ${times}${place}${clauses}`;
}

/** Minutes between times that lie evenly; undefined when naming each is shorter. */
function gridOf(times: readonly string[]): number | undefined {
  const minutes = times.map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3)));
  const [first = 0, second = 0] = minutes;
  const step = second - first;
  const isEven = minutes.every((minute, i) => minute === first + i * step);
  return isEven && (minutes.length > 3 || (minutes.length === 3 && step <= 60)) ? step : undefined;
}

function daysLabel(rule: Calendar, language: LabelLanguage): string {
  return language === "fr" ? frenchDays(rule) : englishDays(rule);
}

function frenchDays({ days, months, thin, holidays }: Calendar): string {
  const name = (weekday: number): string => french.weekdays[weekday] ?? "";
  const date = (of: number): string => (of === -1 ? "le dernier jour" : `le ${of === 1 ? "1er" : of}`);
  if (thin && days.type === "weekdays") {
    const [only] = days.weekdays;
    if (thin.n === 2 && days.weekdays.length === 1 && only !== undefined) return `un ${name(only)} sur deux`;
    return `toutes les ${thin.n} semaines, ${listed(
      mondayFirst(days.weekdays).map((weekday) => `le ${name(weekday)}`),
      "et",
    )}`;
  }
  if (thin && days.type === "dates") return `tous les ${thin.n} mois, ${listed(inMonth(days.dates).map(date), "et")}`;
  if (thin) return thin.n === 2 ? "un jour sur deux" : `tous les ${thin.n} jours`;
  switch (days.type) {
    case "every":
      return "chaque jour";
    case "weekdays": {
      if (holidays !== undefined && isRange(days.weekdays, 5)) return "chaque jour ouvré";
      if (holidays !== undefined && isRange(days.weekdays, 6)) return "chaque jour ouvrable";
      const [from, to] = rangeOf(days.weekdays) ?? [];
      if (from !== undefined && to !== undefined) return `du ${name(from)} au ${name(to)}`;
      return `chaque ${listed(mondayFirst(days.weekdays).map(name), "et")}`;
    }
    case "dates": {
      if (isQuarterly(days.dates, months)) return "le 1er de chaque trimestre";
      return `${listed(inMonth(days.dates).map(date), "et")} de chaque mois`;
    }
    case "yearly":
      return `${days.dates.length === 1 ? "chaque année " : ""}${listed(days.dates.map(frenchDate), "et")}`;
    case "nth":
      return `le ${listed(
        days.nth.map((nth) => (nth === -1 ? "dernier" : nth === 1 ? "1er" : `${nth}e`)),
        "et le",
      )} ${listed(mondayFirst(days.weekdays).map(name), "et")} de chaque mois`;
    case "business":
      return `le ${days.nth === -1 ? "dernier" : "1er"} jour ouvré de chaque mois`;
  }
}

function englishDays({ days, months, thin, holidays }: Calendar): string {
  const name = (weekday: number): string => english.weekdays[weekday] ?? "";
  const date = (of: number): string => (of === -1 ? "last day" : ordinal(of));
  if (thin && days.type === "weekdays") {
    const [only] = days.weekdays;
    if (thin.n === 2 && days.weekdays.length === 1 && only !== undefined) return `every other ${name(only)}`;
    return `every ${thin.n} weeks on ${listed(mondayFirst(days.weekdays).map(name), "and")}`;
  }
  if (thin && days.type === "dates") return `every ${thin.n} months on the ${listed(inMonth(days.dates).map(date), "and")}`;
  if (thin) return thin.n === 2 ? "every other day" : `every ${thin.n} days`;
  switch (days.type) {
    case "every":
      return "every day";
    case "weekdays": {
      if (holidays !== undefined && isRange(days.weekdays, 5)) return "every business day";
      if (holidays !== undefined && isRange(days.weekdays, 6)) return "Monday to Saturday, except public holidays,";
      const [from, to] = rangeOf(days.weekdays) ?? [];
      if (from !== undefined && to !== undefined) return `${name(from)} to ${name(to)}`;
      return `every ${listed(mondayFirst(days.weekdays).map(name), "and")}`;
    }
    case "dates": {
      if (isQuarterly(days.dates, months)) return "on the 1st day of every quarter";
      return `on the ${listed(inMonth(days.dates).map(date), "and")} of every month`;
    }
    case "yearly":
      return `${days.dates.length === 1 ? "every year " : ""}on ${listed(days.dates.map(englishDate), "and")}`;
    case "nth":
      return `on the ${listed(
        days.nth.map((nth) => (nth === -1 ? "last" : (["", "first", "second", "third", "fourth", "fifth"][nth] ?? ""))),
        "and",
      )} ${listed(mondayFirst(days.weekdays).map(name), "and")} of every month`;
    case "business":
      return `on the ${days.nth === -1 ? "last" : "first"} business day of every month`;
  }
}

/** What is left out: months, holidays, days; or the few months it is kept to. */
function clausesOf({ days, months, holidays, except }: Calendar, language: LabelLanguage): string {
  const isFrench = language === "fr";
  const parts: string[] = [];
  const isNamed = days.type === "dates" && isQuarterly(days.dates, months);
  if (months && !isNamed) {
    const isMost = months.length > 6;
    const told = isMost ? Array.from({ length: 12 }, (_, i) => i + 1).filter((month) => !months.includes(month)) : months;
    const names = told.map((month) => `${isFrench ? "en " : "in "}${words[language].months[month - 1] ?? ""}`);
    const list = listed(names, words[language].and);
    parts.push(isMost ? `${isFrench ? "sauf " : "except "}${list}` : `${isFrench ? "seulement " : "only "}${list}`);
  }
  const isBusiness =
    days.type === "business" || (days.type === "weekdays" && (isRange(days.weekdays, 5) || isRange(days.weekdays, 6)));
  if (holidays !== undefined && !isBusiness) parts.push(isFrench ? "sauf les jours fériés" : "except public holidays");
  if (except?.length) {
    const list = listed(
      except.map((day) => `${isFrench ? "le " : "on "}${isoLabel(day, language)}`),
      words[language].and,
    );
    parts.push(`${isFrench ? "sauf" : "except"} ${list}`);
  }
  return parts.map((part) => `, ${part}`).join("");
}

function boundsOf(rule: Rule, language: LabelLanguage): string {
  const isFrench = language === "fr";
  const parts: string[] = [];
  if ("until" in rule && rule.until !== undefined) {
    const format = new Intl.DateTimeFormat("en-CA", { timeZone: rule.zone, year: "numeric", month: "2-digit", day: "2-digit" });
    parts.push(`${isFrench ? "jusqu’au" : "until"} ${isoLabel(format.format(rule.until), language)}`);
  }
  if ("count" in rule && rule.count !== undefined) {
    parts.push(isFrench ? `${rule.count} fois` : rule.count === 1 ? "1 time" : `${rule.count} times`);
  }
  return parts.map((part) => `, ${part}`).join("");
}

const mondayFirst = (weekdays: readonly number[]): number[] => weekdays.toSorted((a, b) => ((a + 6) % 7) - ((b + 6) % 7));

/** The last day comes last. */
const inMonth = (dates: readonly number[]): number[] => dates.toSorted((a, b) => (a === -1 ? 1 : b === -1 ? -1 : a - b));

const isRange = (weekdays: readonly number[], to: number): boolean =>
  weekdays.length === to && weekdays.every((weekday) => weekday >= 1 && weekday <= to);

/** First and last of at least three weekdays in a row, the week beginning on Monday. */
function rangeOf(weekdays: readonly number[]): readonly [number, number] | undefined {
  const sorted = mondayFirst(weekdays);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined || sorted.length < 3) return undefined;
  return ((last + 6) % 7) - ((first + 6) % 7) === sorted.length - 1 ? [first, last] : undefined;
}

const isQuarterly = (dates: readonly number[], months: readonly number[] | undefined): boolean =>
  dates.length === 1 && dates[0] === 1 && months?.join() === "1,4,7,10";

function frenchDate(date: string): string {
  const [month = 1, day = 1] = date.split("-").map(Number);
  return `le ${day === 1 ? "1er" : day} ${french.months[month - 1] ?? ""}`;
}

function englishDate(date: string): string {
  const [month = 1, day = 1] = date.split("-").map(Number);
  return `${english.months[month - 1] ?? ""} ${day}`;
}

function ordinal(n: number): string {
  const tens = n % 100;
  const suffix = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${suffix}`;
}

function listed(items: readonly string[], and: string): string {
  const last = items.at(-1) ?? "";
  return items.length < 2 ? last : `${items.slice(0, -1).join(", ")} ${and} ${last}`;
}
