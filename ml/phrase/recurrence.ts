/** What a phrase says about when, gathered piece by piece. Each reader strikes out what it understood. */
import type { Days } from "../../convex/model/recurrence.ts";
import { dayNumber, daysInMonth, fromDayNumber, toIsoDay, weekdayOf, type Day, type Wall } from "../time/zone.ts";
import { bareHour, clock, toTime, type ClockTime } from "./clock.ts";
import type { Phrase } from "./text.ts";
import {
  amount,
  month,
  monthList,
  monthNames,
  ordinal,
  toAmount,
  toMonths,
  toOrdinal,
  toWeekdays,
  weekday,
  weekdayList,
  weekdayNames,
} from "./words.ts";

export type Part = "morning" | "noon" | "afternoon" | "evening" | "night" | "endOfMonth";

/** Everything found so far; absent means not said. */
export type Found = {
  /** Something says that it repeats. */
  repeats: boolean;
  everyMinutes?: number;
  thin?: { n: number; unit: "day" | "week" | "month" };
  days?: Days;
  /** Weekdays named without a sign that they repeat: "lundi à 8 h". */
  bareWeekdays?: number[];
  /** "le lundi": a habit in French, unlike "lundi". */
  hasArticle?: boolean;
  months?: number[];
  yearly?: { month: number; date: number }[];
  times: ClockTime[];
  window?: { from: ClockTime; to: ClockTime };
  parts: Part[];
  holidaysOut?: boolean;
  business?: boolean;
  exceptWeekdays?: number[];
  exceptMonths?: number[];
  except?: string[];
  untilDay?: Day;
  forSpan?: { n: number; unit: string };
  count?: number;
  isSession?: boolean;
  stopWhen?: string;
  /** A single day or moment. */
  day?: Day;
  inMinutes?: number;
  /** "ce soir", "tonight". */
  isToday?: boolean;
  /** A date that no calendar has: 31 February. */
  hasBadDate?: boolean;
  /** What is asked back when it cannot be told. */
  ask?: "biweekly" | "bimonthly" | "vague";
  cron?: string;
};

type Reader = (phrase: Phrase, found: Found, today: Wall) => void;

const minutesIn: Record<string, number> = {
  seconde: 1 / 60,
  second: 1 / 60,
  sec: 1 / 60,
  minute: 1,
  min: 1,
  mn: 1,
  heure: 60,
  hour: 60,
  h: 60,
  hr: 60,
};
const singular = (unit: string): string => unit.replace(/s$/u, "").replace(/^mois?$/u, "mois");

const readCron: Reader = (phrase, found) => {
  const hit =
    phrase.take(/\bcron:? ((?:[\d*?,/lw#a-z-]+ ){4}[\d*?,/lw#a-z-]+)/u) ??
    phrase.take(/(?:^|`)((?:[\d*][\d*,/-]* ){2}[\d*?,/lw-]+ [\d*a-z,/-]+ [\d*?a-z,/#-]+)(?:`|$)/u);
  if (hit?.[1] !== undefined) found.cron = hit[1];
};

const readScope: Reader = (phrase, found) => {
  if (
    phrase.take(
      /\b(?:dans cette session|pendant cette session|tant que (?:le|ce) pod (?:vit|tourne)|in this session|for this session|while (?:this|the) pod (?:runs|lives))\b/u,
    )
  )
    found.isSession = true;
  const stop = phrase.take(/\b(?:jusqu'a ce que|until it|until the|until there|tant que|as long as|while) ([^,.;\ue000]+)/u);
  if (stop?.[1] !== undefined) found.stopWhen = stop[1].trim();
};

const readEnd: Reader = (phrase, found, today) => {
  const until = phrase.take(
    new RegExp(`\\b(?:jusqu'au|jusqu'a|until|till|through) (?:le |the )?(?:(?:${weekday}) )?${dateText}`, "u"),
  );
  if (until) {
    const day = toDay(until.slice(1), today);
    if (day) found.untilDay = day;
  }
  const untilMonth = phrase.take(
    new RegExp(`\\b(?:jusqu'a fin|jusqu'a la fin (?:de |d')|until the end of|until end of) ?(${month})`, "u"),
  );
  if (untilMonth?.[1] !== undefined) {
    const wanted = monthNames[untilMonth[1]] ?? 1;
    const year = wanted < today.month ? today.year + 1 : today.year;
    found.untilDay = { year, month: wanted, day: daysInMonth(year, wanted) };
  }
  const span = phrase.take(
    new RegExp(
      `\\b(?:pendant|durant|for(?: the next)?) (?:les )?(${amount}) (?:prochaine?s? )?(jours?|semaines?|mois|ans?|annees?|heures?|days?|weeks?|months?|years?|hours?)\\b`,
      "u",
    ),
  );
  if (span?.[1] !== undefined && span[2] !== undefined) found.forSpan = { n: toAmount(span[1]), unit: singular(span[2]) };
  const count = phrase.take(new RegExp(`,? ?\\b(${amount}) (?:fois|times)\\b(?! (?:par|a|per|each|every|on) )`, "u"));
  if (count?.[1] !== undefined) found.count = toAmount(count[1]);
};

const readExcept: Reader = (phrase, found, today) => {
  const but = "(?:sauf|excepte|hormis|a l'exception d[eu]s?|except(?: for| on| in)?|but not(?: on| in)?|excluding)";
  const all = [
    ...phrase.takeAll(new RegExp(`,? ?\\b${but} (?:les jours feries|jours feries|(?:on )?(?:public |bank )?holidays)\\b`, "u")),
    ...phrase.takeAll(/\b(?:hors jours feries)\b/gu),
  ];
  if (all.length > 0) found.holidaysOut = true;
  const dates = phrase.take(new RegExp(`,? ?\\b${but} ((?:(?:le |the |on )?${plainDate}(?: ?, ?| et | and )?)+)`, "u"));
  if (dates?.[1] !== undefined) {
    const named = [...dates[1].matchAll(new RegExp(dateText, "gu"))].map((match) => toDay([...match].slice(1), today));
    found.except = named.filter((day) => day !== undefined).map(toIsoDay);
  }
  const weekend = phrase.take(new RegExp(`,? ?\\b${but} (?:le |les |the )?(?:week-?ends?|fins? de semaine)\\b`, "u"));
  if (weekend) found.exceptWeekdays = [...(found.exceptWeekdays ?? []), 0, 6];
  const weekdays = phrase.take(new RegExp(`,? ?\\b${but} (?:le |les |the )?(${weekdayList})\\b`, "u"));
  if (weekdays?.[1] !== undefined) found.exceptWeekdays = [...(found.exceptWeekdays ?? []), ...toWeekdays(weekdays[1])];
  const months = phrase.take(new RegExp(`,? ?\\b${but} (?:en |au mois d[e']|in )?(${monthList})\\b`, "u"));
  if (months?.[1] !== undefined) found.exceptMonths = toMonths(months[1]);
  const only = phrase.take(new RegExp(`,? ?\\b(?:seulement|uniquement|only) (?:en |au mois d[e']|in )(${monthList})\\b`, "u"));
  if (only?.[1] !== undefined) found.months = toMonths(only[1]);
};

const readWindow: Reader = (phrase, found) => {
  const time = `(?:${clock}|${bareHour})`;
  const hit =
    phrase.take(new RegExp(`\\b(?:de|entre|from|between) ${time} (?:a|et|to|until|till|and) ${time}`, "u")) ??
    phrase.take(new RegExp(`\\b${clock} ?- ?${clock}`, "u"));
  if (!hit) return;
  const [from, to] = hit
    .slice(1)
    .filter((text) => text !== undefined)
    .map(toTime);
  if (from && to) found.window = { from, to };
};

const readInterval: Reader = (phrase, found) => {
  const minutes = (n: number): void => {
    found.everyMinutes = n;
    found.repeats = true;
  };
  const thin = (n: number, unit: "day" | "week" | "month"): void => {
    found.repeats = true;
    if (n > 1) found.thin = { n, unit };
    else if (unit === "day") found.days = { type: "every" };
  };
  if (
    phrase.take(/\b(?:tous|toutes) les (?:1\/2|demi)-? ?heures?\b|\b(?:every|each) half(?:[- ]an?)?[- ]hour\b|\bhalf-hourly\b/u)
  )
    minutes(30);
  if (phrase.take(/\btous les quarts? d'heure\b|\bevery quarter(?: of an)? hour\b|\bevery quarter of an hour\b/u)) minutes(15);
  if (phrase.take(/\b(?:toutes les heures|chaque heure|every hour|each hour|hourly)\b/u)) minutes(60);
  if (phrase.take(/\b(?:toutes les minutes|chaque minute|every minute|each minute)\b/u)) minutes(1);
  const elapsed = phrase.take(
    new RegExp(
      `\\b(?:tou(?:te)?s les|every|each|une fois toutes les|once every) (${amount}) ?(secondes?|seconds?|sec|minutes?|min|mn|heures?|hours?|hrs?|h)\\b(?! ?[0-5]\\d)`,
      "u",
    ),
  );
  if (elapsed?.[1] !== undefined && elapsed[2] !== undefined)
    minutes(toAmount(elapsed[1]) * (minutesIn[singular(elapsed[2])] ?? 1));

  if (phrase.take(/\b(?:une semaine sur deux|every other week|every second week|each other week|a week out of two)\b/u))
    thin(2, "week");
  if (phrase.take(/\b(?:un jour sur deux|every other day|every second day)\b/u)) thin(2, "day");
  if (phrase.take(/\b(?:un mois sur deux|every other month|every second month|bimestriel(?:le)?(?:ment)?)\b/u)) thin(2, "month");
  const dayOf = phrase.take(new RegExp(`\\bun (jour|mois) sur (${amount})\\b`, "u"));
  if (dayOf?.[2] !== undefined) thin(toAmount(dayOf[2]), dayOf[1] === "jour" ? "day" : "month");
  const oneIn =
    phrase.take(new RegExp(`\\bun (${weekday}) sur (${amount})\\b`, "u")) ??
    phrase.take(new RegExp(`\\btous les (${amount}) (${weekday})s\\b`, "u"));
  if (oneIn?.[1] !== undefined && oneIn[2] !== undefined) {
    const [name, n] = weekdayNames[oneIn[1]] === undefined ? [oneIn[2], oneIn[1]] : [oneIn[1], oneIn[2]];
    found.days = { type: "weekdays", weekdays: [weekdayNames[name] ?? 0] };
    thin(toAmount(n), "week");
  }
  const other = phrase.take(
    new RegExp(`\\b(?:every|each) other (${weekdayList})\\b|\\b(?:every|each) second (${weekdayList})\\b(?! of)`, "u"),
  );
  const others = other?.[1] ?? other?.[2];
  if (others !== undefined) {
    found.days = { type: "weekdays", weekdays: toWeekdays(others) };
    thin(2, "week");
  }
  // "Quinze jours" is two weeks and "huit jours" one: the French count both ends.
  if (phrase.take(/\b(?:tous les (?:quinze|15) jours|toutes les quinzaines|chaque quinzaine|every fortnight|fortnightly)\b/u))
    thin(2, "week");
  if (phrase.take(/\b(?:tous les (?:huit|8) jours)\b/u)) thin(1, "week");
  const every = phrase.take(
    new RegExp(`\\b(?:tou(?:te)?s les|every|each) (${amount}) (jours?|semaines?|mois|days?|weeks?|months?)\\b`, "u"),
  );
  if (every?.[1] !== undefined && every[2] !== undefined) {
    const unit = singular(every[2]);
    thin(toAmount(every[1]), unit === "jour" || unit === "day" ? "day" : unit === "mois" || unit === "month" ? "month" : "week");
    if (found.thin === undefined && (unit === "mois" || unit === "month")) found.days = { type: "dates", dates: [1] };
  }
  const nthWeek = phrase.take(new RegExp(`\\b(?:every|each) (${ordinal}) week\\b`, "u"));
  if (nthWeek?.[1] !== undefined) thin(toOrdinal(nthWeek[1]), "week");
  const nthDay = phrase.take(new RegExp(`\\b(?:every|each) (${ordinal}) day\\b(?! of)`, "u"));
  if (nthDay?.[1] !== undefined) thin(toOrdinal(nthDay[1]), "day");
};

const readVague: Reader = (phrase, found) => {
  if (phrase.take(/\b(?:biweekly|bi-weekly)\b/u)) found.ask = "biweekly";
  if (phrase.take(/\b(?:bimonthly|bi-monthly)\b/u)) found.ask = "bimonthly";
  if (
    !found.ask &&
    /\b(?:de temps en temps|de temps a autre|regulierement|periodiquement|souvent|parfois|from time to time|now and then|occasionally|regularly|periodically|every so often|once in a while)\b/u.test(
      phrase.text,
    )
  )
    found.ask = "vague";
};

const readMonthly: Reader = (phrase, found) => {
  const ofMonth =
    "(?: de chaque mois| du mois| de tous les mois| chaque mois| of (?:the|every|each) month| (?:every|each) month)";
  const nth = phrase.take(
    new RegExp(
      `(?:\\b(?:tous les |chaque |on |every |each |le |les |the )+)?\\b(${ordinal}(?:(?: ?, ?| et | and )(?:le |les |the )?${ordinal})*) (${weekday})s?${ofMonth}`,
      "u",
    ),
  );
  if (nth?.[1] !== undefined && nth[2] !== undefined) {
    const numbers = [...nth[1].matchAll(new RegExp(ordinal, "gu"))].map(([text]) => toOrdinal(text));
    found.days = { type: "nth", weekdays: [weekdayNames[nth[2]] ?? 0], nth: numbers };
    found.repeats = true;
  }
  const business = phrase.take(
    new RegExp(
      `(?:\\b(?:le |on |the )+)?\\b(premier|1er|dernier|first|1st|last) (?:jour (?:ouvre|ouvrable)|(?:business|working) day)${ofMonth}`,
      "u",
    ),
  );
  if (business?.[1] !== undefined) {
    found.days = { type: "business", nth: /dernier|last/u.test(business[1]) ? -1 : 1 };
    found.repeats = true;
    found.business = true;
  }
  if (
    phrase.take(
      /(?:\b(?:le |on |the )+)?\b(?:1er|1st|first|premier)(?: jour| day)? (?:de chaque trimestre|du trimestre|de tous les trimestres|of (?:every|each|the) quarter)\b|\b(?:chaque trimestre|tous les trimestres|every quarter|each quarter|quarterly|trimestriel(?:le)?(?:ment)?)\b/u,
    )
  ) {
    found.days = { type: "dates", dates: [1] };
    found.months = [1, 4, 7, 10];
    found.repeats = true;
  }
  if (
    phrase.take(
      /\b(?:chaque semestre|tous les semestres|semestriel(?:le)?(?:ment)?|twice a year|every half[- ]year|deux fois par an)\b/u,
    )
  ) {
    found.days = { type: "dates", dates: [1] };
    found.months = [1, 7];
    found.repeats = true;
  }
  const dateItem = `(?:dernier jour|last day|(?:1er|premier|\\d{1,2}(?: ?(?:st|nd|rd|th|er|e))?)(?: jour| day)?)`;
  const dates = phrase.take(
    new RegExp(
      `(?:\\b(?:tous les |chaque |on |every |each |le |les |the )+)?\\b(${dateItem}(?:(?: ?, ?| et | and )(?:le |les |the |on the )?${dateItem})*)${ofMonth}`,
      "u",
    ),
  );
  if (dates?.[1] !== undefined) {
    found.days = { type: "dates", dates: toDates(dates[1]) };
    found.repeats = true;
  }
  if (
    phrase.take(
      /\b(?:a la |en |chaque |tous les |at the |at |every )?(?:fins? (?:de |du )(?:chaque )?mois|end of (?:every |each |the )?month|month-?end)\b/u,
    )
  ) {
    found.days = { type: "dates", dates: [-1] };
    found.parts.push("endOfMonth");
    found.repeats = true;
  }
  if (
    phrase.take(
      /\b(?:au |en )?debut (?:de |du )(?:chaque )?mois\b|\b(?:at the )?(?:start|beginning) of (?:every|each|the) month\b/u,
    )
  ) {
    found.days = { type: "dates", dates: [1] };
    found.repeats = true;
  }
  if (phrase.take(/\b(?:bimensuel(?:le)?(?:ment)?|deux fois par mois|twice a month|semi-monthly|semimonthly)\b/u)) {
    found.days = { type: "dates", dates: [1, 15] };
    found.repeats = true;
  }
  const monthly = phrase.take(
    /\b(?:tous les mois|chaque mois|mensuel(?:le)?(?:ment)?|every month|each month|monthly|une fois par mois|once a month)\b/u,
  );
  if (monthly || found.thin?.unit === "month") {
    found.repeats = true;
    const on = phrase.take(
      new RegExp(
        `\\b(?:le|on the|the) (${dateItem}(?:(?: ?, ?| et | and )(?:le |the )?${dateItem})*)(?! ?(?:${month}|${weekday}|h\\b|heures?|:))`,
        "u",
      ),
    );
    if (on?.[1] !== undefined) found.days = { type: "dates", dates: toDates(on[1]) };
    else if (!found.days) found.days = { type: "dates", dates: [1] };
  }
};

function toDates(list: string): number[] {
  const dates = [...list.matchAll(/dernier|last|premier|\d{1,2}/gu)].map(([text]) =>
    /dernier|last/u.test(text) ? -1 : text === "premier" ? 1 : Number(text),
  );
  return [...new Set(dates)];
}

const plainDate = `(?:\\d{4}-\\d\\d-\\d\\d|\\d{1,2}/\\d{1,2}(?:/\\d{2,4})?|(?:1er|premier|\\d{1,2}(?:st|nd|rd|th)?)(?: of)? ${month}(?:,? \\d{4})?|${month} \\d{1,2}(?:st|nd|rd|th)?(?:,? \\d{4})?)\\b`;
/** Six groups; see `toDay`. */
const dateText = `(?:(\\d{4}-\\d\\d-\\d\\d)|(\\d{1,2}/\\d{1,2}(?:/\\d{2,4})?)|(1er|premier|\\d{1,2})(?:st|nd|rd|th)?(?: of)? (${month})(?:,? (\\d{4}))?|(${month} \\d{1,2}(?:st|nd|rd|th)?(?:,? \\d{4})?))\\b`;

/** The day a date means, the next one when it names no year. Undefined when there is no such day. */
function toDay(groups: readonly (string | undefined)[], today: Wall): Day | undefined {
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

const readYearly: Reader = (phrase, found, today) => {
  const isYearly =
    phrase.take(
      /\b(?:tous les ans|chaque annee|chaque an|toutes les annees|annuel(?:le)?(?:ment)?|une fois par an|every year|each year|yearly|annually|once a year)\b/u,
    ) !== undefined;
  if (isYearly) found.repeats = true;
  const taken: { month: number; date: number }[] = [];
  const days: Day[] = [];
  const pattern = new RegExp(`(?:,? ?(?:et |and )?\\b(?:le |on |the )*)(?:${weekday},? )?\\b${dateText}`, "u");
  for (let hit = phrase.take(pattern); hit; hit = phrase.take(pattern)) {
    const day = toDay(hit.slice(1), today);
    if (!day) {
      found.hasBadDate = true;
      continue;
    }
    days.push(day);
    taken.push({ month: day.month, date: day.day });
  }
  if (taken.length === 0) {
    if (isYearly && !found.days) found.yearly = [{ month: 1, date: 1 }];
    return;
  }
  if (isYearly || taken.length > 1) {
    found.yearly = taken;
    found.repeats = true;
  } else if (days[0]) found.day = days[0];
};

const readWeekdays: Reader = (phrase, found) => {
  const set = (weekdays: readonly number[]): void => {
    found.days = { type: "weekdays", weekdays: [...new Set(weekdays)].toSorted((a, b) => a - b) };
    found.repeats = true;
  };
  const every = "(?:(?:tous les|chaque|les|every|each|on|all) )?";
  if (phrase.take(new RegExp(`\\b${every}(?:jours? ouvres?|business days?|working days?|workdays?)\\b`, "u"))) {
    set([1, 2, 3, 4, 5]);
    found.business = true;
  }
  if (phrase.take(new RegExp(`\\b${every}jours? ouvrables?\\b`, "u"))) {
    set([1, 2, 3, 4, 5, 6]);
    found.business = true;
  }
  const range = phrase.take(new RegExp(`,? ?\\b(?:du |de |from )?(${weekday}) (?:au|a|to|through|thru) (${weekday})\\b`, "u"));
  if (range?.[1] !== undefined && range[2] !== undefined) {
    const from = ((weekdayNames[range[1]] ?? 0) + 6) % 7;
    const to = ((weekdayNames[range[2]] ?? 0) + 6) % 7;
    set(Array.from({ length: ((to - from + 7) % 7) + 1 }, (_, i) => (((from + i) % 7) + 1) % 7));
  }
  if (phrase.take(/,? ?\b(?:tous les jours (?:de la|en) semaine|en semaine|(?:every |each |on )?weekdays?)\b/u))
    set([1, 2, 3, 4, 5]);
  if (
    phrase.take(
      /,? ?\b(?:tous les week-?ends|chaque week-?end|le week-?end|les week-?ends|(?:every |each |on |at )(?:the )?weekends?|weekends)\b/u,
    )
  )
    set([0, 6]);
  if (phrase.take(/\b(?:chaque|a la|en|tous les|toutes les) fins? de semaine\b/u)) set([5]);
  const marked =
    phrase.take(new RegExp(`,? ?\\b(?:tous les|chaque|every|each) (${weekdayList})\\b`, "u")) ??
    phrase.take(new RegExp(`,? ?\\b(?:les |on )?(${weekday}s(?:(?: ?, ?| et | and |, and )(?:les |on )?${weekday}s)*)\\b`, "u"));
  if (marked?.[1] !== undefined) {
    const isPlural = /s\b/u.test(marked[1]) || /tous|chaque|every|each/u.test(marked[0] ?? "");
    if (isPlural)
      set([
        ...(found.days?.type === "weekdays" && !found.business && !found.thin ? found.days.weekdays : []),
        ...toWeekdays(marked[1]),
      ]);
  }
  const bare = phrase.take(new RegExp(`(?:,? ?\\b(?:le |on |the )*)\\b(${weekdayList})(?: (prochain|qui vient))?\\b`, "u"));
  if (bare?.[1] !== undefined) {
    const list = toWeekdays(bare[1]);
    const isWeekly = found.thin !== undefined || found.repeats;
    if (isWeekly && bare[2] === undefined && !found.days) set(list);
    else if (isWeekly && found.days?.type === "every") set(list);
    else if (!found.days) {
      found.bareWeekdays = list;
      found.hasArticle = /\ble /u.test(bare[0] ?? "") && bare[2] === undefined;
    }
  }
};

const readDaily: Reader = (phrase, found) => {
  const every = (part?: Part): void => {
    found.repeats = true;
    found.days ??= { type: "every" };
    if (part) found.parts.push(part);
  };
  if (phrase.take(/\b(?:matin et soir|matins et soirs|morning and (?:evening|night)|mornings and evenings)\b/u)) {
    every("morning");
    found.parts.push("evening");
  }
  const perDay = phrase.take(/\b(?:deux fois par jour|2 fois par jour|twice a day|twice daily|two times a day|2x per day)\b/u);
  if (perDay) {
    every("morning");
    found.parts.push("evening");
  }
  if (phrase.take(/\b(?:trois fois par jour|3 fois par jour|three times a day|thrice daily)\b/u)) {
    every("morning");
    found.parts.push("noon", "evening");
  }
  if (phrase.take(/\b(?:une fois par jour|once a day)\b/u)) every();
  const weekly = phrase.take(
    /\b(?:toutes les semaines|chaque semaine|hebdomadaire(?:ment)?|une fois par semaine|every week|each week|weekly|once a week)\b/u,
  );
  if (weekly) found.repeats = true;
  for (const [pattern, part] of [
    [/\b(?:tous les|chaque) matins?\b|\b(?:every|each) morning\b|\bmornings\b/u, "morning"],
    [/\b(?:tous les midis|chaque midi|every noon)\b/u, "noon"],
    [/\b(?:tous les|toutes les|chaque) apres-midis?\b|\b(?:every|each) afternoon\b/u, "afternoon"],
    [/\b(?:tous les|chaque) soirs?\b|\b(?:every|each) evening\b|\bevenings\b/u, "evening"],
    [/\b(?:toutes les|chaque) nuits?\b|\b(?:every|each) night\b|\bnightly\b/u, "night"],
  ] as const) {
    if (phrase.take(pattern)) every(part);
  }
  if (
    phrase.take(
      /\b(?:(?:tous les jours|chaque jour)(?! (?:ouvr|(?:de la|en) semaine))|quotidien(?:ne)?(?:ment)?|journalier|every day|each day|everyday|daily|jour apres jour)\b/u,
    )
  )
    every();
};

const readTimes: Reader = (phrase, found) => {
  const announced = "(?:a|vers|des|pour|@|at|around|about|by)";
  const all = new RegExp(`(?:,? ?\\b${announced} |,? ?(?:et |and |, ?)(?:${announced} )?)?${clock}`, "u");
  for (let hit = phrase.take(all); hit; hit = phrase.take(all)) {
    const time = toTime(hit[1] ?? "");
    if (time) found.times.push(time);
  }
  const bare = new RegExp(`,? ?\\b(?:a|vers|at|around) ${bareHour}(?:(?: et | and | & )${bareHour})?`, "u");
  for (const hit of phrase.takeAll(bare)) {
    for (const text of hit.slice(1)) {
      const time = text === undefined ? undefined : toTime(text);
      if (time) found.times.push(time);
    }
  }
  for (const [pattern, part] of [
    [/,? ?\b(?:le matin|dans la matinee|in the morning|ce matin|this morning)\b/u, "morning"],
    [/,? ?\b(?:l'apres-midi|in the afternoon|cet apres-midi|this afternoon)\b/u, "afternoon"],
    [/,? ?\b(?:le soir|dans la soiree|in the evening|ce soir|this evening|tonight)\b/u, "evening"],
    [/,? ?\b(?:la nuit|cette nuit|at night|during the night)\b/u, "night"],
  ] as const) {
    const hit = phrase.take(pattern);
    if (hit) found.parts.push(part);
    if (hit && /\bce|this|tonight/u.test(hit[0] ?? "")) found.isToday = true;
  }
};

const readOnce: Reader = (phrase, found, today) => {
  const start = dayNumber(today);
  if (phrase.take(/,? ?\b(?:apres-demain|(?:the )?day after tomorrow)\b/u)) found.day = fromDayNumber(start + 2);
  else {
    const tomorrow = phrase.take(
      /,? ?\b(?:demain|tomorrow)\b(?: (matin|midi|apres-midi|soir|morning|noon|afternoon|evening|night))?/u,
    );
    if (tomorrow) {
      found.day = fromDayNumber(start + 1);
      const parts: Record<string, Part> = {
        matin: "morning",
        morning: "morning",
        midi: "noon",
        noon: "noon",
        "apres-midi": "afternoon",
        afternoon: "afternoon",
        soir: "evening",
        evening: "evening",
        night: "night",
      };
      const part = parts[tomorrow[1] ?? ""];
      if (part) found.parts.push(part);
    }
  }
  if (phrase.take(/,? ?\b(?:aujourd'hui|today)\b/u)) found.day = fromDayNumber(start);
  const next = phrase.take(new RegExp(`,? ?\\b(?:next|this|coming) (${weekday})\\b`, "u"));
  if (next?.[1] !== undefined) {
    delete found.bareWeekdays;
    found.day = onOrAfter(start + 1, weekdayNames[next[1]] ?? 0);
  }
  const ahead = phrase.take(
    new RegExp(
      `,? ?\\b(?:dans|d'ici|in) (?:une? (?:petite )?)?(${amount}|demi-heure|half an hour|quart d'heure) ?(minutes?|min|mn|heures?|hours?|hrs?|h|jours?|days?|semaines?|weeks?)?(?: et demie)?\\b`,
      "u",
    ),
  );
  if (ahead?.[1] !== undefined) {
    const word = ahead[1];
    const unit = singular(ahead[2] ?? "");
    const n = toAmount(word);
    const isHalf = (ahead[0] ?? "").endsWith(" et demie");
    if (/demi-heure|half an hour/u.test(word)) found.inMinutes = 30;
    else if (word === "quart d'heure") found.inMinutes = 15;
    else if (unit in minutesIn) found.inMinutes = (n + (isHalf ? 0.5 : 0)) * (minutesIn[unit] ?? 1);
    else if (/^(?:jour|day)$/u.test(unit)) found.day = fromDayNumber(start + n);
    else if (/^(?:semaine|week)$/u.test(unit)) found.day = fromDayNumber(start + 7 * n);
  }
};

/** In this order: what is longer or more particular comes before what it contains. */
const readers: readonly Reader[] = [
  readCron,
  readOnceNext,
  readEnd,
  readScope,
  readExcept,
  readWindow,
  readInterval,
  readVague,
  readMonthly,
  readYearly,
  readDaily,
  readWeekdays,
  readOnce,
  readTimes,
];

/** "next Monday" and "lundi prochain" are one day, whatever else is said; so they are read before any list of weekdays. */
function readOnceNext(phrase: Phrase, found: Found, today: Wall): void {
  const hit =
    phrase.take(new RegExp(`,? ?\\b(?:on )?next (${weekday})\\b`, "u")) ??
    phrase.take(new RegExp(`,? ?\\b(?:le )?(${weekday}) (?:prochain|qui vient)\\b`, "u"));
  if (hit?.[1] !== undefined) found.day = onOrAfter(dayNumber(today) + 1, weekdayNames[hit[1]] ?? 0);
}

/** The first such weekday from a day on. */
export const onOrAfter = (from: number, wanted: number): Day => fromDayNumber(from + ((wanted - weekdayOf(from) + 7) % 7));

export function gather(phrase: Phrase, today: Wall): Found {
  const found: Found = { repeats: false, times: [], parts: [] };
  for (const read of readers) read(phrase, found, today);
  return found;
}

/** Whether it says anything that changes a rule there is already. */
export const isChange = (found: Found): boolean =>
  isSomething(found) ||
  found.parts.length > 0 ||
  [
    found.exceptMonths,
    found.exceptWeekdays,
    found.except,
    found.months,
    found.holidaysOut,
    found.untilDay,
    found.forSpan,
    found.count,
  ].some((part) => part !== undefined);

export const isSomething = (found: Found): boolean =>
  found.repeats ||
  found.ask !== undefined ||
  found.cron !== undefined ||
  found.day !== undefined ||
  found.inMinutes !== undefined ||
  found.bareWeekdays !== undefined ||
  found.isToday === true ||
  found.hasBadDate === true ||
  found.times.length > 0;
