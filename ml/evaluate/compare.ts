/**
 * One model, or two beside each other, on the questions that are kept for judging: what each reaches, which questions and which kinds of
 * papers rose or fell, and whether what the owner pinned is still answered. Nothing is decided here.
 */
import type { Comparison, ModelMeasures } from "../../convex/model/comparison.ts";
import type { Fusion } from "../../convex/model/model.ts";
import type { DatasetPassage } from "../dataset/pair.ts";
import { bootstrap } from "./metrics.ts";
import { fused, meanOf, rankedMax, scoresOf, type Question, type Ranked, type Scores } from "./measure.ts";
import { flat, nearest } from "./ranking.ts";

/** A model as whoever serves it asks it. */
export type Asking = {
  readonly name: string;
  readonly fusion: Fusion;
  readonly sizeBytes: number;
  readonly embed: (texts: readonly string[]) => Promise<readonly Float32Array[]>;
  /** Questions, each alone; with the milliseconds that it took. */
  readonly ask: (text: string) => Promise<{ readonly vector: Float32Array; readonly ms: number }>;
};

export type Exam = {
  readonly passages: readonly DatasetPassage[];
  /** The best passages by words. */
  readonly lexical: (question: string) => Ranked["lexical"];
  readonly questions: readonly Question[];
  readonly pinned: readonly Question[];
};

/** Questions that are told by name: those that moved most. */
const movedMax = 30;

type Result = Pick<Comparison, "one" | "other" | "denseDifference" | "hybridDifference" | "slices" | "moved" | "pinned">;

export async function compareModels(exam: Exam, one: Asking, other?: Asking): Promise<Result> {
  const { questions, pinned } = exam;
  const before = await look(exam, one);
  const after = other && (await look(exam, other));
  const differences = (of: "dense" | "hybrid"): number[] =>
    after ? after[of].ndcg.map((value, at) => value - before[of].ndcg[at]!) : [];
  const moves = questions.map(({ text }, at) => ({
    question: text,
    one: before.hybrid.ndcg[at]!,
    other: after?.hybrid.ndcg[at] ?? 0,
  }));
  const moved = after ? moves.filter((move) => move.one !== move.other) : [];
  return {
    one: before.measures,
    ...(after && {
      other: after.measures,
      denseDifference: bootstrap(differences("dense")),
      hybridDifference: bootstrap(differences("hybrid")),
    }),
    slices: slicesOf(questions).map(([name, at]) => {
      const mean = (scores: Scores): number => meanOf(at.map((question) => scores.ndcg[question]!));
      return { name, questions: at.length, one: mean(before.hybrid), ...(after && { other: mean(after.hybrid) }) };
    }),
    moved: moved.toSorted((a, b) => Math.abs(b.other - b.one) - Math.abs(a.other - a.one)).slice(0, movedMax),
    pinned: pinned.map(({ text }, at) => ({
      question: text,
      one: before.pinned[at]! > 0,
      ...(after && { other: after.pinned[at]! > 0 }),
    })),
  };
}

type Looked = {
  readonly measures: ModelMeasures;
  readonly dense: Scores;
  readonly hybrid: Scores;
  /** Of each pinned question, whether its paper is among the first ten. */
  readonly pinned: readonly number[];
};

async function look(
  { passages, lexical, questions, pinned }: Exam,
  { name, fusion, sizeBytes, embed, ask }: Asking,
): Promise<Looked> {
  const vectors = flat(await embed(passages.map(({ text }) => text)));
  const times: number[] = [];
  const rank = async ({ text }: Question): Promise<Ranked> => {
    const { vector, ms } = await ask(text);
    times.push(ms);
    return { dense: nearest(vectors, vector, rankedMax), lexical: lexical(text) };
  };
  const ranked: Ranked[] = [];
  for (const question of [...questions, ...pinned]) ranked.push(await rank(question));
  const documentOf = (at: number): string => passages[at]!.documentId;
  const dense = scoresOf(questions, (at) => ranked[at]!.dense, documentOf);
  const hybrid = scoresOf(questions, (at) => fused(ranked[at]!, fusion), documentOf);
  const means = ({ ndcg, mrr, recall }: Scores) => ({ ndcg: bootstrap(ndcg), mrr: meanOf(mrr), recall: meanOf(recall) });
  return {
    measures: {
      name,
      fusion,
      sizeBytes,
      latencyMs: times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? 0,
      dense: means(dense),
      hybrid: means(hybrid),
    },
    dense,
    hybrid,
    pinned: scoresOf(pinned, (at) => fused(ranked[questions.length + at]!, fusion), documentOf).recall,
  };
}

function slicesOf(questions: readonly Question[]): [string, number[]][] {
  const slices = new Map<string, number[]>();
  for (const [at, { slices: mine }] of questions.entries())
    for (const slice of mine) slices.set(slice, [...(slices.get(slice) ?? []), at]);
  return [...slices];
}
