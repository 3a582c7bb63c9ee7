/** What is refused before anything is trained. That training works is tried in tests/functions/models. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openBaseline } from "../../../appliance/embedder/baseline.ts";
import { openTrainer } from "../../../appliance/trainer/trainer.ts";
import { openTuner } from "../../../appliance/trainer/tuner.ts";
import { fusionDefault } from "../../../convex/model/model.ts";
import { learnedId } from "../../../convex/model/generation.ts";
import { learnVocabulary } from "../../../ml/train/vocabulary.ts";
import { isTable, modelFiles } from "../../../ml/train/modelFiles.ts";

const never = new AbortController().signal;
const nothing = { modelId: "new", seed: 1, isScrubbed: true, passages: [], uses: [], scopes: [] };
const embedders = { of: async () => openBaseline(), find: async () => ({ embedderId: "nika-baseline-2" }) };

test("over a model with layers no table of words is trained, whether it came from elsewhere or was learned here", async () => {
  const modelsDir = mkdtempSync(join(tmpdir(), "nika-models-"));
  try {
    mkdirSync(join(modelsDir, "nika/tuned"), { recursive: true });
    writeFileSync(join(modelsDir, "nika/tuned/config.json"), JSON.stringify({ model_type: "bert", num_hidden_layers: 12 }));
    for (const embedderId of [learnedId("tuned", "f"), learnedId("gone", "f"), "bge-small-en-v1.5-0123"]) {
      const trainer = openTrainer({ modelsDir, embedders, live: async () => ({ embedderId, fusion: fusionDefault }) });
      await assert.rejects(trainer.train(nothing, { signal: never, progress: () => {} }), {
        code: "invalid",
        message: /knows meanings.*--with lora/u,
      });
      await trainer.close();
    }
  } finally {
    rmSync(modelsDir, { recursive: true, force: true });
  }
});

test("a table says by its files that it is one, and what is none does not", () => {
  const vocabulary = learnVocabulary(["the boiler in the cellar"], {});
  const files = modelFiles({ vocabulary, dimensions: 8, table: new Float32Array(vocabulary.pieces.length * 8) });
  assert.equal(isTable(new TextDecoder().decode(files.get("config.json"))), true);
  for (const other of ['{"num_hidden_layers": 2}', "", "null", "[}"]) assert.equal(isTable(other), false);
});

test("what was trained here is no base for a LoRA: it says so, and says what to do", async () => {
  const modelsDir = mkdtempSync(join(tmpdir(), "nika-models-"));
  // Whatever is in force, a base is what the owner names, or the usual one.
  const live = async () => ({ embedderId: learnedId("table", "f"), fusion: fusionDefault });
  const serve = async (): Promise<never> => assert.fail("nothing is served");
  const tuner = openTuner({ modelsDir, workDir: join(modelsDir, "work"), live, embedders, serve });
  try {
    await assert.rejects(tuner.pack({ ...nothing, base: "nika/table" }, { signal: never }), /is no base/u);
    await assert.rejects(tuner.pack(nothing, { signal: never }), /There is no BAAI\/bge-small-en-v1.5/u);
  } finally {
    await tuner.close();
    rmSync(modelsDir, { recursive: true, force: true });
  }
});
