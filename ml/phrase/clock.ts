/** Times of the day as people write them: "8 h 30", "midi", "half past eight", "7:30 pm". */
import { amount, toAmount } from "./words.ts";

export type ClockTime = {
  readonly hour: number;
  readonly minute: number;
  /** Nothing says whether it is before or after noon: "at 3". */
  readonly isBare: boolean;
};

const ampm = "(?:a\\.?m\\b\\.?|p\\.?m\\b\\.?)";
const ofDay = "(?: (?:du matin|du soir|de l'apres-midi|de la nuit|in the morning|in the evening|in the afternoon|at night))?";
const hourWord =
  "(?:un|une|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|vingt|one|two|three|four|five|seven|eight|nine|ten|eleven|twelve)";
const frenchMinutes =
  "(?: ?[0-5]\\d\\b| et demie?| et quart| moins le quart| trente| quinze| quarante-cinq| moins (?:dix|cinq|vingt))?";

/** One time, in a capturing group. The bare number comes last and counts only after a word that announces a time. */
export const clock = `(${[
  "midi et demi|minuit et demi|midi|minuit|noon|midnight",
  `(?:half past|quarter past|quarter to) (?:\\d{1,2}|${hourWord})(?: ?${ampm})?`,
  `\\d{1,2} ?h(?:eures?\\b)?${frenchMinutes}${ofDay}`,
  `${hourWord} heures?${frenchMinutes}${ofDay}`,
  `\\d{1,2}:[0-5]\\d(?: ?${ampm})?${ofDay}`,
  `(?:\\d{1,2}|${hourWord}) ?${ampm}`,
  `(?:\\d{1,2}|${hourWord}) o'clock${ofDay}`,
].join("|")})(?![\\w:])`;
const bare = (words: string): string =>
  `(\\d{1,2}|[01]\\d[0-5]\\d|2[0-3][0-5]\\d|${words})${ofDay}(?![\\w:.%€$]| ?(?:${amount} )?(?:fois|times|minutes?|jours?|days?|weeks?|semaines?))`;
export const bareHour = bare(hourWord);
/** After a French "à", which folds to the English article: "a ten page letter" names no hour. */
export const bareDigits = bare("[01]?\\d|2[0-4]");

/** Undefined when the clock has no such time. */
export function toTime(text: string): ClockTime | undefined {
  const found = read(text.trim());
  if (!found || found.hour > 24 || found.minute > 59) return undefined;
  // "24 h" is how French timetables write midnight.
  if (found.hour === 24) return found.minute === 0 ? { hour: 0, minute: 0, isBare: false } : undefined;
  return found;
}

function read(text: string): ClockTime | undefined {
  const fixed: Record<string, readonly [number, number]> = {
    midi: [12, 0],
    noon: [12, 0],
    minuit: [0, 0],
    midnight: [0, 0],
    "midi et demi": [12, 30],
    "minuit et demi": [0, 30],
  };
  const known = fixed[text];
  if (known) return { hour: known[0], minute: known[1], isBare: false };
  // No word boundary before "pm": it follows its digit without a space.
  const isLate =
    /p\.?m\b|du soir|de l'apres-midi|in the evening|in the afternoon/u.test(text) ||
    (text.includes("at night") && !text.includes("12"));
  const isEarly = /a\.?m\b|du matin|in the morning|de la nuit/u.test(text);
  const to24 = (hour: number): number => {
    if (isLate) return hour < 12 ? hour + 12 : hour;
    return isEarly && hour === 12 ? 0 : hour;
  };
  const isSaid = isLate || isEarly;

  const [, relation, spoken] = /^(half past|quarter past|quarter to) (\S+)/u.exec(text) ?? [];
  if (relation !== undefined && spoken !== undefined) {
    const hour = to24(toAmount(spoken.replace(/[ap]\.?m\.?$/u, "")));
    if (relation === "quarter to") return { hour: (hour + 23) % 24, minute: 45, isBare: !isSaid };
    return { hour, minute: relation === "half past" ? 30 : 15, isBare: !isSaid };
  }
  const [, digits, minutes] = /^(\d{1,2}):([0-5]\d)/u.exec(text) ?? [];
  if (digits !== undefined) return { hour: to24(Number(digits)), minute: Number(minutes), isBare: false };
  const [, military] = /^(\d{4})$/u.exec(text) ?? [];
  if (military !== undefined) return { hour: Number(military.slice(0, 2)), minute: Number(military.slice(2)), isBare: false };
  const [, hourText, rest = ""] = /^(\d{1,2}|[a-z-]+?) ?h(?:eures?\b)?(.*)$/u.exec(text) ?? [];
  if (hourText !== undefined && !Number.isNaN(toAmount(hourText))) {
    const hour = to24(toAmount(hourText));
    const back = { "moins le quart": 45, "moins dix": 50, "moins cinq": 55, "moins vingt": 40 };
    for (const [words, minute] of Object.entries(back))
      if (rest.includes(words)) return { hour: (hour + 23) % 24, minute, isBare: false };
    return { hour, minute: minutesOf(rest), isBare: false };
  }
  const [, number] = /^(\d{1,2}|[a-z]+)/u.exec(text) ?? [];
  const hour = number === undefined ? Number.NaN : toAmount(number);
  return Number.isNaN(hour) ? undefined : { hour: to24(hour), minute: 0, isBare: !isSaid };
}

function minutesOf(rest: string): number {
  if (/et demie?/u.test(rest) || /trente/u.test(rest)) return 30;
  if (/quarante-cinq/u.test(rest)) return 45;
  if (/et quart|quinze/u.test(rest)) return 15;
  return Number(/[0-5]\d/u.exec(rest)?.[0] ?? 0);
}

export const toText = ({ hour, minute }: { hour: number; minute: number }): string =>
  `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
