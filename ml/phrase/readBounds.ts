/** What limits a rule: an end, a count, exceptions, a session, a condition. */
import { regex, regexAll } from "./text.ts";
import { daysInMonth, toIsoDay } from "../time/zone.ts";
import { dateText, plainDate, toDay } from "./date.ts";
import type { Reader } from "./found.ts";
import { singular } from "./units.ts";
import { amount, month, monthList, monthNames, toAmount, toMonths, toWeekdays, weekday, weekdayList } from "./words.ts";

export const readScope: Reader = (phrase, found) => {
  if (
    phrase.take(
      /\b(?:dans cette session|pendant cette session|tant que (?:le|ce) pod (?:vit|tourne)|in this session|for this session|while (?:this|the) pod (?:runs|lives))\b/u,
    )
  )
    found.isSession = true;
  const stop = phrase.take(/\b(?:jusqu'a ce que|until it|until the|until there|tant que|as long as|while) ([^,.;\ue000]+)/u);
  if (stop?.[1] !== undefined) found.stopWhen = stop[1].trim();
};

export const readEnd: Reader = (phrase, found, today) => {
  const until = phrase.take(regex`\\b(?:jusqu'au|jusqu'a|until|till|through) (?:le |the )?(?:(?:${weekday}) )?${dateText}`);
  if (until) {
    const day = toDay(until.slice(1), today);
    if (day) found.untilDay = day;
  }
  const untilMonth = phrase.take(regex`\\b(?:jusqu'a fin|jusqu'a la fin (?:de |d')|until the end of|until end of) ?(${month})`);
  if (untilMonth?.[1] !== undefined) {
    const wanted = monthNames[untilMonth[1]] ?? 1;
    const year = wanted < today.month ? today.year + 1 : today.year;
    found.untilDay = { year, month: wanted, day: daysInMonth(year, wanted) };
  }
  const span = phrase.take(
    regex`\\b(?:pendant|durant|for(?: the next)?) (?:les )?(${amount}) (?:prochaine?s? )?(jours?|semaines?|mois|ans?|annees?|heures?|days?|weeks?|months?|years?|hours?)\\b`,
  );
  if (span?.[1] !== undefined && span[2] !== undefined) found.forSpan = { n: toAmount(span[1]), unit: singular(span[2]) };
  const count = phrase.take(regex`,? ?\\b(${amount}) (?:fois|times)\\b(?! (?:par|a|per|each|every|on) )`);
  if (count?.[1] !== undefined) found.count = toAmount(count[1]);
};

export const readExcept: Reader = (phrase, found, today) => {
  const but = "(?:sauf|excepte|hormis|a l'exception d[eu]s?|except(?: for| on| in)?|but not(?: on| in)?|excluding)";
  const all = [
    ...phrase.takeAll(regex`,? ?\\b${but} (?:les jours feries|jours feries|(?:on )?(?:public |bank )?holidays)\\b`),
    ...phrase.takeAll(/\b(?:hors jours feries)\b/gu),
  ];
  if (all.length > 0) found.holidaysOut = true;
  const dates = phrase.take(regex`,? ?\\b${but} ((?:(?:le |the |on )?${plainDate}(?: ?, ?| et | and )?)+)`);
  if (dates?.[1] !== undefined) {
    const named = [...dates[1].matchAll(regexAll`${dateText}`)].map((match) => toDay([...match].slice(1), today));
    found.except = named.filter((day) => day !== undefined).map(toIsoDay);
  }
  const weekend = phrase.take(regex`,? ?\\b${but} (?:le |les |the )?(?:week-?ends?|fins? de semaine)\\b`);
  if (weekend) found.exceptWeekdays = [...(found.exceptWeekdays ?? []), 0, 6];
  const weekdays = phrase.take(regex`,? ?\\b${but} (?:le |les |the )?(${weekdayList})\\b`);
  if (weekdays?.[1] !== undefined) found.exceptWeekdays = [...(found.exceptWeekdays ?? []), ...toWeekdays(weekdays[1])];
  const months = phrase.take(regex`,? ?\\b${but} (?:en |au mois d[e']|in )?(${monthList})\\b`);
  if (months?.[1] !== undefined) found.exceptMonths = toMonths(months[1]);
  const only = phrase.take(regex`,? ?\\b(?:seulement|uniquement|only) (?:en |au mois d[e']|in )(${monthList})\\b`);
  if (only?.[1] !== undefined) found.months = toMonths(only[1]);
};
