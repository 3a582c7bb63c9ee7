import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePhrase, type Context } from "../../../ml/phrase/parse.ts";
import { matchTarget, parseRequest, shiftRule } from "../../../ml/phrase/request.ts";

const context: Context = { now: Date.parse("2026-11-21T09:00:00Z"), zone: "Europe/Paris" };

for (const [phrase, expected] of [
  ["quelles sont mes tâches récurrentes ?", { type: "list" }],
  ["list my schedules", { type: "list" }],
  ["mes rappels", { type: "list" }],
  ["désactive la recherche Indeed", { type: "pause", target: "recherche indeed" }],
  ["désactive la tâche de recherche Indeed", { type: "pause", target: "recherche indeed" }],
  ["mets en pause le rapport jusqu'à lundi", { type: "pause", target: "rapport", untilPhrase: "jusqu'a lundi" }],
  ["pause the backup until Monday", { type: "pause", target: "backup", untilPhrase: "until monday" }],
  ["réactive la recherche Indeed", { type: "resume", target: "recherche indeed" }],
  ["enable the morning brief", { type: "resume", target: "morning brief" }],
  ["supprime la recherche Indeed", { type: "delete", target: "recherche indeed" }],
  ["delete the schedule called morning brief", { type: "delete", target: "morning brief" }],
  ["lance la recherche Indeed maintenant", { type: "run", target: "recherche indeed" }],
  ["run the backup now", { type: "run", target: "backup" }],
  ["décale la recherche Indeed d'une heure", { type: "shift", target: "recherche indeed", byMs: 3_600_000 }],
  ["avance le rapport de 30 minutes", { type: "shift", target: "rapport", byMs: -1_800_000 }],
  ["move the backup by 2 hours earlier", { type: "shift", target: "backup", byMs: -7_200_000 }],
  [
    "change la recherche Indeed à tous les mercredis",
    { type: "change", target: "recherche indeed", change: "tous les mercredis" },
  ],
  ["change-la à tous les mercredis", { type: "change", target: "", change: "tous les mercredis" }],
  ["passe le rapport à 9h au lieu de 8h", { type: "change", target: "rapport", change: "à 9h" }],
  ["move the backup to every Friday at 6pm", { type: "change", target: "backup", change: "every friday at 6pm" }],
] as const) {
  test(`"${phrase}" wants ${expected.type}`, () => assert.deepEqual(parseRequest(phrase, context), expected));
}

for (const phrase of [
  "tous les lundis à 8h cherche des offres",
  "supprime les vieux fichiers tous les dimanches à 3h",
  "run the report every Monday at 9am",
  "lance une sauvegarde chaque nuit",
  "stop the machine every evening at 8pm",
]) {
  test(`"${phrase}" is work to be scheduled, not about a schedule`, () => {
    const request = parseRequest(phrase, context);
    assert.ok(request.type === "create" && request.understood.type === "rule", JSON.stringify(request));
  });
}

const names = ["Recherche Indeed", "Rapport du lundi", "Rapport mensuel", "Sauvegarde"];
const nameOf = (name: string): string => name;
test("a target is found by its name, by some of its words, and asked about when several fit", () => {
  assert.deepEqual(matchTarget("recherche indeed", names, nameOf), { type: "one", item: "Recherche Indeed" });
  assert.deepEqual(matchTarget("indeed", names, nameOf), { type: "one", item: "Recherche Indeed" });
  assert.deepEqual(matchTarget("rapport", names, nameOf), { type: "many", items: ["Rapport du lundi", "Rapport mensuel"] });
  assert.deepEqual(matchTarget("rapport mensuel", names, nameOf), { type: "one", item: "Rapport mensuel" });
  assert.deepEqual(matchTarget("facture", names, nameOf), { type: "none" });
  assert.deepEqual(matchTarget("", ["Recherche Indeed"], nameOf), { type: "one", item: "Recherche Indeed" });
});

test("a rule is moved within its day, and not over midnight", () => {
  const understood = parsePhrase("tous les lundis à 8h", context);
  assert.ok(understood.type === "rule" && understood.rule.type === "calendar");
  const moved = shiftRule(understood.rule, 3_600_000);
  assert.deepEqual(moved?.type === "calendar" && moved.times, ["09:00"]);
  assert.equal(shiftRule(understood.rule, -9 * 3_600_000), undefined);
});
