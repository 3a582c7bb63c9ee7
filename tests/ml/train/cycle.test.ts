import assert from "node:assert/strict";
import { test } from "node:test";
import { fusionDefault } from "../../../convex/model/model.ts";
import type { Use } from "../../../convex/model/use.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { runCycle, type CycleInput, type CycleOptions } from "../../../ml/train/cycle.ts";
import { learnDefault } from "../../../ml/train/learn.ts";
import { madeFirm } from "../dataset/firm.ts";

const base = baselineEmbedder();
const { passages, pairs } = madeFirm({ documents: 100 });
const uses = pairs.map(({ query, passage, at, session }, index): Use => ({
  key: `k${index}`,
  at,
  session: `${session} ${index}`,
  question: query,
  shown: [passage],
  reactions: [{ type: "cited", at, ...passage }],
}));
const input: CycleInput = {
  passages,
  uses,
  scopes: ["private"],
  pinned: [],
  isScrubbed: true,
  live: { embed: async (texts) => base.embed(texts), fusion: fusionDefault },
};
const options: CycleOptions = {
  learn: { ...learnDefault, dimensions: 96, epochsMax: 2, grid: [{ temperature: 0.1, rate: 0.15, negatives: 1 }] },
  timed: (work) => {
    work();
    return 1;
  },
};

test("what was remembered becomes a model with a verdict and a lineage, and again the same one", async () => {
  const result = await runCycle(input, options);
  assert(result.type === "trained");
  const { verdict, lineage, files, sha256 } = result;
  assert.ok(verdict.checks.length >= 10 && verdict.checks.every(({ says }) => says !== ""));
  assert.equal(
    verdict.isBetter,
    verdict.checks.every(({ passed }) => passed),
  );
  assert.ok(lineage.counts.testQuestions >= 50 && lineage.counts.madeTestQuestions === 0);
  assert.ok(files.has("tokenizer.json") && files.has("onnx/model_quantized.onnx"));
  const again = await runCycle({ ...input, uses: [...uses].reverse() }, options);
  assert(again.type === "trained");
  assert.equal(again.lineage.dataSha256, lineage.dataSha256);
  assert.equal(again.sha256, sha256);
});

test("use that may not be learned from, or has nothing to do with its questions, makes no model", async () => {
  const closed = await runCycle({ ...input, scopes: ["team"] }, options);
  assert(closed.type === "refused");
  assert.equal(closed.refusal.reason, "tiny");
  const shuffled = uses.map((use, at): Use => {
    const other = uses[(at * 37 + 91) % uses.length]!;
    return { ...use, reactions: other.reactions };
  });
  const poisoned = await runCycle({ ...input, uses: shuffled }, options);
  assert(poisoned.type === "refused");
  assert.equal(poisoned.refusal.reason, "poisoned");
});
