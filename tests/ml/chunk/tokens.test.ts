import assert from "node:assert/strict";
import { test } from "node:test";
import { measureOf } from "../../../ml/chunk/tokens.ts";
import { prose } from "../../fixtures/prose.ts";

/** Counts of the uncased WordPiece tokenizer with 30,522 English pieces that bge-small uses, taken once with its vocabulary. */
const counted = [
  [true, "prose", prose.en.join(" "), 701],
  [false, "French prose", prose.fr.join(" "), 820],
  [
    true,
    "a sentence",
    "The boiler room is inspected twice a year by a certified technician, who signs the register kept beside the door.",
    22,
  ],
  [
    false,
    "a French sentence",
    "La chaufferie est contrôlée deux fois par an par un technicien agréé, qui signe le registre conservé près de la porte.",
    33,
  ],
  [true, "a row", "Reference: NK-4471-B · Quantity: 12 · Unit price: 1 250,50 EUR · Delivery: 2025-03-14", 32],
  [true, "code", "const total = lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0);", 30],
] as const;

test("the estimate of tokens is within a quarter of the real count, and hardly ever below", () => {
  for (const [isEnglish, what, text, real] of counted) {
    const estimate = measureOf(isEnglish)(text);
    assert.ok(estimate >= real * 0.95 && estimate <= real * 1.25, `${what}: ${estimate} for ${real}`);
  }
});

test("scripts without spaces are a token a letter, and nothing is none", () => {
  assert.equal(measureOf(true)("東京都庁舎"), 5);
  assert.equal(measureOf(true)(""), 0);
});
