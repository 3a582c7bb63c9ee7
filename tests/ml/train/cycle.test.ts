import assert from "node:assert/strict";
import { test } from "node:test";
import { fusionDefault } from "../../../convex/model/model.ts";
import type { Use } from "../../../convex/model/use.ts";
import type { Written } from "../../../convex/model/written.ts";
import { digestOfText } from "../../../ml/dataset/written.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { dataOf, runCycle, withoutStray, type CycleInput, type CycleOptions } from "../../../ml/train/cycle.ts";
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
/** Of every second passage. */
const written = passages
  .filter((_, at) => at % 2 === 0)
  .map(({ documentId, ordinal, text, body }, at): Written => ({
    documentId,
    ordinal,
    textDigest: digestOfText(text),
    model: at === 0 ? "one at here" : "other at here",
    questions: [`${body.split(" ").slice(0, 6).toReversed().join(" ")} ${at}`],
    wrong: `neither this nor that ${at}`,
  }));
const input: CycleInput = {
  passages,
  uses,
  written,
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
  // What a language model wrote is counted by itself.
  const { written: made } = dataOf({ ...lineage, rivals: result.rivals, against: "live" });
  assert.ok(made!.pairs > 10 && made!.pairs < written.length && made!.rivals > 10);
  assert.deepEqual(made!.by, ["one at here", "other at here"]);
  assert.ok(files.has("tokenizer.json") && files.has("onnx/model_quantized.onnx"));
  const again = await runCycle({ ...input, uses: [...uses].reverse(), written: [...written].reverse() }, options);
  assert(again.type === "trained");
  assert.equal(again.lineage.dataSha256, lineage.dataSha256);
  assert.equal(again.sha256, sha256);
});

test("a written question that leads nowhere near its passage is left out, and what somebody asked never is", () => {
  const [one, other] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  const all = [one, { ...one, origin: "written" as const }, { ...other, origin: "written" as const }];
  assert.deepEqual(
    withoutStray(all, (pair) => pair.query === other.query),
    [all[0], all[2]],
  );
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
