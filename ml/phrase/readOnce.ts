/** What happens once: "demain à 14h", "in 20 minutes", "next Monday"; and the times of a day, whatever they belong to. */
import { dayNumber, fromDayNumber, type Wall } from "../time/zone.ts";
import { bareDigits, bareHour, clock, toTime } from "./clock.ts";
import { onOrAfter } from "./date.ts";
import type { Found, Part, Reader } from "./found.ts";
import { regex, type Phrase } from "./text.ts";
import { minutesIn, singular } from "./units.ts";
import { amount, toAmount, weekday, weekdayNames } from "./words.ts";

export const readTimes: Reader = (phrase, found) => {
  const announced = "(?:a|vers|des|pour|@|at|around|about|by)";
  const all = regex`(?:,? ?\\b${announced} |,? ?(?:et |and |, ?)(?:${announced} )?)?${clock}`;
  for (let hit = phrase.take(all); hit; hit = phrase.take(all)) {
    const time = toTime(hit[1] ?? "");
    if (time) found.times.push(time);
  }
  const bare = [
    ...phrase.takeAll(regex`,? ?\\b(?:at|around) ${bareHour}(?:(?: and | & )${bareHour})?`),
    ...phrase.takeAll(regex`,? ?\\b(?:a|vers) ${bareDigits}(?:(?: et | & )${bareDigits})?`),
  ];
  for (const hit of bare) {
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

export const readOnce: Reader = (phrase, found, today) => {
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
  const next = phrase.take(regex`,? ?\\b(?:next|this|coming) (${weekday})\\b`);
  if (next?.[1] !== undefined) {
    delete found.bareWeekdays;
    found.day = onOrAfter(start + 1, weekdayNames[next[1]] ?? 0);
  }
  const ahead = phrase.take(
    regex`,? ?\\b(?:dans|d'ici|in) (?:une? (?:petite )?)?(${amount}|demi-heure|half an hour|quart d'heure) ?(minutes?|min|mn|heures?|hours?|hrs?|h|jours?|days?|semaines?|weeks?)?(?: et demie)?\\b`,
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

/** "next Monday" and "lundi prochain" are one day, whatever else is said; so they are read before any list of weekdays. */
export function readOnceNext(phrase: Phrase, found: Found, today: Wall): void {
  const hit =
    phrase.take(regex`,? ?\\b(?:on )?next (${weekday})\\b`) ??
    phrase.take(regex`,? ?\\b(?:le )?(${weekday}) (?:prochain|qui vient)\\b`);
  if (hit?.[1] !== undefined) found.day = onOrAfter(dayNumber(today) + 1, weekdayNames[hit[1]] ?? 0);
}
