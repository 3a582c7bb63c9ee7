/** What a model reaches on questions with known answers, by vectors alone and together with words. */
import type { Fusion } from "../../convex/model/model.ts";
import { fuse } from "../retrieve/fuse.ts";
import { ndcg, recall, reciprocalRank, type Judgements } from "./metrics.ts";
import { flat, nearest, type Hit } from "./ranking.ts";

export type Question = {
  readonly id: string;
  readonly text: string;
  /** By document. */
  readonly judged: Judgements;
  /** "language en", "type invoice", …: a model may not get better on the whole by getting worse on one of these. */
  readonly slices: readonly string[];
};

/** One value a question, in order. */
export type Scores = { readonly ndcg: readonly number[]; readonly mrr: readonly number[]; readonly recall: readonly number[] };

export type Ranked = { readonly dense: readonly Hit[]; readonly lexical: readonly Hit[] };

/** As many as a search asks each ranking for. */
export const rankedMax = 60;

/** What each ranking gives for each question, so that ways to join them can be compared without asking again. */
export function rankAll(questions: readonly Question[], { embed, texts, lexical }: Ranking): Ranked[] {
  const vectors = flat(embed(texts));
  const asked = embed(questions.map(({ text }) => text));
  return questions.map(({ text }, at) => ({ dense: nearest(vectors, asked[at]!, rankedMax), lexical: lexical(text) }));
}

export type Ranking = {
  readonly embed: (texts: readonly string[]) => readonly Float32Array[];
  /** What is embedded of each passage. */
  readonly texts: readonly string[];
  /** The best passages by words. */
  readonly lexical: (question: string) => readonly Hit[];
};

/** `documentOf`: the document of a passage, by its position. */
export function scoresOf(
  questions: readonly Question[],
  hitsOf: (at: number) => readonly { readonly at: number }[],
  documentOf: (at: number) => string,
): Scores {
  const all = questions.map(({ judged }, question) => {
    const documents = [...new Set(hitsOf(question).map(({ at }) => documentOf(at)))];
    return {
      ndcg: ndcg(documents, judged, 10),
      mrr: reciprocalRank(documents, judged, 10),
      recall: recall(documents, judged, 10),
    };
  });
  return { ndcg: all.map((one) => one.ndcg), mrr: all.map((one) => one.mrr), recall: all.map((one) => one.recall) };
}

export function fused({ dense, lexical }: Ranked, fusion: Fusion): Hit[] {
  const asIds = (hits: readonly Hit[]): { id: number; score: number }[] => hits.map(({ at, score }) => ({ id: at, score }));
  return fuse(
    [
      { name: "dense", weight: fusion.dense, hits: asIds(dense) },
      { name: "lexical", weight: fusion.lexical, hits: asIds(lexical) },
    ],
    fusion,
  ).map(({ id, score }) => ({ at: id, score }));
}

export const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
