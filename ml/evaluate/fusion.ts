/** How to join the two rankings is chosen on questions that no verdict rests on, and kept with the model it was chosen for. */
import { fusionDefault, fusionLearned, type Fusion } from "../../convex/model/model.ts";
import { fused, meanOf, scoresOf, type Question, type Ranked } from "./measure.ts";

const shares: readonly (readonly [number, number])[] = [
  [1, 3],
  [1, 2],
  [1, 1],
  [2, 1],
  [3, 1],
];

const candidates: readonly Fusion[] = [
  fusionLearned,
  fusionDefault,
  ...[2, 10, 61].flatMap((k) => shares.map(([dense, lexical]): Fusion => ({ method: "ranks", k, dense, lexical }))),
  ...shares.map(([dense, lexical]): Fusion => ({ method: "scores", k: 0, dense, lexical })),
];

/** From here on words alone have answered. */
const answeredMin = 0.5;
/** Another way has to be better than the usual one by so many standard errors: the best of twenty is better by chance alone. */
const errorsMin = 2;

/**
 * The best of some twenty ways by NDCG@10; the usual one unless another is better beyond doubt. Questions that words answer alone count as much
 * as all others together, however many there are of either: those to come need not be asked in the words of those that were.
 */
export function tuneFusion(
  questions: readonly Question[],
  ranked: readonly Ranked[],
  documentOf: (at: number) => string,
): { readonly fusion: Fusion; readonly ndcg: number } {
  const byWords = scoresOf(questions, (at) => ranked[at]!.lexical, documentOf).ndcg.map((value) => value >= answeredMin);
  const answered = byWords.filter(Boolean).length;
  const others = questions.length - answered;
  const weights = byWords.map((isAnswered) =>
    answered === 0 || others === 0 ? 1 : questions.length / 2 / (isAnswered ? answered : others),
  );
  const [usual, ...rest] = candidates.map((fusion) => ({
    fusion,
    ndcg: scoresOf(questions, (at) => fused(ranked[at]!, fusion), documentOf).ndcg.map((value, at) => weights[at]! * value),
  }));
  const found = rest.filter(({ ndcg }) => isBeyond(ndcg.map((value, at) => value - usual!.ndcg[at]!)));
  const best = [usual!, ...found].reduce((one, other) => (meanOf(other.ndcg) > meanOf(one.ndcg) ? other : one));
  return { fusion: best.fusion, ndcg: meanOf(best.ndcg) };
}

function isBeyond(differences: readonly number[]): boolean {
  const mean = meanOf(differences);
  const square = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, differences.length - 1);
  return mean > errorsMin * Math.sqrt(square / differences.length);
}
