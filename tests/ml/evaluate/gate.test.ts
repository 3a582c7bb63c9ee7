import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, type Evidence } from "../../../ml/evaluate/gate.ts";
import type { Question, Scores } from "../../../ml/evaluate/measure.ts";
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

test("rankings joined by likeness follow the vectors as far as they know the question, and no word alone decides", () => {
  const words = (...scores: readonly number[]) => ({
    name: "lexical",
    weight: 1,
    measure: "words" as const,
    hits: scores.map((score, at) => ({ id: `w${at}`, score })),
  });
  const near = (best: number) => ({
    name: "dense",
    weight: 16,
    measure: "cosine" as const,
    hits: [
      { id: "near", score: best },
      { id: "w5", score: 0.1 },
    ],
  });
  const likeness = { method: "likeness", k: 2 } as const;
  const found = words(20, 9, 8, 8, 7, 7);
  assert.equal(fuse([near(0.6), found], likeness)[0]!.id, "near");
  assert.equal(fuse([near(0.2), found], likeness)[0]!.id, "w0");
  // Beyond two deviations nothing more is to be had, by however much the best of many stands out.
  const many = fuse([words(1_000, ...Array.from({ length: 40 }, (_, at) => 10 - at / 10))], likeness);
  assert.ok(many[0]!.score < 2.5 && many[0]!.score > many[1]!.score);
  assert.deepEqual(
    fuse([words(3)], likeness).map(({ score }) => score),
    [1],
  );
});

test("the way to join is what ranks the tuning questions best, and stays the usual one without a reason", () => {
  const hits = (ids: readonly number[]) => ids.map((at, rank) => ({ at, score: 1 - rank / 10 }));
  const asked = questions.slice(0, 10);
  const documentOf = (at: number): string => (at === 1 ? "a" : `other ${at}`);
  const goodWords = asked.map(() => ({ dense: hits([4, 2, 3]), lexical: hits([1, 2, 3]) }));
  const { fusion } = tuneFusion(asked, goodWords, documentOf);
  assert.ok(fusion.method !== "likeness" || fusion.dense < fusionLearned.dense);
  const same = asked.map(() => ({ dense: hits([1]), lexical: hits([1]) }));
  assert.deepEqual(tuneFusion(asked, same, documentOf).fusion, fusionLearned);
  // One question of ten that would be better off is no reason.
  const chance = asked.map((_, at) => (at === 0 ? goodWords[0]! : same[0]!));
  assert.deepEqual(tuneFusion(asked, chance, documentOf).fusion, fusionLearned);
});

test("the nearest are found exactly, equal ones in order", () => {
  const vectors = new Float32Array([1, 0, 0, 1, 1, 0, 0.6, 0.8]);
  assert.deepEqual(
    nearest(vectors, Float32Array.of(1, 0), 3).map(({ at }) => at),
    [0, 2, 3],
  );
});
