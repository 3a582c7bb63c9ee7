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

/** `fusionLearned`, with more or less of the vectors. */
const likeness = [8, 12, 24, 32, 48].map((dense): Fusion => ({ ...fusionLearned, dense }));

const candidates: readonly Fusion[] = [
  fusionLearned,
  ...likeness,
  fusionDefault,
  ...[2, 10, 61].flatMap((k) => shares.map(([dense, lexical]): Fusion => ({ method: "ranks", k, dense, lexical }))),
  ...shares.map(([dense, lexical]): Fusion => ({ method: "scores", k: 0, dense, lexical })),
];

/** Another way has to be better than the usual one by so many standard errors: the best of thirty is better by chance alone. */
const errorsMin = 2;

/**
 * The best of some thirty ways by NDCG@10; the usual one unless another is better beyond doubt. Tuning questions are about what was used last
 * and need not be like those to come, so what differs by little is not followed.
 */
export function tuneFusion(
  questions: readonly Question[],
  ranked: readonly Ranked[],
  documentOf: (at: number) => string,
): { readonly fusion: Fusion; readonly ndcg: number } {
  const [usual, ...others] = candidates.map((fusion) => ({
    fusion,
    ndcg: scoresOf(questions, (at) => fused(ranked[at]!, fusion), documentOf).ndcg,
  }));
  const found = others.filter(({ ndcg }) => isBeyond(ndcg.map((value, at) => value - usual!.ndcg[at]!)));
  const best = [usual!, ...found].reduce((one, other) => (meanOf(other.ndcg) > meanOf(one.ndcg) ? other : one));
  return { fusion: best.fusion, ndcg: meanOf(best.ndcg) };
}

function isBeyond(differences: readonly number[]): boolean {
  const mean = meanOf(differences);
  const square = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, differences.length - 1);
  return mean > errorsMin * Math.sqrt(square / differences.length);
}
