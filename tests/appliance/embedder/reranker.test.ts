import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openReranker, type OpenedReranker } from "../../../appliance/embedder/reranker.ts";
import { makeReranker } from "../../fixtures/makeModel.ts";

const signal = new AbortController().signal;

async function open(t: TestContext, prepare: (dir: string) => void, log: string[] = []): Promise<OpenedReranker> {
  const dir = mkdtempSync(join(tmpdir(), "nika-models-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  prepare(dir);
  const reranker = await openReranker({ modelsDir: dir, log: (line) => log.push(line) });
  t.after(() => reranker.close());
  return reranker;
}

test("without a model there is no reranker, and nobody waits for one", async (t) => {
  const reranker = await open(t, () => {});
  assert.equal(reranker.id, undefined);
  await assert.rejects(reranker.score("x", ["y"], signal), { code: "unavailable" });
});

test("a cross-encoder on disk reads question and passage together and scores each passage, in order", async (t) => {
  const reranker = await open(t, (dir) => makeReranker(dir, "Xenova/ms-marco-MiniLM-L-6-v2"));
  assert.match(reranker.id ?? "", /^ms-marco-MiniLM-L-6-v2-[0-9a-f]{12}$/);

  const [pump, budget, both] = await reranker.score("travel", ["the pump", "the budget", "the budget of the invoice"], signal);

  // The tiny model adds up a known number for each word it knows.
  assert.ok(pump! > budget! && both! > pump!);
  assert.deepEqual(await reranker.score("travel", [], signal), []);
});

test("a model that does not work is unavailable, and a question withdrawn is cancelled", async (t) => {
  const reranker = await open(t, (dir) => {
    makeReranker(dir, "bge-reranker-base");
    writeFileSync(join(dir, "bge-reranker-base/onnx/model_quantized.onnx"), "no graph");
  });
  await assert.rejects(reranker.score("x", ["y"], signal), { code: "unavailable" });
  await assert.rejects(reranker.score("x", ["y"], AbortSignal.abort()), { code: "cancelled" });
});
