import assert from "node:assert/strict";
import { test } from "node:test";
import { understand } from "../../../ml/retrieve/understand.ts";

/** Wednesday, 18 June 2025. */
const now = Date.UTC(2025, 5, 18, 10);
const day = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 10);
const period = (question: string): string => {
  const { from, to } = understand(question, now).filter;
  return `${day(from) ?? ""}..${day(to) ?? ""}`;
};

test("a period is understood as people write it, in English and French", () => {
  for (const [question, expected] of [
    ["factures de mars", "2025-03-01..2025-04-01"],
    ["expenses of November", "2024-11-01..2024-12-01"],
    ["dépenses d'avril 2023", "2023-04-01..2023-05-01"],
    ["contrats signés en 2024", "2024-01-01..2025-01-01"],
    ["who called on 2024-03-15?", "2024-03-15..2024-03-16"],
    ["réunion du 12/02/2025", "2025-02-12..2025-02-13"],
    ["le compte rendu du 1er février 2025", "2025-02-01..2025-02-02"],
    ["letter of March 5, 2024", "2024-03-05..2024-03-06"],
    ["last week's mails", "2025-06-09..2025-06-16"],
    ["factures du mois dernier", "2025-05-01..2025-06-01"],
    ["l'année dernière", "2024-01-01..2025-01-01"],
    ["mails of yesterday", "2025-06-17..2025-06-18"],
    ["invoices between March and May 2023", "2023-03-01..2023-06-01"],
    ["devis avant 2023", "..2023-01-01"],
    ["reports since January 2024", "2024-01-01.."],
    ["3rd quarter 2024 turnover", "2024-07-01..2024-10-01"],
    ["les 3 derniers mois", "2025-03-21..2025-06-19"],
  ] as const)
    assert.equal(period(question), expected, question);
});

test("what only looks like a date is left alone", () => {
  for (const question of [
    "what may I do about the march of time",
    "who pays in the end",
    "article 2024-118",
    "how many days off",
    "room 2031 key",
    "31/02/2024",
  ])
    assert.equal(period(question), "..", question);
});

test("types, languages, phrases and codes are understood, and the rest of the question is what is left", () => {
  const of = (question: string) => understand(question, now);
  assert.deepEqual(of("contrats signés en 2024").filter.types, ["contract"]);
  assert.deepEqual(of("the mode d'emploi of the pump").filter.types, ["manual"]);
  assert.deepEqual(of("compte rendu du conseil").filter.types, ["minutes"]);
  assert.deepEqual(of("emails in French").filter.languages, ["fr"]);
  assert.deepEqual(of("où est « net à payer » et “due date”").phrases, ["net à payer", "due date"]);
  assert.deepEqual(of("order NK-4471-B from ada@mill.org or FR7630006000011234567890189").codes.toSorted(), [
    "FR7630006000011234567890189",
    "NK-4471-B",
    "ada@mill.org",
  ]);
  assert.deepEqual(of("the 3rd meeting at 12h").codes, []);
  assert.equal(of("contrats signés en 2024").rest, "contrats signés");
  assert.equal(of("en 2024").rest, "en 2024");
});

test("a question for all of a type or time is told from one that asks something", () => {
  for (const question of ["factures de mars", "show me all contracts of 2024", "tous les devis", "last month's invoices"])
    assert.equal(understand(question, now).isListing, true, question);
  for (const question of ["when does the lease end?", "invoice of Lindqvist", "what was decided in 2024", "mills"])
    assert.equal(understand(question, now).isListing, false, question);
});

test("no text breaks it", () => {
  for (const question of ["", "?", '"', "«»", "\uD800", "İstanbul in 2024", "a".repeat(2_000), "2024 2024 2024", "de de de mars"])
    assert.equal(typeof understand(question, now).rest, "string");
});
