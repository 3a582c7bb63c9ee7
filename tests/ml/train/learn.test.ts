import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fusionDefault, type Fusion } from "../../../convex/model/model.ts";
import { splitByDocument } from "../../../ml/dataset/split.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { fused, meanOf, rankAll, scoresOf } from "../../../ml/evaluate/measure.ts";
import { fromBytes, toBytes } from "../../../ml/train/checkpoint.ts";
import { learn, learnDefault, toQuestions, wordsOver, type Checkpoint, type LearnOptions } from "../../../ml/train/learn.ts";
import { embedTexts, type StaticModel } from "../../../ml/train/model.ts";
import { modelFiles } from "../../../ml/train/modelFiles.ts";
import { madeFirm } from "../dataset/firm.ts";

const { passages, pairs } = madeFirm({ documents: 84 });
const split = splitByDocument(pairs, passages);
const base = baselineEmbedder();
const input = { split, passages, live: (texts: readonly string[]) => base.embed(texts) };
const options: LearnOptions = {
  ...learnDefault,
  dimensions: 96,
  // So small a vault's names tell its papers apart from the start; what examples teach is seen from a plain beginning.
  beginnings: learnDefault.beginnings.slice(0, 1),
  epochsMax: 3,
  patience: 2,
  grid: [
    { temperature: 0.1, rate: 0.1, negatives: 0 },
    { temperature: 0.1, rate: 0.2, negatives: 1 },
  ],
};
const digestOf = (model: StaticModel): string => {
  const hash = createHash("sha256");
  for (const [path, bytes] of modelFiles(model)) hash.update(path).update(bytes);
  return hash.digest("hex");
};

test("what people call things is learned, for documents that no example is about, and both rankings together are better for it", async () => {
  const learned = await learn(input, options);
  const questions = toQuestions(split.test, passages);
  const lexical = wordsOver(passages);
  const texts = passages.map(({ text }) => text);
  const documentOf = (at: number): string => passages[at]!.documentId;
  // By the topic alone: its name in the question is in no document.
  const topical = questions.map((question) => ({ ...question, text: question.text.split(" ")[0]! }));
  const reach = (model: StaticModel, fusion: Fusion): { dense: number; topics: number; hybrid: number } => {
    const embed = (some: readonly string[]): Float32Array[] => embedTexts(model, some);
    const ranked = rankAll(questions, { embed, texts, lexical });
    const byTopic = rankAll(topical, { embed, texts, lexical });
    const isRight = (at: number): boolean =>
      passages[byTopic[at]!.dense[0]!.at]!.body.split(" ")[0] ===
      passages.find(({ documentId }) => questions[at]!.judged.has(documentId))!.body.split(" ")[0];
    return {
      dense: meanOf(scoresOf(questions, (at) => ranked[at]!.dense, documentOf).ndcg),
      hybrid: meanOf(scoresOf(questions, (at) => fused(ranked[at]!, fusion), documentOf).ndcg),
      topics: meanOf(topical.map((_, at) => (isRight(at) ? 1 : 0))),
    };
  };
  const [before, after] = [reach(learned.untrained, fusionDefault), reach(learned.model, learned.fusion)];
  assert.ok(after.topics > 0.8 && before.topics < 0.4, `topics: ${before.topics} to ${after.topics}`);
  assert.ok(after.dense > before.dense * 1.05, `vectors: ${before.dense} to ${after.dense}`);
  assert.ok(after.hybrid > before.hybrid * 1.05, `both: ${before.hybrid} to ${after.hybrid}`);
  assert.ok(learned.trials.length > 2 && learned.examples > 150);
});

test("the same seed gives the same bytes, another seed others", async () => {
  const short: LearnOptions = { ...options, grid: options.grid.slice(1), epochsMax: 1 };
  const [one, same, other] = [await learn(input, short), await learn(input, short), await learn(input, { ...short, seed: 2 })];
  assert.equal(digestOf(one.model), digestOf(same.model));
  assert.notEqual(digestOf(one.model), digestOf(other.model));
});

test("cut off after any epoch and taken up from what was kept, it comes to the same bytes", async () => {
  const kept: Uint8Array[] = [];
  const short: LearnOptions = { ...options, epochsMax: 2 };
  const whole = await learn(input, short, {
    keep: async (checkpoint) => {
      kept.push(toBytes(checkpoint, "data"));
    },
  });
  assert.ok(kept.length >= 3);
  for (const at of [0, kept.length - 2]) {
    const from: Checkpoint | undefined = fromBytes(kept[at]!, "data");
    assert.ok(from);
    const resumed = await learn(input, short, { from });
    assert.equal(digestOf(resumed.model), digestOf(whole.model), `after ${at + 1} epochs`);
    assert.deepEqual(resumed.trials, whole.trials);
  }
});

test("what was kept for other data, or torn, is not taken up", async () => {
  let kept: Uint8Array | undefined;
  await learn(
    input,
    { ...options, grid: options.grid.slice(0, 1), epochsMax: 1 },
    {
      keep: async (checkpoint) => {
        kept = toBytes(checkpoint, "data");
      },
    },
  );
  assert.equal(fromBytes(kept!, "other data"), undefined);
  assert.equal(fromBytes(kept!.subarray(0, kept!.length - 9), "data"), undefined);
  assert.equal(fromBytes(new Uint8Array(3), "data"), undefined);
});

test("it stops between two batches when it is told to", async () => {
  let turns = 0;
  const breathe = async (): Promise<void> => {
    turns += 1;
    if (turns === 3) throw new Error("stop");
  };
  await assert.rejects(learn(input, options, { breathe }), /stop/);
  assert.equal(turns, 3);
});
