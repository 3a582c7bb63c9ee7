import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openEmbedder } from "../../../appliance/embedder/embedder.ts";
import type { OpenedEmbedder } from "../../../appliance/embedder/opened.ts";
import { makeModel } from "../../fixtures/makeModel.ts";

const signal = new AbortController().signal;
const cosine = (one: Float32Array | undefined, other: Float32Array | undefined): number =>
  (one ?? new Float32Array()).reduce((sum, value, at) => sum + value * (other?.[at] ?? 0), 0);

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "nika-models-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function open(t: TestContext, modelsDir: string, log: string[] = []): Promise<OpenedEmbedder> {
  const embedder = await openEmbedder({ modelsDir, allowDownload: false, log: (line) => log.push(line) });
  t.after(() => embedder.close());
  return embedder;
}

test("without a model the baseline is in force, and both the label and the log say so", async (t) => {
  const log: string[] = [];
  const embedder = await open(t, join(folder(t), "absent"), log);

  assert.equal(embedder.isBaseline, true);
  assert.match(embedder.label, /^offline baseline: .*not meanings$/);
  assert.match(log.join("\n"), /offline baseline, because no model/);
});

test("the baseline gives passages and questions the same vectors, in order, however many", async (t) => {
  const embedder = await open(t, folder(t));
  const texts = Array.from({ length: 200 }, (_, at) => `passage number ${at} of the vault`);

  const vectors = await embedder.passages(texts, signal);

  assert.equal(vectors.length, 200);
  assert.ok(cosine(vectors[150], await embedder.query("passage number 150 of the vault", signal)) > 0.9999);
  assert.deepEqual(await embedder.passages([], signal), []);
});

for (const name of ["Xenova/bge-small-en-v1.5", "bge-small-en-v1.5"]) {
  test(`a model in ${name} is used: unit vectors, the same alone and in company, near when words are shared`, async (t) => {
    const dir = folder(t);
    makeModel(dir, name);
    const embedder = await open(t, dir);

    const [budget, empty] = await embedder.passages(["the budget of travel is 3 euros", "  "], signal);
    const many = await embedder.passages(
      [...Array.from({ length: 70 }, () => "pump valve"), "the budget of travel is 3 euros"],
      signal,
    );
    const question = await embedder.query("travel budget", signal);

    assert.equal(embedder.isBaseline, false);
    assert.match(embedder.id, /^bge-small-en-v1\.5-[0-9a-f]{12}$/);
    assert.ok(Math.abs(cosine(budget, budget) - 1) < 1e-5 && Math.abs(cosine(empty, empty) - 1) < 1e-5);
    assert.ok(cosine(many[70], budget) > 0.9999);
    assert.ok(cosine(question, budget) > cosine(question, many[0]) + 0.1);
  });
}

test("a model that does not load is an error, not a silent fall back to the baseline", async (t) => {
  const dir = folder(t);
  makeModel(dir, "bge-small-en-v1.5");
  writeFileSync(join(dir, "bge-small-en-v1.5", "onnx", "model_quantized.onnx"), "not a model");

  await assert.rejects(open(t, dir), (error) => error instanceof Error && error.name === "NikaError");
});

test("a folder that lacks files of the model counts as no model", async (t) => {
  const dir = folder(t);
  makeModel(dir, "bge-small-en-v1.5");
  rmSync(join(dir, "bge-small-en-v1.5", "tokenizer.json"));

  assert.equal((await open(t, dir)).isBaseline, true);
});

test("embedding can be called off, and a closed embedder refuses", async (t) => {
  const dir = folder(t);
  const baseline = await open(t, dir);
  makeModel(dir, "bge-small-en-v1.5");
  const neural = await open(t, dir);

  for (const embedder of [baseline, neural]) {
    const isCancelled = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "cancelled";
    const controller = new AbortController();
    const calledOff = embedder.passages(["pump", "valve"], controller.signal);
    controller.abort();
    await assert.rejects(calledOff, isCancelled);
    await embedder.close();
    await assert.rejects(embedder.passages(["pump"], signal), isCancelled);
  }
});
