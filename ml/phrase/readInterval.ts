/** What repeats after some time: "every 15 minutes", "un lundi sur deux", and the span of a day it is kept to. */
import { regex } from "./text.ts";
import { bareHour, clock, toTime } from "./clock.ts";
import type { Reader } from "./found.ts";
import { minutesIn, singular } from "./units.ts";
import { amount, ordinal, toAmount, toOrdinal, toWeekdays, weekday, weekdayList, weekdayNames } from "./words.ts";

export const readWindow: Reader = (phrase, found) => {
  const time = `(?:${clock}|${bareHour})`;
  const hit =
    phrase.take(regex`\\b(?:de|entre|from|between) ${time} (?:a|et|to|until|till|and) ${time}`) ??
    phrase.take(regex`\\b${clock} ?- ?${clock}`);
  if (!hit) return;
  const [from, to] = hit
    .slice(1)
    .filter((text) => text !== undefined)
    .map(toTime);
  if (from && to) found.window = { from, to };
};

export const readInterval: Reader = (phrase, found) => {
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
    regex`\\b(?:tou(?:te)?s les|every|each|une fois toutes les|once every) (${amount}) ?(secondes?|seconds?|sec|minutes?|min|mn|heures?|hours?|hrs?|h)\\b(?! ?[0-5]\\d)`,
  );
  if (elapsed?.[1] !== undefined && elapsed[2] !== undefined)
    minutes(toAmount(elapsed[1]) * (minutesIn[singular(elapsed[2])] ?? 1));

  if (phrase.take(/\b(?:une semaine sur deux|every other week|every second week|each other week|a week out of two)\b/u))
    thin(2, "week");
  if (phrase.take(/\b(?:un jour sur deux|every other day|every second day)\b/u)) thin(2, "day");
  if (phrase.take(/\b(?:un mois sur deux|every other month|every second month|bimestriel(?:le)?(?:ment)?)\b/u)) thin(2, "month");
  const dayOf = phrase.take(regex`\\bun (jour|mois) sur (${amount})\\b`);
  if (dayOf?.[2] !== undefined) thin(toAmount(dayOf[2]), dayOf[1] === "jour" ? "day" : "month");
  const oneIn =
    phrase.take(regex`\\bun (${weekday}) sur (${amount})\\b`) ?? phrase.take(regex`\\btous les (${amount}) (${weekday})s\\b`);
  if (oneIn?.[1] !== undefined && oneIn[2] !== undefined) {
    const [name, n] = weekdayNames[oneIn[1]] === undefined ? [oneIn[2], oneIn[1]] : [oneIn[1], oneIn[2]];
    found.days = { type: "weekdays", weekdays: [weekdayNames[name] ?? 0] };
    thin(toAmount(n), "week");
  }
  const other = phrase.take(
    regex`\\b(?:every|each) other (${weekdayList})\\b|\\b(?:every|each) second (${weekdayList})\\b(?! of)`,
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
  const every = phrase.take(regex`\\b(?:tou(?:te)?s les|every|each) (${amount}) (jours?|semaines?|mois|days?|weeks?|months?)\\b`);
  if (every?.[1] !== undefined && every[2] !== undefined) {
    const unit = singular(every[2]);
    thin(toAmount(every[1]), unit === "jour" || unit === "day" ? "day" : unit === "mois" || unit === "month" ? "month" : "week");
    if (found.thin === undefined && (unit === "mois" || unit === "month")) found.days = { type: "dates", dates: [1] };
  }
  const nthWeek = phrase.take(regex`\\b(?:every|each) (${ordinal}) week\\b`);
  if (nthWeek?.[1] !== undefined) thin(toOrdinal(nthWeek[1]), "week");
  const nthDay = phrase.take(regex`\\b(?:every|each) (${ordinal}) day\\b(?! of)`);
  if (nthDay?.[1] !== undefined) thin(toOrdinal(nthDay[1]), "day");
};
