import assert from "node:assert/strict";
import { test } from "node:test";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { textToEmbed } from "../../../ml/embed/textToEmbed.ts";

const cosine = (one: Float32Array, other: Float32Array): number =>
  one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
const one = (text: string): Float32Array => baselineEmbedder().embed([text])[0] ?? new Float32Array();

test("the same text gives the same vector, in any embedder and any company", () => {
  const [first] = baselineEmbedder().embed(["the travel budget"]);
  const [, second] = baselineEmbedder().embed(["something else", "the travel budget"]);

  assert.deepEqual(first, second);
});

test("a stored vector does not change between releases", () => {
  // These numbers are in every store that was filled with this embedder: when they change, its id has to change too.
  assert.equal(baselineEmbedder().id, "nika-baseline-2");
  const start = [...one("The travel budget of 2024")].slice(0, 4).map((value) => value.toFixed(5));
  assert.deepEqual(start, ["0.02760", "0.02920", "0.02302", "0.05874"]);
});

test("every text has a unit vector, even none", () => {
  for (const text of ["", " ", "?!", "a", "the", "word ".repeat(20_000), "\u{1F600}\u0000\u202E", "東京都", "\uD800"]) {
    const vector = one(text);
    assert.equal(vector.length, 384);
    assert.ok(vector.every(Number.isFinite), JSON.stringify(text.slice(0, 10)));
    assert.ok(Math.abs(cosine(vector, vector) - 1) < 1e-5, JSON.stringify(text.slice(0, 10)));
  }
});

test("a question is nearer to a text that shares its words, endings and accents aside", () => {
  const question = one("Combien coûtent les réparations de la chaudière ?");
  const right = one("La réparation de la chaudiere coûte 300 euros.");
  const wrong = one("Le marché se tient chaque jeudi matin sous la halle.");

  assert.ok(cosine(question, right) > cosine(question, wrong) + 0.2);
});

test("words that the table holds for one idea are near, in both languages, and others are not", () => {
  const near = (a: string, b: string): number => cosine(one(a), one(b));
  for (const [a, b] of [
    ["invoice", "facture"],
    ["rent", "loyers"],
    ["warranty", "guarantee"],
    ["leak", "fuite"],
  ] as const)
    assert.ok(near(a, b) > 0.4, `${a} ${b}`);
  assert.ok(near("rent", "facture") < 0.2);
});

test("what is embedded for a passage names its document and headings once", () => {
  assert.equal(textToEmbed({ title: "Bees", place: { headings: ["Bees", "Harvest"] }, text: "31 kg" }), "Bees › Harvest\n31 kg");
  assert.equal(textToEmbed({ title: "", place: {}, text: "31 kg" }), "31 kg");
});
