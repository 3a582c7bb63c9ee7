import assert from "node:assert/strict";
import { test } from "node:test";
import { recurrenceLabel } from "../../../convex/model/recurrenceLabel.ts";
import { parsePhrase } from "../../../ml/phrase/parse.ts";
import { nextInstants } from "../../../ml/time/next.ts";

// Thousands of phrases, each made together with what it means; when it happens is then worked out by walking the days with Intl
// alone, so that nothing tested here is also the judge.

const count = 5_000;
const zone = "Europe/Paris";
const now = Date.parse("2026-11-21T09:00:30Z");

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

type Language = "fr" | "en";
type Day = {
  readonly month: number;
  readonly date: number;
  readonly weekday: number;
  readonly last: number;
  readonly week: number;
  readonly number: number;
};
type Days = { readonly text: string; readonly isOn: (day: Day, first: Day | undefined) => boolean; readonly isThin?: boolean };

const weekdays = {
  fr: ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
  en: ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
};
const months = {
  fr: ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
  en: ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
};

function makeDays(language: Language, pick: <T>(items: readonly T[]) => T, below: (n: number) => number): Days {
  const isFrench = language === "fr";
  const name = (weekday: number): string => weekdays[language][weekday] ?? "";
  const a = below(7);
  const b = (a + 1 + below(6)) % 7;
  const date = 1 + below(28);
  const month = 1 + below(12);
  const th = (n: number): string =>
    `${n}${n % 10 === 1 && n !== 11 ? "st" : n % 10 === 2 && n !== 12 ? "nd" : n % 10 === 3 && n !== 13 ? "rd" : "th"}`;
  const nth = 1 + below(4);
  const make: (() => Days)[] = [
    () => ({
      text: pick(isFrench ? ["tous les jours", "chaque jour", "quotidiennement"] : ["every day", "each day", "daily"]),
      isOn: () => true,
    }),
    () => ({
      text: pick(
        isFrench
          ? [`tous les ${name(a)}s`, `chaque ${name(a)}`]
          : [`every ${name(a)}`, `each ${name(a)}`, `on ${name(a)}s`, `${name(a)}s`],
      ),
      isOn: ({ weekday }) => weekday === a,
    }),
    () => ({
      text: pick(
        isFrench
          ? [`tous les ${name(a)}s et ${name(b)}s`, `chaque ${name(a)} et ${name(b)}`, `les ${name(a)}s et ${name(b)}s`]
          : [`every ${name(a)} and ${name(b)}`, `${name(a)}s and ${name(b)}s`, `on ${name(a)}s and ${name(b)}s`],
      ),
      isOn: ({ weekday }) => weekday === a || weekday === b,
    }),
    () => ({
      text: pick(
        isFrench
          ? ["du lundi au vendredi", "en semaine"]
          : ["Monday to Friday", "every weekday", "on weekdays", "from Monday to Friday"],
      ),
      isOn: ({ weekday }) => weekday > 0 && weekday < 6,
    }),
    () => ({
      text: pick(isFrench ? ["le week-end", "tous les week-ends", "chaque week-end"] : ["on weekends", "every weekend"]),
      isOn: ({ weekday }) => weekday === 0 || weekday === 6,
    }),
    () => ({
      text: isFrench ? `tous les jours sauf le ${name(a)}` : `every day except ${name(a)}`,
      isOn: ({ weekday }) => weekday !== a,
    }),
    () => ({
      text: pick(
        isFrench
          ? [
              `le ${date === 1 ? "1er" : date} de chaque mois`,
              `le ${date === 1 ? "1er" : date} du mois`,
              `tous les ${date} du mois`,
            ]
          : [`on the ${th(date)} of every month`, `on the ${th(date)} of each month`, `the ${th(date)} of the month`],
      ),
      isOn: (day) => day.date === date,
    }),
    () => ({
      text: pick(
        isFrench
          ? ["le dernier jour du mois", "le dernier jour de chaque mois"]
          : ["on the last day of the month", "on the last day of every month"],
      ),
      isOn: (day) => day.date === day.last,
    }),
    () => ({
      text: isFrench
        ? `le ${["premier", "deuxième", "troisième", "quatrième"][nth - 1]} ${name(a)} ${pick(["du mois", "de chaque mois"])}`
        : `on the ${["first", "second", "third", "fourth"][nth - 1]} ${name(a)} of ${pick(["the", "every", "each"])} month`,
      isOn: (day) => day.weekday === a && Math.ceil(day.date / 7) === nth,
    }),
    () => ({
      text: isFrench ? `le dernier ${name(a)} ${pick(["du mois", "de chaque mois"])}` : `on the last ${name(a)} of the month`,
      isOn: (day) => day.weekday === a && day.date > day.last - 7,
    }),
    () => ({
      text: isFrench
        ? `${pick(["tous les ans", "chaque année"])} le ${date === 1 ? "1er" : date} ${months.fr[month - 1]}`
        : `every year on ${months.en[month - 1]} ${date}`,
      isOn: (day) => day.month === month && day.date === date,
    }),
    () => ({
      text: isFrench
        ? pick([`un ${name(a)} sur deux`, `toutes les deux semaines le ${name(a)}`, `tous les quinze jours le ${name(a)}`])
        : pick([`every other ${name(a)}`, `every 2 weeks on ${name(a)}`, `every second ${name(a)}`]),
      isOn: (day, first) => day.weekday === a && (first === undefined || (day.week - first.week) % 2 === 0),
      isThin: true,
    }),
    () => ({
      text: isFrench ? pick(["un jour sur deux", "tous les deux jours"]) : pick(["every other day", "every 2 days"]),
      isOn: (day, first) => first === undefined || (day.number - first.number) % 2 === 0,
      isThin: true,
    }),
    () => ({
      text: isFrench
        ? `${pick(["tous les", "chaque"])} ${name(a)}`.replace(/tous les (\S+)/u, "tous les $1s") +
          ` sauf en ${months.fr[month - 1]}`
        : `every ${name(a)} except in ${months.en[month - 1]}`,
      isOn: (day) => day.weekday === a && day.month !== month,
    }),
  ];
  return pick(make)();
}

function makeTime(
  language: Language,
  pick: <T>(items: readonly T[]) => T,
  below: (n: number) => number,
): { text: string; minute: number } {
  const hour = pick([0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]);
  const minute = pick([0, 0, 15, 30, 45, 5 + below(50)]);
  const mm = String(minute).padStart(2, "0");
  const at = hour * 60 + minute;
  if (language === "fr") {
    const forms =
      minute === 0
        ? [`à ${hour}h`, `à ${hour} h`, `à ${hour}h00`, `à ${hour} heures`]
        : [`à ${hour}h${mm}`, `à ${hour} h ${mm}`, `à ${hour}:${mm}`];
    if (minute === 30 && hour > 0) forms.push(`à ${hour} heures et demie`);
    if (at === 720) forms.push("à midi");
    if (at === 0) forms.push("à minuit");
    return { text: pick(forms), minute: at };
  }
  const twelve = hour % 12 === 0 ? 12 : hour % 12;
  const half = hour < 12 ? "am" : "pm";
  const forms = [
    `at ${twelve}${minute === 0 ? "" : `:${mm}`}${half}`,
    `at ${twelve}:${mm} ${half.toUpperCase()}`,
    `at ${String(hour).padStart(2, "0")}:${mm}`,
  ];
  if (at === 720) forms.push("at noon");
  if (at === 0) forms.push("at midnight");
  return { text: pick(forms), minute: at };
}

const wallFormat = new Intl.DateTimeFormat("en-CA", {
  timeZone: zone,
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
});

/** Paris is one or two hours ahead; whichever shows the wanted wall clock is right. No time tested lies in a gap. */
function instant(date: Date, minute: number): number {
  const utc = date.getTime() + minute * 60_000;
  const wanted = new Date(utc).toISOString().slice(0, 16).replace("T", ", ");
  for (const hours of [2, 1]) if (wallFormat.format(utc - hours * 3_600_000) === wanted) return utc - hours * 3_600_000;
  throw new Error(`no such time: ${wanted}`);
}

function expected(days: Days, minutes: readonly number[], limit: number): number[] {
  const found: number[] = [];
  let first: Day | undefined;
  for (let i = 0; i < 366 * 5 && found.length < limit; i++) {
    const date = new Date(Date.UTC(2026, 10, 21 + i));
    const number = date.getTime() / 86_400_000;
    const day: Day = {
      month: date.getUTCMonth() + 1,
      date: date.getUTCDate(),
      weekday: date.getUTCDay(),
      last: new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
      week: Math.floor((number + 3) / 7),
      number,
    };
    if (!days.isOn(day, first)) continue;
    const ahead = minutes.map((minute) => instant(date, minute)).filter((at) => at > now);
    if (ahead.length > 0) first ??= day;
    found.push(...ahead);
  }
  return found.slice(0, limit);
}

const tasks = {
  fr: [
    "",
    "",
    "envoie le rapport à Anna",
    "cherche des offres data engineer sur Indeed",
    "fais une sauvegarde",
    "vérifie que le site répond",
  ],
  en: ["", "", "send the report to Anna", "look for data engineer jobs", "back up the photos", "check that the site is up"],
};

test(`${count} made phrases mean what they were made to mean, and their labels mean the same`, () => {
  const next = random(20261121);
  const below = (n: number): number => Math.floor(next() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const wrong: string[] = [];
  for (let i = 0; i < count; i++) {
    const language = pick(["fr", "en"] as const);
    const days = makeDays(language, pick, below);
    const times = [makeTime(language, pick, below)];
    if (below(4) === 0) times.push(makeTime(language, pick, below));
    const and = language === "fr" ? " et " : " and ";
    const when = times.map(({ text }, at) => (at > 0 && below(2) === 0 ? text.replace(/^(?:à|at) /u, "") : text)).join(and);
    const task = pick(tasks[language]);
    const phrase = pick([
      `${days.text} ${when} ${task}`,
      `${days.text} ${when}, ${task}`,
      `${task} ${days.text} ${when}`,
      `${when} ${days.text}, ${task}`,
      `${days.text}, ${when}, ${task}`,
    ])
      .replaceAll(/ ,|,\s*$/gu, "")
      .replaceAll(/\s+/gu, " ")
      .trim();
    const minutes = [...new Set(times.map(({ minute }) => minute))].toSorted((a, b) => a - b);
    const result = parsePhrase(phrase, { now, zone });
    const iso = (all: readonly number[]): string => all.map((at) => new Date(at).toISOString()).join(" ");
    if (result.type !== "rule") {
      wrong.push(`${phrase}: ${result.type}`);
      continue;
    }
    const found = nextInstants(result.rule, now, 3);
    const wanted = expected(days, minutes, 3);
    if (iso(found) !== iso(wanted)) wrong.push(`${phrase}: ${result.label}: ${iso(found)} instead of ${iso(wanted)}`);
    if (task !== "" && result.task !== task) wrong.push(`${phrase}: the task is "${result.task}"`);
    for (const other of ["fr", "en"] as const) {
      const label = recurrenceLabel(result.rule, { language: other, zone });
      const again = parsePhrase(label, { now, zone });
      const isSame = again.type === "rule" && JSON.stringify(again.rule) === JSON.stringify(result.rule);
      if (!isSame)
        wrong.push(
          `${phrase}: ${label} means ${JSON.stringify(again.type === "rule" ? again.rule : again)} instead of ${JSON.stringify(result.rule)}`,
        );
    }
  }
  assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} wrong`);
});
