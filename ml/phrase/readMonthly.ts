/** What belongs to a month or a year: "le 15 de chaque mois", "the last Friday of the month", "chaque trimestre". */
import { regex, regexAll } from "./text.ts";
import type { Day } from "../time/zone.ts";
import { dateText, toDay } from "./date.ts";
import type { Reader } from "./found.ts";
import { month, ordinal, toOrdinal, weekday, weekdayNames } from "./words.ts";

export const readMonthly: Reader = (phrase, found) => {
  const ofMonth =
    "(?: de chaque mois| du mois| de tous les mois| chaque mois| of (?:the|every|each) month| (?:every|each) month)";
  const nth = phrase.take(
    regex`(?:\\b(?:tous les |chaque |on |every |each |le |les |the )+)?\\b(${ordinal}(?:(?: ?, ?| et | and )(?:le |les |the )?${ordinal})*) (${weekday})s?${ofMonth}`,
  );
  if (nth?.[1] !== undefined && nth[2] !== undefined) {
    const numbers = [...nth[1].matchAll(regexAll`${ordinal}`)].map(([text]) => toOrdinal(text));
    found.days = { type: "nth", weekdays: [weekdayNames[nth[2]] ?? 0], nth: numbers };
    found.repeats = true;
  }
  const business = phrase.take(
    regex`(?:\\b(?:le |on |the )+)?\\b(premier|1er|dernier|first|1st|last) (?:jour (?:ouvre|ouvrable)|(?:business|working) day)${ofMonth}`,
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
    regex`(?:\\b(?:tous les |chaque |on |every |each |le |les |the )+)?\\b(${dateItem}(?:(?: ?, ?| et | and )(?:le |les |the |on the )?${dateItem})*)${ofMonth}`,
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
      regex`\\b(?:le|on the|the) (${dateItem}(?:(?: ?, ?| et | and )(?:le |the )?${dateItem})*)(?! ?(?:${month}|${weekday}|h\\b|heures?|:))`,
    );
    if (on?.[1] !== undefined) found.days = { type: "dates", dates: toDates(on[1]) };
    else if (!found.days) found.days = { type: "dates", dates: [1] };
  }
};

export function toDates(list: string): number[] {
  const dates = [...list.matchAll(/dernier|last|premier|\d{1,2}/gu)].map(([text]) =>
    /dernier|last/u.test(text) ? -1 : text === "premier" ? 1 : Number(text),
  );
  return [...new Set(dates)];
}

export const readYearly: Reader = (phrase, found, today) => {
  const isYearly =
    phrase.take(
      /\b(?:tous les ans|chaque annee|chaque an|toutes les annees|annuel(?:le)?(?:ment)?|une fois par an|every year|each year|yearly|annually|once a year)\b/u,
    ) !== undefined;
  if (isYearly) found.repeats = true;
  const taken: { month: number; date: number }[] = [];
  const days: Day[] = [];
  const pattern = regex`(?:,? ?(?:et |and )?\\b(?:le |on |the )*)(?:${weekday},? )?\\b${dateText}`;
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
