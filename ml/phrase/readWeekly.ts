/** What belongs to a day or a week: "tous les lundis", "weekdays", "every morning". */
import { regex } from "./text.ts";
import type { Part, Reader } from "./found.ts";
import { toWeekdays, weekday, weekdayList, weekdayNames } from "./words.ts";

export const readWeekdays: Reader = (phrase, found) => {
  const set = (weekdays: readonly number[]): void => {
    found.days = { type: "weekdays", weekdays: [...new Set(weekdays)].toSorted((a, b) => a - b) };
    found.repeats = true;
  };
  const every = "(?:(?:tous les|chaque|les|every|each|on|all) )?";
  if (phrase.take(regex`\\b${every}(?:jours? ouvres?|business days?|working days?|workdays?)\\b`)) {
    set([1, 2, 3, 4, 5]);
    found.business = true;
  }
  if (phrase.take(regex`\\b${every}jours? ouvrables?\\b`)) {
    set([1, 2, 3, 4, 5, 6]);
    found.business = true;
  }
  const range = phrase.take(regex`,? ?\\b(?:du |de |from )?(${weekday}) (?:au|a|to|through|thru) (${weekday})\\b`);
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
    phrase.take(regex`,? ?\\b(?:tous les|chaque|every|each) (${weekdayList})\\b`) ??
    phrase.take(regex`,? ?\\b(?:les |on )?(${weekday}s(?:(?: ?, ?| et | and |, and )(?:les |on )?${weekday}s)*)\\b`);
  if (marked?.[1] !== undefined) {
    const isPlural = /s\b/u.test(marked[1]) || /tous|chaque|every|each/u.test(marked[0] ?? "");
    if (isPlural)
      set([
        ...(found.days?.type === "weekdays" && !found.business && !found.thin ? found.days.weekdays : []),
        ...toWeekdays(marked[1]),
      ]);
  }
  const bare = phrase.take(regex`(?:,? ?\\b(?:le |on |the )*)\\b(${weekdayList})(?: (prochain|qui vient))?\\b`);
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

export const readDaily: Reader = (phrase, found) => {
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
