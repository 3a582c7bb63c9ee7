/**
 * Plain language to a rule: "tous les lundis à 8h cherche des offres", "every other Friday at 3pm". Deterministic, no model. What it
 * assumed is told; what it cannot tell is asked; a phrase that asks for nothing gives nothing.
 */
import { everyMsMin, type Calendar, type Days, type Rule } from "../../convex/model/recurrence.ts";
import { recurrenceLabel, type LabelLanguage } from "../../convex/model/recurrenceLabel.ts";
import { isNikaError } from "../../convex/model/error.ts";
import { countryOf } from "../time/holidays.ts";
import { nextInstants } from "../time/next.ts";
import { dayNumber, firstInstant, fromDayNumber, toIsoDay, wallAt, type Day } from "../time/zone.ts";
import { toText, type ClockTime } from "./clock.ts";
import { fromCron } from "./fromCron.ts";
import { onOrAfter } from "./date.ts";
import { isChange, isSomething, type Found, type Part } from "./found.ts";
import { gather } from "./recurrence.ts";
import { sayings } from "./say.ts";
import { fold, Phrase } from "./text.ts";
import { takeZone } from "./zone.ts";

/** When the owner means "morning", and the rest: times of the day, "08:00". */
export type Profile = Readonly<Record<Part | "default", string>>;
export const defaultProfile: Profile = {
  default: "08:00",
  morning: "08:00",
  noon: "12:00",
  afternoon: "14:00",
  evening: "18:00",
  night: "22:00",
  endOfMonth: "18:00",
};

export type Context = {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The owner's, IANA. */
  readonly zone: string;
  readonly profile?: Profile;
  /** The rule being changed: what the phrase leaves open stays as it was. */
  readonly existing?: Rule;
};

export type Understood =
  | {
      readonly type: "rule";
      readonly rule: Rule;
      readonly language: LabelLanguage;
      /** What is to be done, in the writer's own words; empty when the phrase says only when. */
      readonly task: string;
      readonly label: string;
      /** Readings that the phrase left open, each a sentence. */
      readonly assumptions: readonly string[];
      readonly warnings: readonly string[];
      /** It is to end with the session it was said in. */
      readonly isSession: boolean;
      /** It is to stop when this is so, in the writer's words. */
      readonly stopWhen?: string;
    }
  | { readonly type: "ask"; readonly question: string; readonly language: LabelLanguage }
  | { readonly type: "none"; readonly language: LabelLanguage };

/** Somebody tells or asks about a habit; nothing is ordered. */
const statements =
  /^(?:(?:j'ai|j'avais|j'etais|on a|nous avons|il y a|il y avait|je (?:vais|suis|fais|travaille|cours|me leve)|pourquoi|comment se fait|est-ce que|i have|i had|i was|we have|we had|there (?:is|are|was|were)|why|how come|did|does|was|were)\b)|\b(?:ran|fired|failed|ran late|a tourne|a echoue|s'est lancee?|yesterday|hier)\b/u;
const cancelled = /^(?:annule|cancel|stop|non|no|laisse tomber|never mind|oublie)[\s.!]*$/u;

export function parsePhrase(text: string, context: Context): Understood {
  const language = languageOf(text);
  const phrase = new Phrase(text.trim());
  if (cancelled.test(phrase.text) || statements.test(phrase.text)) return { type: "none", language };
  const named = takeZone(phrase);
  if (named && "unknown" in named) return { type: "ask", question: sayings.unknownZone(named.unknown)[language], language };
  const zone = named?.zone ?? context.existing?.zone ?? context.zone;
  const found = gather(phrase, wallAt(zone, context.now));
  if (!(context.existing ? isChange(found) : isSomething(found))) return { type: "none", language };
  const resolver = new Resolver(found, { ...context, zone, language });
  const rule = resolver.resolve();
  if (!rule) return { type: "ask", question: resolver.question ?? sayings.notUnderstood()[language], language };
  return {
    type: "rule",
    rule,
    language,
    task: taskOf(phrase.rest()),
    label: recurrenceLabel(rule, { language, zone: context.zone }),
    assumptions: resolver.assumptions,
    warnings: resolver.warnings,
    isSession: found.isSession ?? false,
    ...(found.stopWhen !== undefined && { stopWhen: found.stopWhen }),
  };
}

class Resolver {
  readonly assumptions: string[] = [];
  readonly warnings: string[] = [];
  question: string | undefined;
  readonly #found: Found;
  readonly #language: LabelLanguage;
  readonly #zone: string;
  readonly #now: number;
  readonly #profile: Profile;
  readonly #existing: Rule | undefined;

  constructor(found: Found, { now, zone, profile = defaultProfile, existing, language }: Context & { language: LabelLanguage }) {
    this.#found = found;
    this.#language = language;
    this.#zone = zone;
    this.#now = now;
    this.#profile = profile;
    this.#existing = existing;
  }

  resolve(): Rule | undefined {
    const found = this.#found;
    if (found.hasBadDate) return this.#ask(sayings.never());
    if (found.ask) return this.#ask(sayings[found.ask]());
    if (found.cron !== undefined) return this.#cron(found.cron);
    if (found.repeats) return this.#bounded(this.#repeating());
    if (found.bareWeekdays && (found.bareWeekdays.length > 1 || found.hasArticle === true) && !found.day) {
      this.#assume(sayings.habit());
      found.days = { type: "weekdays", weekdays: [...new Set(found.bareWeekdays)].toSorted((a, b) => a - b) };
      return this.#bounded(this.#repeating());
    }
    if (this.#existing && this.#existing.type !== "once" && !found.day && found.inMinutes === undefined)
      return this.#bounded(this.#repeating());
    return this.#once();
  }

  #repeating(): Rule | undefined {
    const found = this.#found;
    if (found.window && found.everyMinutes === undefined) {
      this.#assume(sayings.hourly());
      found.everyMinutes = 60;
    }
    if (found.everyMinutes !== undefined) return this.#interval(found.everyMinutes);
    return this.#thinned(this.#calendar());
  }

  /** Wall clock when it keeps to hours or days; else elapsed time. */
  #interval(minutes: number): Rule | undefined {
    const found = this.#found;
    if (!(minutes * 60_000 >= everyMsMin)) return this.#ask(sayings.tooOften());
    const isFree =
      !found.window &&
      !found.exceptWeekdays &&
      !found.exceptMonths &&
      !found.months &&
      !found.holidaysOut &&
      (!found.days || found.days.type === "every");
    if (isFree) {
      // What divides the hour or the day is expected on the full hour; the rest counts from now.
      const isAligned = 60 % minutes === 0 || (24 * 60) % minutes === 0 ? minutes % 60 === 0 || 60 % minutes === 0 : false;
      const midnight = firstInstant(this.#zone, { ...this.#today(), hour: 0, minute: 0 });
      const anchor = isAligned ? midnight : this.#now;
      return { type: "every", everyMs: minutes * 60_000, anchor, zone: this.#zone };
    }
    if (!found.window && (24 * 60) % minutes !== 0) return this.#ask(sayings.uneven());
    const at = ({ hour, minute }: ClockTime): number => hour * 60 + minute;
    const from = found.window ? at(found.window.from) : 0;
    let to = found.window ? at(found.window.to) : 24 * 60 - 1;
    if (to === 0) to = 24 * 60 - 1;
    // "From 9 to 6" is from nine to eighteen.
    if (to < from && found.window?.to.isBare) to += 12 * 60;
    if (to < from) return this.#ask(sayings.uneven());
    const times: string[] = [];
    for (let minute = from; minute <= to; minute += minutes)
      times.push(toText({ hour: Math.floor(minute / 60), minute: minute % 60 }));
    return this.#calendar(times);
  }

  #calendar(grid?: string[]): Calendar | undefined {
    const found = this.#found;
    const before = this.#existing?.type === "calendar" ? this.#existing : undefined;
    const times = grid ?? this.#times();
    if (!times) return undefined;
    const isSame = !found.days && !found.yearly && !found.thin && before !== undefined;
    const days = isSame ? before.days : this.#days();
    const months = found.exceptMonths
      ? allMonths.filter((month) => !found.exceptMonths?.includes(month))
      : (found.months ?? (isSame ? before.months : undefined));
    const country = countryOf(this.#zone);
    const leavesHolidays = found.business === true || found.holidaysOut === true || (isSame && before.holidays !== undefined);
    if (leavesHolidays && country === undefined) this.warnings.push(sayings.noHolidays()[this.#language]);
    if (leavesHolidays && country !== undefined) this.#assume(sayings.holidays(country));
    const except = found.except ?? (isSame ? before.except : undefined);
    const rule: Calendar = {
      type: "calendar",
      zone: this.#zone,
      times,
      days,
      ...(months && months.length < 12 && { months: months.toSorted((a, b) => a - b) }),
      ...(except?.length && { except }),
      ...(isSame && before.thin && { thin: before.thin }),
      ...(leavesHolidays && country !== undefined && { holidays: country }),
    };
    if (days.type === "dates" && days.dates.some((date) => date > 28)) this.warnings.push(sayings.shortMonths()[this.#language]);
    return this.#happens(rule);
  }

  #days(): Days {
    const found = this.#found;
    if (found.yearly) {
      const dates = found.yearly.map(({ month, date }) => `${String(month).padStart(2, "0")}-${String(date).padStart(2, "0")}`);
      return { type: "yearly", dates: [...new Set(dates)].toSorted() };
    }
    const out = found.exceptWeekdays;
    if (!found.days || found.days.type === "every" || found.days.type === "weekdays") {
      const isOpen =
        !found.days &&
        (found.thin?.unit === "week" || (found.times.length === 0 && found.parts.length === 0) || !found.everyMinutes);
      if (!found.days && isOpen && !out && found.everyMinutes === undefined && found.thin?.unit !== "day") {
        this.#assume(sayings.monday());
        return { type: "weekdays", weekdays: [1] };
      }
      const set = found.days?.type === "weekdays" ? found.days.weekdays : [0, 1, 2, 3, 4, 5, 6];
      const kept = set.filter((weekday) => !out?.includes(weekday));
      return kept.length === 7 ? { type: "every" } : { type: "weekdays", weekdays: kept };
    }
    if (found.days.type === "dates")
      return { type: "dates", dates: found.days.dates.toSorted((a, b) => (a === -1 ? 1 : b === -1 ? -1 : a - b)) };
    return found.days;
  }

  /** Every n-th, counted from the first that lies ahead. */
  #thinned(rule: Calendar | undefined): Rule | undefined {
    const thin = this.#found.thin;
    if (!rule || !thin) return rule;
    const isFirst = rule.days.type === "dates" && rule.days.dates.join() === "1";
    if (thin.unit === "month" && isFirst && thin.n === 3) return { ...rule, months: [1, 4, 7, 10] };
    if (thin.unit === "month" && isFirst && thin.n === 6) {
      this.#assume(sayings.halves());
      return { ...rule, days: { type: "yearly", dates: ["01-01", "07-01"] } };
    }
    const [first] = nextInstants(rule, this.#now, 1);
    if (first === undefined) return this.#ask(sayings.never());
    return { ...rule, thin: { ...thin, anchor: toIsoDay(wallAt(rule.zone, first)) } };
  }

  /** Ascending; undefined when an hour has to be asked about. */
  #times(): string[] | undefined {
    const { times, parts } = this.#found;
    if (times.length > 0) {
      const all = times.map((time) => this.#toDayTime(time));
      return all.includes(undefined) ? undefined : unique(all.filter((time) => time !== undefined));
    }
    if (parts.length > 0) {
      const all = unique(parts.map((part) => this.#profile[part]));
      for (const time of all) this.#assume(sayings.partTime(this.#spoken(time)));
      return all;
    }
    if (this.#existing?.type === "calendar") return this.#existing.times;
    this.#assume(sayings.defaultTime(this.#spoken(this.#profile.default)));
    return [this.#profile.default];
  }

  /** The part of the day decides about an hour that leaves it open, and moves an early one into the evening. */
  #toDayTime({ hour, minute, isBare }: ClockTime): string | undefined {
    const [part] = this.#found.parts;
    const isLate = part === "evening" || part === "afternoon" || (part === "night" && hour > 5);
    if (isLate && hour > 0 && hour < 12) return toText({ hour: hour + 12, minute });
    if (isBare && part === undefined && hour > 0 && hour < 7) {
      this.#ask(sayings.morningOrEvening(hour));
      return undefined;
    }
    const time = toText({ hour, minute });
    if (isBare) this.#assume(sayings.bareHour(this.#spoken(time)));
    return time;
  }

  #once(): Rule | undefined {
    const found = this.#found;
    const zone = this.#zone;
    if (found.inMinutes !== undefined) {
      const at = Math.ceil((this.#now + found.inMinutes * 60_000) / 60_000) * 60_000;
      return { type: "once", at, zone };
    }
    const times = this.#times();
    if (!times) return undefined;
    const [time = this.#profile.default] = times;
    const [hour = 0, minute = 0] = time.split(":").map(Number);
    const at = (day: Day): number => firstInstant(zone, { year: day.year, month: day.month, day: day.day, hour, minute });
    const today = dayNumber(this.#today());
    if (found.day) {
      const instant = at(found.day);
      return instant > this.#now ? { type: "once", at: instant, zone } : this.#ask(sayings.past());
    }
    const [weekday] = found.bareWeekdays ?? [];
    if (weekday !== undefined) {
      const instant = at(onOrAfter(today, weekday));
      return { type: "once", at: instant > this.#now ? instant : at(onOrAfter(today + 1, weekday)), zone };
    }
    const instant = at(fromDayNumber(today));
    if (instant > this.#now) return { type: "once", at: instant, zone };
    if (found.isToday) return this.#ask(sayings.past());
    this.#assume(sayings.tomorrow());
    return { type: "once", at: at(fromDayNumber(today + 1)), zone };
  }

  #cron(expression: string): Rule | undefined {
    try {
      return this.#happens(fromCron(expression, { zone: this.#zone, now: this.#now }));
    } catch (error) {
      if (!isNikaError(error)) throw error;
      this.question = error.message;
      return undefined;
    }
  }

  #bounded(rule: Rule | undefined): Rule | undefined {
    if (!rule || rule.type === "once") return rule;
    const { untilDay, forSpan, count } = this.#found;
    const endOf = (day: number): number => firstInstant(this.#zone, { ...fromDayNumber(day + 1), hour: 0, minute: 0 }) - 1;
    const today = this.#today();
    let bounded = rule;
    if (untilDay) bounded = { ...bounded, until: endOf(dayNumber(untilDay)) };
    if (forSpan) {
      const { n, unit } = forSpan;
      if (/^(?:heure|hour)$/u.test(unit) && rule.type === "every")
        bounded = { ...bounded, count: Math.max(1, Math.floor((n * 3_600_000) / rule.everyMs)) };
      else bounded = { ...bounded, until: endOf(dayNumber(shifted(today, n, unit))) };
    }
    if (count !== undefined && count > 0) bounded = { ...bounded, count };
    return this.#happens(bounded);
  }

  #happens<T extends Rule>(rule: T): T | undefined {
    if (nextInstants(rule, this.#now, 1).length > 0) return rule;
    this.#ask(sayings.never());
    return undefined;
  }

  #today(): Day {
    const { year, month, day } = wallAt(this.#zone, this.#now);
    return { year, month, day };
  }

  #spoken(time: string): string {
    const label = recurrenceLabel(
      { type: "calendar", zone: "UTC", times: [time], days: { type: "every" } },
      { language: this.#language, zone: "UTC" },
    );
    return label.replace(/^(?:Chaque jour à|Every day at) /u, "");
  }

  #assume(saying: Readonly<Record<LabelLanguage, string>>): void {
    const text = saying[this.#language];
    if (!this.assumptions.includes(text)) this.assumptions.push(text);
  }

  #ask(saying: Readonly<Record<LabelLanguage, string>>): undefined {
    this.question ??= saying[this.#language];
    return undefined;
  }
}

const allMonths = Array.from({ length: 12 }, (_, i) => i + 1);
const unique = (times: readonly string[]): string[] => [...new Set(times)].toSorted();

function shifted(day: Day, n: number, unit: string): Day {
  if (/^(?:jour|day)$/u.test(unit)) return fromDayNumber(dayNumber(day) + n);
  if (/^(?:semaine|week)$/u.test(unit)) return fromDayNumber(dayNumber(day) + 7 * n);
  const months = /^(?:mois|month)$/u.test(unit) ? n : /^(?:an|annee|year)$/u.test(unit) ? 12 * n : 0;
  const at = new Date(Date.UTC(day.year, day.month - 1 + months, 1));
  const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate();
  return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: Math.min(day.day, last) };
}

const frenchWords =
  /\b(?:tous|toutes|chaque|le|la|les|du|des|au|aux|et|de|un|une|a|demain|dans|jour|jours|semaine|mois|heures?|minutes?|matin|soir|midi|minuit|sauf|moi|mes|mon|sur|dimanche|lundi|mardi|mercredi|jeudi|vendredi|samedi|rapport|quotidien|temps)\b|[a-z]'[a-z]|\d ?h\b/gu;
const englishWords =
  /\b(?:every|each|the|at|on|in|of|and|to|from|my|me|daily|weekly|monthly|yearly|tomorrow|today|tonight|day|days|week|weeks|month|hour|hours|minutes?|morning|evening|night|noon|midnight|except|until|sunday|monday|tuesday|wednesday|thursday|friday|saturday|sundays|mondays|report|time|am|pm|other|remind|times)\b/gu;

/** The language a phrase is written in; French when it cannot be told, since what is short is mostly a French "à 8h". */
export function languageOf(text: string): LabelLanguage {
  const folded = fold(text);
  const count = (pattern: RegExp): number => folded.match(pattern)?.length ?? 0;
  return count(englishWords) > count(frenchWords) ? "en" : "fr";
}

const polite =
  /^(?:(?:s'il te plait|s'il vous plait|stp|svp|please|hey|ok|dis|nika|salut|bonjour|hello|hi)[ ,:]+|(?:peux-tu|pourrais-tu|tu peux|pouvez-vous|pourriez-vous|je (?:voudrais|veux|souhaite) que tu|il faut que tu|can you|could you|would you|i want you to|i'd like you to|i need you to) )+/u;
const remindFrame =
  /^(?:rappelle[sz]?-?[ -]?moi|rappelez-moi|fais-moi penser|previens-moi|remind me|let me know|notify me|wake me(?: up)?)(?: (?:a|de|que|to|that|about)\b| (?=d'))?/u;
const edges =
  /^[\s,;:.\u2013-]*(?:(?:de|que|to|that|pour|and|et|puis|then)\s+|d['’])?|[\s,;:]+(?:a|à|at|et|and|de|on|le)?[\s,;:]*$/giu;

/** What is left of a phrase, without the words that only ask for it. */
function taskOf(rest: string): string {
  let task = rest.trim();
  for (const frame of [polite, remindFrame]) {
    const hit = frame.exec(fold(task));
    if (hit) task = task.slice(hit[0].length).trim();
  }
  return task.replaceAll(edges, "").trim();
}
