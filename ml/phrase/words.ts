/** The words of time in French and English, folded. */
import { regexAll } from "./text.ts";

// No short forms: "mon" is also French for "my", and "sat", "sun" and "wed" are words of their own.
export const weekdayNames: Record<string, number> = {
  dimanche: 0,
  lundi: 1,
  mardi: 2,
  mercredi: 3,
  jeudi: 4,
  vendredi: 5,
  samedi: 6,
  sunday: 0,
  monday: 1,
  tuesday: 2,
  wednesday: 3,
  thursday: 4,
  friday: 5,
  saturday: 6,
};

export const monthNames: Record<string, number> = {
  janvier: 1,
  fevrier: 2,
  mars: 3,
  avril: 4,
  mai: 5,
  juin: 6,
  juillet: 7,
  aout: 8,
  septembre: 9,
  octobre: 10,
  novembre: 11,
  decembre: 12,
  january: 1,
  february: 2,
  march: 3,
  april: 4,
  may: 5,
  june: 6,
  july: 7,
  august: 8,
  september: 9,
  october: 10,
  november: 11,
  december: 12,
  janv: 1,
  fevr: 2,
  avr: 4,
  juil: 7,
  sept: 9,
  oct: 10,
  nov: 11,
  dec: 12,
  jan: 1,
  feb: 2,
  apr: 4,
  jun: 6,
  jul: 7,
  aug: 8,
  sep: 9,
};

const units: Record<string, number> = {
  un: 1,
  une: 1,
  deux: 2,
  trois: 3,
  quatre: 4,
  cinq: 5,
  six: 6,
  sept: 7,
  huit: 8,
  neuf: 9,
  dix: 10,
  onze: 11,
  douze: 12,
  treize: 13,
  quatorze: 14,
  quinze: 15,
  seize: 16,
  "dix-sept": 17,
  "dix-huit": 18,
  "dix-neuf": 19,
  vingt: 20,
  trente: 30,
  quarante: 40,
  cinquante: 50,
  soixante: 60,
  "vingt et un": 21,
  "vingt-quatre": 24,
  "vingt-cinq": 25,
  "trente-cinq": 35,
  "quarante-cinq": 45,
  "quarante-huit": 48,
  "cinquante-cinq": 55,
  "quatre-vingt-dix": 90,
  "quatre-vingts": 80,
  a: 1,
  an: 1,
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  eleven: 11,
  twelve: 12,
  thirteen: 13,
  fourteen: 14,
  fifteen: 15,
  sixteen: 16,
  seventeen: 17,
  eighteen: 18,
  nineteen: 19,
  twenty: 20,
  thirty: 30,
  forty: 40,
  fifty: 50,
  sixty: 60,
  ninety: 90,
  "forty-five": 45,
  "twenty-four": 24,
  "forty-eight": 48,
  "twenty-five": 25,
  couple: 2,
};

const ordinals: Record<string, number> = {
  premier: 1,
  premiere: 1,
  deuxieme: 2,
  second: 2,
  seconde: 2,
  troisieme: 3,
  quatrieme: 4,
  cinquieme: 5,
  dernier: -1,
  derniere: -1,
  first: 1,
  third: 3,
  fourth: 4,
  fifth: 5,
  last: -1,
};

const alternatives = (names: Iterable<string>): string => [...names].toSorted((a, b) => b.length - a.length).join("|");

export const weekday = `(?:${alternatives(Object.keys(weekdayNames))})`;
export const month = `(?:${alternatives(Object.keys(monthNames))})`;
export const amount = `(?:\\d{1,4}|${alternatives(Object.keys(units))})`;
export const ordinal = `(?:${alternatives(Object.keys(ordinals))}|\\d{1,2} ?(?:er|ere|e|eme|nd|nde|st|rd|th))`;

/** "15", "quinze", "fifteen". */
export function toAmount(text: string): number {
  return units[text] ?? Number(text);
}

/** "premier", "2e", "third", "dernier" (-1). */
export function toOrdinal(text: string): number {
  return ordinals[text] ?? Number.parseInt(text, 10);
}

/** All weekdays named in a list, in the order of the list. */
export function toWeekdays(list: string): number[] {
  return [...list.matchAll(regexAll`\\b(${weekday})s?\\b`)].map(([, name = ""]) => weekdayNames[name] ?? 0);
}

export function toMonths(list: string): number[] {
  return [...list.matchAll(regexAll`\\b(${month})\\b`)].map(([, name = ""]) => monthNames[name] ?? 0);
}

const joined = (item: string): string =>
  `${item}(?:(?: ?, ?(?:et |and )?(?:le |les |on |en |in )?| et (?:le |les |en )?| and (?:on |in )?| & | ou )${item})*`;
export const weekdayList = joined(`${weekday}s?`);
export const monthList = joined(month);
