import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { en } from "../../../appliance/web/language/en.ts";
import { fr } from "../../../appliance/web/language/fr.ts";
import { refusalOf } from "../../../appliance/web/models/refusal.ts";

test("every reason not to train is told on the page in its language, with its figures", () => {
  const source = readFileSync(new URL("../../../ml/dataset/check.ts", import.meta.url), "utf8");
  // Each sentence of the rule, with figures in the place of its variables.
  const sentences = [...source.matchAll(/refuse\(\s*(?:`(?<made>[^`]+)`|"(?<plain>[^"]+)")/gu)].map(({ groups }) =>
    (groups?.["made"] ?? groups?.["plain"] ?? "")
      .replaceAll(/\$\{percent\([^}]+\)\}/gu, "41 %")
      .replaceAll(/\$\{[^}]+\}/gu, "41"),
  );
  assert.ok(sentences.length >= 9, sentences.join("\n"));
  for (const sentence of sentences)
    for (const { models } of [en, fr]) {
      const told = refusalOf(sentence, models);
      assert.ok(told, sentence);
      assert.equal(told.includes("41"), sentence.includes("41"), told);
    }
  assert.equal(refusalOf("Something else.", en.models), undefined);
});
