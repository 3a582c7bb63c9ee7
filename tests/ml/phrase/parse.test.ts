import assert from "node:assert/strict";
import { test } from "node:test";
import { recurrenceLabel } from "../../../convex/model/recurrenceLabel.ts";
import { parsePhrase, type Context, type Understood } from "../../../ml/phrase/parse.ts";
import { nextInstants } from "../../../ml/time/next.ts";

/** A Saturday, ten o'clock in Paris. */
const now = Date.parse("2026-11-21T09:00:00Z");
const context: Context = { now, zone: "Europe/Paris" };

type Rule = Extract<Understood, { type: "rule" }>;
function understood(phrase: string, more: Partial<Context> = {}): Rule {
  const result = parsePhrase(phrase, { ...context, ...more });
  assert.ok(result.type === "rule", `${phrase}: ${JSON.stringify(result)}`);
  return result;
}
const next = ({ rule }: Rule, limit: number): string[] =>
  nextInstants(rule, now, limit).map((at) => `${new Date(at).toISOString().slice(0, 16)}Z`);

/** Phrase, what it is called in its own language, and when it happens first. */
const table: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "tous les lundis, cherche des offres data engineer sur Indeed",
    "Chaque lundi à 8 h",
    ["2026-11-23T07:00Z", "2026-11-30T07:00Z"],
  ],
  ["tous les lundis à 8h", "Chaque lundi à 8 h", ["2026-11-23T07:00Z", "2026-11-30T07:00Z"]],
  ["every Monday at 8am", "Every Monday at 8 AM", ["2026-11-23T07:00Z", "2026-11-30T07:00Z"]],
  ["tous les matins", "Chaque jour à 8 h", ["2026-11-22T07:00Z", "2026-11-23T07:00Z"]],
  ["every morning send me a brief of my mails", "Every day at 8 AM", ["2026-11-22T07:00Z", "2026-11-23T07:00Z"]],
  ["chaque jour à 7h30", "Chaque jour à 7 h 30", ["2026-11-22T06:30Z", "2026-11-23T06:30Z"]],
  ["daily at 7:30", "Every day at 7:30 AM", ["2026-11-22T06:30Z", "2026-11-23T06:30Z"]],
  ["tous les soirs à 20h", "Chaque jour à 20 h", ["2026-11-21T19:00Z", "2026-11-22T19:00Z"]],
  ["tous les soirs à 8h", "Chaque jour à 20 h", ["2026-11-21T19:00Z", "2026-11-22T19:00Z"]],
  ["every evening", "Every day at 6 PM", ["2026-11-21T17:00Z", "2026-11-22T17:00Z"]],
  ["tous les jours à midi", "Chaque jour à midi", ["2026-11-21T11:00Z", "2026-11-22T11:00Z"]],
  ["every night at midnight", "Every day at midnight", ["2026-11-21T23:00Z", "2026-11-22T23:00Z"]],
  ["du lundi au vendredi à 9h", "Du lundi au vendredi à 9 h", ["2026-11-23T08:00Z", "2026-11-24T08:00Z"]],
  ["en semaine à 8h15", "Du lundi au vendredi à 8 h 15", ["2026-11-23T07:15Z", "2026-11-24T07:15Z"]],
  ["every weekday at 6pm", "Monday to Friday at 6 PM", ["2026-11-23T17:00Z", "2026-11-24T17:00Z"]],
  ["le week-end à 10h", "Chaque samedi et dimanche à 10 h", ["2026-11-22T09:00Z", "2026-11-28T09:00Z"]],
  ["on weekends at 10am", "Every Saturday and Sunday at 10 AM", ["2026-11-22T09:00Z", "2026-11-28T09:00Z"]],
  [
    "every weekday except Wednesday at 7am",
    "Every Monday, Tuesday, Thursday and Friday at 7 AM",
    ["2026-11-23T06:00Z", "2026-11-24T06:00Z"],
  ],
  ["chaque jour ouvré à 9h", "Chaque jour ouvré à 9 h", ["2026-11-23T08:00Z", "2026-11-24T08:00Z"]],
  ["chaque jour ouvrable à 9h", "Chaque jour ouvrable à 9 h", ["2026-11-23T08:00Z", "2026-11-24T08:00Z"]],
  ["chaque mardi et jeudi à 14h", "Chaque mardi et jeudi à 14 h", ["2026-11-24T13:00Z", "2026-11-26T13:00Z"]],
  [
    "Mondays, Wednesdays and Fridays at 5:45 pm",
    "Every Monday, Wednesday and Friday at 5:45 PM",
    ["2026-11-23T16:45Z", "2026-11-25T16:45Z"],
  ],
  ["du lundi au jeudi à 17h", "Du lundi au jeudi à 17 h", ["2026-11-23T16:00Z", "2026-11-24T16:00Z"]],
  ["tous les jours sauf le dimanche à 9h", "Du lundi au samedi à 9 h", ["2026-11-23T08:00Z", "2026-11-24T08:00Z"]],
  ["deux fois par jour", "Chaque jour à 8 h et 18 h", ["2026-11-21T17:00Z", "2026-11-22T07:00Z"]],
  ["matin et soir", "Chaque jour à 8 h et 18 h", ["2026-11-21T17:00Z", "2026-11-22T07:00Z"]],
  ["every day at 9am and 4:30pm", "Every day at 9 AM and 4:30 PM", ["2026-11-21T15:30Z", "2026-11-22T08:00Z"]],
  ["toutes les 15 minutes", "Toutes les 15 minutes", ["2026-11-21T09:15Z", "2026-11-21T09:30Z"]],
  ["every 2 minutes check that pod X has finished", "Every 2 minutes", ["2026-11-21T09:02Z", "2026-11-21T09:04Z"]],
  ["toutes les 7 minutes", "Toutes les 7 minutes", ["2026-11-21T09:07Z", "2026-11-21T09:14Z"]],
  ["every 90 minutes", "Every 90 minutes", ["2026-11-21T10:30Z", "2026-11-21T12:00Z"]],
  ["toutes les heures", "Toutes les heures", ["2026-11-21T10:00Z", "2026-11-21T11:00Z"]],
  ["toutes les demi-heures", "Toutes les 30 minutes", ["2026-11-21T09:30Z", "2026-11-21T10:00Z"]],
  ["every half hour", "Every 30 minutes", ["2026-11-21T09:30Z", "2026-11-21T10:00Z"]],
  ["toutes les 2 heures", "Toutes les 2 heures", ["2026-11-21T11:00Z", "2026-11-21T13:00Z"]],
  ["every 5 hours", "Every 5 hours", ["2026-11-21T14:00Z", "2026-11-21T19:00Z"]],
  [
    "toutes les heures de 9h à 18h en semaine",
    "Toutes les heures de 9 h à 18 h, du lundi au vendredi",
    ["2026-11-23T08:00Z", "2026-11-23T09:00Z"],
  ],
  ["every 30 minutes between 8am and 8pm", "Every 30 minutes from 8 AM to 8 PM", ["2026-11-21T09:30Z", "2026-11-21T10:00Z"]],
  ["le 1er de chaque mois à 9h", "Le 1er de chaque mois à 9 h", ["2026-12-01T08:00Z", "2027-01-01T08:00Z"]],
  ["on the 15th of each month at 10am", "On the 15th of every month at 10 AM", ["2026-12-15T09:00Z", "2027-01-15T09:00Z"]],
  ["le 1er et le 15 du mois à 8h", "Le 1er et le 15 de chaque mois à 8 h", ["2026-12-01T07:00Z", "2026-12-15T07:00Z"]],
  ["tous les 31 du mois à 9h", "Le 31 de chaque mois à 9 h", ["2026-12-31T08:00Z", "2027-01-31T08:00Z"]],
  ["le dernier jour du mois à 18h", "Le dernier jour de chaque mois à 18 h", ["2026-11-30T17:00Z", "2026-12-31T17:00Z"]],
  ["at the end of every month", "On the last day of every month at 6 PM", ["2026-11-30T17:00Z", "2026-12-31T17:00Z"]],
  ["le premier lundi de chaque mois à 9h", "Le 1er lundi de chaque mois à 9 h", ["2026-12-07T08:00Z", "2027-01-04T08:00Z"]],
  [
    "on the last Friday of the month at 4pm",
    "On the last Friday of every month at 4 PM",
    ["2026-11-27T15:00Z", "2026-12-25T15:00Z"],
  ],
  ["le deuxième mardi du mois à 14h30", "Le 2e mardi de chaque mois à 14 h 30", ["2026-12-08T13:30Z", "2027-01-12T13:30Z"]],
  [
    "le dernier jour ouvré du mois à 17h",
    "Le dernier jour ouvré de chaque mois à 17 h",
    ["2026-11-30T16:00Z", "2026-12-31T16:00Z"],
  ],
  ["le premier jour ouvré du mois à 9h", "Le 1er jour ouvré de chaque mois à 9 h", ["2026-12-01T08:00Z", "2027-01-04T08:00Z"]],
  ["un lundi sur deux à 9h", "Un lundi sur deux à 9 h", ["2026-11-23T08:00Z", "2026-12-07T08:00Z"]],
  ["every other Friday at 3pm", "Every other Friday at 3 PM", ["2026-11-27T14:00Z", "2026-12-11T14:00Z"]],
  ["tous les quinze jours le vendredi à 10h", "Un vendredi sur deux à 10 h", ["2026-11-27T09:00Z", "2026-12-11T09:00Z"]],
  ["toutes les deux semaines le jeudi à 10h", "Un jeudi sur deux à 10 h", ["2026-11-26T09:00Z", "2026-12-10T09:00Z"]],
  ["tous les deux jours à 8h", "Un jour sur deux à 8 h", ["2026-11-22T07:00Z", "2026-11-24T07:00Z"]],
  ["every 3 weeks on Tuesday at 9", "Every 3 weeks on Tuesday at 9 AM", ["2026-11-24T08:00Z", "2026-12-15T08:00Z"]],
  ["chaque trimestre", "Le 1er de chaque trimestre à 8 h", ["2027-01-01T07:00Z", "2027-04-01T06:00Z"]],
  ["every 6 months on the 1st at 9am", "On January 1 and July 1 at 9 AM", ["2027-01-01T08:00Z", "2027-07-01T07:00Z"]],
  ["tous les ans le 14 juillet à midi", "Chaque année le 14 juillet à midi", ["2027-07-14T10:00Z", "2028-07-14T10:00Z"]],
  ["every year on December 31 at 11:59pm", "Every year on December 31 at 11:59 PM", ["2026-12-31T22:59Z", "2027-12-31T22:59Z"]],
  ["tous les lundis à 8h sauf en août", "Chaque lundi à 8 h, sauf en août", ["2026-11-23T07:00Z", "2026-11-30T07:00Z"]],
  [
    "tous les vendredis à 17h jusqu’au 18 décembre",
    "Chaque vendredi à 17 h, jusqu’au 18 décembre 2026",
    ["2026-11-27T16:00Z", "2026-12-04T16:00Z"],
  ],
  ["every Monday at 9am New York time", "Every Monday at 9 AM (New York time)", ["2026-11-23T14:00Z", "2026-11-30T14:00Z"]],
  ["tous les jours à 6h UTC", "Chaque jour à 6 h (UTC)", ["2026-11-22T06:00Z", "2026-11-23T06:00Z"]],
  ["tous les jours à 2h30", "Chaque jour à 2 h 30", ["2026-11-22T01:30Z", "2026-11-23T01:30Z"]],
  ["lundi à 8h", "Lundi 23 novembre 2026 à 8 h", ["2026-11-23T07:00Z"]],
  ["rappelle-moi demain à 14h", "Dimanche 22 novembre 2026 à 14 h", ["2026-11-22T13:00Z"]],
  ["in 20 minutes", "Saturday, November 21, 2026 at 10:20 AM", ["2026-11-21T09:20Z"]],
  ["remind me at 2pm in this session", "Saturday, November 21, 2026 at 2 PM", ["2026-11-21T13:00Z"]],
  ["rapport bimensuel", "Le 1er et le 15 de chaque mois à 8 h", ["2026-12-01T07:00Z", "2026-12-15T07:00Z"]],
];

for (const [phrase, label, expected] of table) {
  test(`"${phrase}" is "${label}"`, () => {
    const result = understood(phrase);
    assert.equal(result.label, label);
    assert.deepEqual(next(result, 2), expected);
    for (const language of ["fr", "en"] as const) {
      const said = recurrenceLabel(result.rule, { language, zone: context.zone });
      assert.deepEqual(understood(said).rule, result.rule, `${said} means something else`);
    }
  });
}

for (const phrase of [
  "j'ai cours tous les lundis",
  "pourquoi tu m'écris tous les matins ?",
  "the cron ran every 5 minutes yesterday",
  "résume le document « tous les lundis »",
  "annule",
  "",
  "merci beaucoup",
]) {
  test(`"${phrase}" asks for nothing`, () => assert.equal(parsePhrase(phrase, context).type, "none"));
}

for (const [phrase, question] of [
  ["biweekly report", "Twice a week, or every two weeks?"],
  ["bimonthly report", "Twice a month, or every two months?"],
  ["de temps en temps", "À quelle fréquence exactement ?"],
  ["every day at 3", "3 in the morning or in the afternoon?"],
  ["every 20 seconds", "Once a minute is the most often; how often is meant?"],
  ["le 31 février à 8h", "Cela n’arrive jamais ; quel jour est voulu ?"],
  ["cron 0 9 31 2 *", "Cela n’arrive jamais ; quel jour est voulu ?"],
  ["tous les jours à 8h, heure de Brigadoon", "Quel fuseau est « brigadoon » ? Nommez-le comme Europe/Paris."],
] as const) {
  test(`"${phrase}" is asked about`, () => {
    const result = parsePhrase(phrase, context);
    assert.ok(result.type === "ask", JSON.stringify(result));
    assert.equal(result.question, question);
  });
}

const monday8 = understood("tous les lundis à 8h").rule;
for (const [change, label] of [
  ["à tous les mercredis", "Chaque mercredi à 8 h"],
  ["à 9h", "Chaque lundi à 9 h"],
  ["tous les jours", "Chaque jour à 8 h"],
  ["sauf en août", "Chaque lundi à 8 h, sauf en août"],
  ["jusqu'au 18 décembre", "Chaque lundi à 8 h, jusqu’au 18 décembre 2026"],
] as const) {
  test(`changing Mondays at 8 "${change}" keeps the rest: ${label}`, () =>
    assert.equal(understood(change, { existing: monday8 }).label, label));
}

for (const [phrase, task] of [
  ["tous les lundis à 8h cherche des offres data engineer", "cherche des offres data engineer"],
  ["peux-tu me résumer mes mails chaque matin à 7h ?", "me résumer mes mails ?"],
  ["rappelle-moi demain à 14h d'appeler Paul", "appeler Paul"],
  ["every weekday at 6pm, send the report to Anna", "send the report to Anna"],
  ["remind me to call the bank tomorrow at 9am", "call the bank"],
] as const) {
  test(`the task of "${phrase}" is "${task}"`, () => assert.equal(understood(phrase).task, task));
}

test("a zone of the owner's own is not named, another's is", () => {
  assert.equal(understood("tous les lundis à 9h heure de Paris").label, "Chaque lundi à 9 h");
  assert.equal(understood("tous les lundis à 9h heure de Londres").label, "Chaque lundi à 9 h (heure de London)");
});

test("what a session asks for is its own, and knows when to stop", () => {
  const result = understood("every 5 minutes in this session until the build passes");
  assert.equal(result.isSession, true);
  assert.equal(result.stopWhen, "build passes");
});
