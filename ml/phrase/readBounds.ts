/** What limits a rule: an end, a count, exceptions, a session, a condition. */
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

export const readExcept: Reader = (phrase, found, today) => {
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
