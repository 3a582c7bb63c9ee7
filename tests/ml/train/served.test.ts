import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { openNeural } from "../../../appliance/embedder/neural.ts";
import { embedTexts, type StaticModel } from "../../../ml/train/model.ts";
import { modelFiles } from "../../../ml/train/modelFiles.ts";
import { dequantised } from "../../../ml/train/quantise.ts";
import { composeTable, firstFeatures } from "../../../ml/train/rows.ts";
import { learnVocabulary, toPieces } from "../../../ml/train/vocabulary.ts";

const texts = [
  "The invoice of March: 1,250.50 EUR for L'eau, l'été à 20°C",
  "Holiday plans for the roof; DN50-B valve, a+b=c, user@example.org",
  "日本語 text, Ümlaut, Œuvre, ﬁne \u0000print\u00ad, 🙂 emoji",
  `${"x".repeat(120)} roof the the the the roof`,
  "unseenword holidays roofing",
  "[PAD] [UNK] [CLS] hello",
  "word ".repeat(900),
  "",
  "!!! ???",
];

function modelOf(): StaticModel {
  const vocabulary = learnVocabulary(texts.slice(0, 4));
  const features = firstFeatures(vocabulary, 384);
  return { vocabulary, dimensions: 384, table: dequantised(composeTable(features, features.values), 384) };
}

test("the exported model, served as any other is, gives the trainer's own vectors", async () => {
  const model = modelOf();
  const modelsDir = mkdtempSync(join(tmpdir(), "nika-model-"));
  for (const [path, bytes] of modelFiles(model)) {
    mkdirSync(dirname(join(modelsDir, "nika/one", path)), { recursive: true });
    writeFileSync(join(modelsDir, "nika/one", path), bytes);
  }
  const served = await openNeural({ modelsDir, name: "nika/one", isQuantized: true, isDownload: false }, () => undefined);
  try {
    const vectors = await served.passages(texts, new AbortController().signal);
    for (const [at, mine] of embedTexts(model, texts).entries())
      for (let d = 0; d < 384; d += 1)
        assert.ok(Math.abs(mine[d]! - vectors[at]![d]!) < 1e-6, `${texts[at]!.slice(0, 30)}, ${d}`);
  } finally {
    await served.close();
    rmSync(modelsDir, { recursive: true, force: true });
  }
});

test("a word nobody has seen is made of known parts, and its beginning tells what it is near", () => {
  const { vocabulary } = modelOf();
  const pieces = (text: string): string[] => toPieces(text, vocabulary).map((id) => vocabulary.pieces[id]!);
  assert.deepEqual(pieces("Holidays"), ["holiday", "##s"]);
  assert.equal(pieces("zyx").join("").replaceAll("##", ""), "zyx");
  assert.equal(toPieces("word ".repeat(900), vocabulary).length, 512);
  const [one, near, far] = embedTexts(modelOf(), ["holidays", "holiday plans", "invoice"]);
  const dot = (other: Float32Array): number => one!.reduce((sum, value, at) => sum + value * other[at]!, 0);
  assert.ok(dot(near!) > 0.5 && dot(near!) > dot(far!));
});
