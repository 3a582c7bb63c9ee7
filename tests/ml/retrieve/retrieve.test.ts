import assert from "node:assert/strict";
import { test } from "node:test";
import { highlights } from "../../../ml/retrieve/highlight.ts";
import { detectDocumentLanguage, detectLanguage } from "../../../ml/retrieve/language.ts";
import { sentences } from "../../../ml/retrieve/sentences.ts";
import { documentTerms, queryTerms } from "../../../ml/retrieve/terms.ts";
import { hashOf, words } from "../../../ml/retrieve/words.ts";

const forms = (text: string): string[] => words(text).map((word) => word.form);
const marked = (text: string, question: string): string[] =>
  highlights(text, question).map(({ from, to }) => text.slice(from, to));

test("an identifier is found whole and by its parts", () => {
  assert.deepEqual(forms("DN50-B"), ["dn50-b", "dn50b", "dn50", "dn", "50", "b"]);
  assert.deepEqual(forms("readFileSync"), ["readfilesync", "read", "file", "sync"]);
  assert.ok(forms("write to ada@example.org").includes("ada@example.org"));
});

test("an amount is one number however it is written", () => {
  assert.ok(forms("1,250.50").includes("1250"));
  assert.ok(forms("12,400 euros").includes("12400"));
});

test("a number or code in groups is one word, too, however it is grouped", () => {
  assert.ok(forms("12 400 euros").includes("12400"));
  assert.ok(forms("FR76 3000 6000 0112 3456 7890 189").includes("fr7630006000011234567890189"));
  assert.ok(forms("call 06 12 34 56 78 at noon").includes("0612345678"));
  assert.ok(forms("invoice NK-4471").includes("nk4471") && forms("invoice nk4471").includes("nk4471"));
  assert.ok(!forms("two cats and 4 dogs in 2024").some((form) => /\d{5}/.test(form)));
});

test("singular and plural, English and French, with and without accents, meet in one stem", () => {
  const stems = (text: string): Set<string> => new Set(words(text).map((word) => word.stem));
  for (const pair of [
    "budget budgets",
    "company companies",
    "cheval chevaux",
    "opened opening",
    "réparation reparations",
    "égalité egalite",
  ]) {
    assert.equal(stems(pair).size, 1, `${pair}: ${[...stems(pair)].join(" ")}`);
  }
});

test("a French elision is no part of its word", () => {
  assert.ok(forms("l'entreprise").includes("entreprise"));
  assert.ok(forms("d’argent").includes("argent"));
});

test("the hash of a stem never changes, because the store is full of them", () => {
  assert.equal(hashOf("budget"), 802983597);
});

test("document terms saturate, query terms count once, and neither is ever empty", () => {
  const often = documentTerms("budget budget budget budget travel");
  const budget = queryTerms("budget").indices[0] ?? -1;

  const value = often.values[often.indices.indexOf(budget)] ?? 0;
  assert.ok(value > 1.5 && value < 2.2, `${value}`);
  assert.deepEqual(queryTerms("budget budget").values, [1]);
  assert.equal(new Set(often.indices).size, often.indices.length);
  for (const text of ["", "the of", "?"])
    assert.ok(queryTerms(text).indices.length > 0 && documentTerms(text).indices.length > 0);
});

test("sentences end where sentences end", () => {
  const text = "Mr. Thirkell paid 3.50 euros. Did he? Yes! The end…\n- an item\n東京です。次の文。";
  assert.deepEqual(
    sentences(text).map(({ from, to }) => text.slice(from, to)),
    ["Mr. Thirkell paid 3.50 euros.", "Did he?", "Yes!", "The end…", "- an item", "東京です。", "次の文。"],
  );
});

test("the sentence that answers is marked, not the one that only shares a word", () => {
  const text = "The plan was made in May. The travel budget is 12,400 euros per year. Travel is good. Budgets are dull.";

  assert.deepEqual(marked(text, "How much is the travel budget?"), ["The travel budget is 12,400 euros per year."]);
});

test("what the heading says already does not decide which sentence answers", () => {
  const text = "The lease runs from 1 July 2021. It ends on 30 June 2031. Either side may end it earlier.";
  const marked = (about: string): string[] =>
    highlights(text, "When does the lease of the workshop end?", about).map(({ from, to }) => text.slice(from, to));
  assert.deepEqual(marked("Workshop lease Term"), ["It ends on 30 June 2031."]);
});

test("marks are offsets in UTF-16, also after letters of two units", () => {
  const text = "\u{1F600}\u{1F600} Bonjour. La clé est chez le meunier. Au revoir.";

  assert.deepEqual(marked(text, "Chez qui est la clé ?"), ["La clé est chez le meunier."]);
});

test("a row of a table is marked alone", () => {
  const text = "item: M8 bolt · count: 420\nitem: V-belt A42 · count: 6";

  assert.deepEqual(marked(text, "How many V-belts A42 are there?"), ["item: V-belt A42 · count: 6"]);
});

test("nothing is marked when no word is shared", () => {
  assert.deepEqual(marked("The gate is shut.", "Quel est le prix ?"), []);
  assert.deepEqual(marked("", "anything"), []);
  assert.deepEqual(marked("anything", ""), []);
});

test("the language of a question is told by its small words, or left open", () => {
  assert.equal(detectLanguage("What is the deadline of the contract?"), "en");
  assert.equal(detectLanguage("Quel est le montant de la facture ?"), "fr");
  assert.equal(detectLanguage("Wann ist die Frist?"), "de");
  assert.equal(detectLanguage("NK-4471"), "und");
});

test("the language of a document is told even where its small words are unknown", async () => {
  assert.equal(await detectDocumentLanguage("The gate of the mill is shut and the keys are with the miller."), "en");
  assert.equal(
    await detectDocumentLanguage("Brama młyna jest zamknięta, a klucze ma młynarz. Nikt inny nie może jej otworzyć."),
    "pl",
  );
  assert.equal(await detectDocumentLanguage("420"), "und");
});
