/** How to join the two rankings is chosen on questions that no verdict rests on, and kept with the model it was chosen for. */
import { fusionDefault, type Fusion } from "../../convex/model/model.ts";
import { fused, meanOf, scoresOf, type Question, type Ranked } from "./measure.ts";

const shares: readonly (readonly [number, number])[] = [
  [1, 3],
  [1, 2],
  [1, 1],
  [2, 1],
  [3, 1],
];

const candidates: readonly Fusion[] = [
  fusionDefault,
  ...[2, 10, 61].flatMap((k) => shares.map(([dense, lexical]): Fusion => ({ method: "ranks", k, dense, lexical }))),
  ...shares.map(([dense, lexical]): Fusion => ({ method: "scores", k: 0, dense, lexical })),
];

/** Another way has to be better than the usual one by this much to be worth changing to. */
const gainMin = 0.002;

/** The best of some twenty ways by NDCG@10; the usual one when none is better. */
export function tuneFusion(
  questions: readonly Question[],
  ranked: readonly Ranked[],
  documentOf: (at: number) => string,
): { readonly fusion: Fusion; readonly ndcg: number } {
  const [usual, ...others] = candidates.map((fusion) => ({
    fusion,
    ndcg: meanOf(scoresOf(questions, (at) => fused(ranked[at]!, fusion), documentOf).ndcg),
  }));
  let best = usual!;
  for (const other of others) if (other.ndcg > best.ndcg + (best === usual ? gainMin : 0)) best = other;
  return best;
}
