import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, type Evidence } from "../../../ml/evaluate/gate.ts";
import { fused, scoresOf, type Question, type Scores } from "../../../ml/evaluate/measure.ts";
import { tuneFusion } from "../../../ml/evaluate/fusion.ts";
import { nearest } from "../../../ml/evaluate/ranking.ts";
import { fusionLearned } from "../../../convex/model/model.ts";
import { fuse } from "../../../ml/retrieve/fuse.ts";

const count = 80;
const questions = Array.from({ length: count }, (_, at): Question => ({
  id: String(at),
  text: `question ${at}`,
  judged: new Map([["a", 1]]),
  slices: [at < 40 ? "language en" : "language fr"],
}));
/** What question `at` scores. */
const scores = (of: (at: number) => number): Scores => {
  const values = questions.map((_, at) => of(at));
  return { ndcg: values, mrr: values, recall: values };
};
const live: Evidence = { dense: scores((at) => 0.4 + (at % 5) / 50), hybrid: scores(() => 0.5), latencyMs: 10, sizeBytes: 1 };
const better: Evidence = { ...live, dense: scores((at) => 0.46 + (at % 5) / 50), hybrid: scores(() => 0.52) };
const failed = (candidate: Evidence, asked = questions, probes = [{ name: "nothing", passed: true }]): string[] =>
  decide(asked, { live, candidate, probes })
    .checks.filter(({ passed }) => !passed)
    .map(({ name }) => name);

test("a model that is better beyond chance and worse nowhere is deployed", () => {
  const verdict = decide(questions, { live, candidate: better, probes: [] });
  assert.equal(verdict.isBetter, true);
  assert.ok(verdict.gain > 0.05 && verdict.denseDifference.from > 0);
});

test("each condition refuses by itself, and says what it found", () => {
  assert.deepEqual(failed({ ...better, dense: scores((at) => 0.41 + (at % 5) / 50) }), ["gain by vectors"]);
  // A few questions carry all of the gain: that may be chance.
  assert.deepEqual(failed({ ...better, dense: scores((at) => live.dense.ndcg[at]! + (at < 3 ? 0.95 : -0.005)) }), [
    "beyond chance",
  ]);
  assert.deepEqual(failed({ ...better, hybrid: { ...live.hybrid, ndcg: scores(() => 0.49).ndcg } }), ["both together"]);
  assert.deepEqual(failed({ ...better, hybrid: { ...better.hybrid, mrr: scores(() => 0.48).mrr } }), ["MRR@10 both together"]);
  assert.deepEqual(failed({ ...better, dense: { ...better.dense, recall: scores(() => 0.3).recall } }), ["Recall@10 by vectors"]);
  const lopsided = scores((at) => (at < 40 ? 0.62 : 0.42));
  assert.deepEqual(failed({ ...better, hybrid: lopsided }), ["language fr"]);
  assert.deepEqual(failed({ ...better, latencyMs: 31 }), ["speed"]);
  assert.deepEqual(failed(better, questions, [{ name: "very long text", passed: false }]), ["very long text"]);
  assert.deepEqual(failed(better, questions.slice(0, 49)), ["questions"]);
  const pinned = [
    { question: "question 7", before: true, after: false },
    { question: "question 8", before: false, after: false },
  ];
  const { isBetter, checks } = decide(questions, { live, candidate: better, probes: [], pinned });
  assert.equal(isBetter, false);
  assert.match(checks.find(({ name }) => name === "pinned questions")!.says, /1 of 2 no longer answered: “question 7”/);
});

test("where the live model finds nothing, an absolute gain counts", () => {
  const nothing: Evidence = { ...live, dense: scores(() => 0.001) };
  const gain = (value: number): boolean =>
    decide(questions, { live: nothing, candidate: { ...better, dense: scores(() => value) }, probes: [] }).isBetter;
  assert.deepEqual([gain(0.02), gain(0.03)], [false, true]);
});

test("rankings joined by score keep by how much one hit beat the next, and by rank they do not", () => {
  const one = {
    name: "one",
    weight: 1,
    hits: [
      { id: "a", score: 10 },
      { id: "b", score: 1 },
      { id: "c", score: 0.9 },
    ],
  };
  const other = {
    name: "other",
    weight: 1,
    hits: [
      { id: "b", score: 1 },
      { id: "a", score: 0.999 },
      { id: "c", score: 0 },
    ],
  };
  assert.equal(fuse([other, one], { method: "ranks", k: 2 })[0]!.id, "b");
  assert.equal(fuse([other, one], { method: "scores" })[0]!.id, "a");
  assert.equal(fuse([{ name: "single", weight: 1, hits: [{ id: "a", score: 3 }] }], { method: "scores" })[0]!.score, 0.5);
});

test("the way to join is what ranks the tuning questions best, and stays the usual one without a reason", () => {
  const hits = (ids: readonly number[]) => ids.map((at, rank) => ({ at, score: 1 - rank / 10 }));
  const asked = questions.slice(0, 10);
  const documentOf = (at: number): string => (at === 1 ? "a" : `other ${at}`);
  const goodWords = asked.map(() => ({ dense: hits([4, 2, 3]), lexical: hits([1, 2, 3]) }));
  const { fusion } = tuneFusion(asked, goodWords, documentOf);
  assert.ok(fusion.dense < fusion.lexical);
  const same = asked.map(() => ({ dense: hits([1]), lexical: hits([1]) }));
  assert.deepEqual(tuneFusion(asked, same, documentOf).fusion, fusionLearned);
  // One question of ten that would be better off is no reason.
  const chance = asked.map((_, at) => (at === 0 ? goodWords[0]! : same[0]!));
  assert.deepEqual(tuneFusion(asked, chance, documentOf).fusion, fusionLearned);
  // Many that only vectors answer do not outweigh the few that words do.
  const many = questions.slice(0, 40);
  const mixed = many.map((_, at) =>
    at < 10 ? { dense: hits([5, 6, 7]), lexical: hits([1]) } : { dense: hits([4, 1]), lexical: hits([4, 5]) },
  );
  const few = scoresOf(many, (at) => fused(mixed[at]!, tuneFusion(many, mixed, documentOf).fusion), documentOf).ndcg.slice(0, 10);
  assert.ok(few.every((value) => value === 1));
});

test("the nearest are found exactly, equal ones in order", () => {
  const vectors = new Float32Array([1, 0, 0, 1, 1, 0, 0.6, 0.8]);
  assert.deepEqual(
    nearest(vectors, Float32Array.of(1, 0), 3).map(({ at }) => at),
    [0, 2, 3],
  );
});
