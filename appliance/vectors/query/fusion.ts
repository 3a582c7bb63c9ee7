/** Merging ranked lists: by rank (RRF) and by score distribution (DBSF), with Qdrant's formulas. */
import type { Hit } from "../index/ranking.ts";

/**
 * A point at place p (from 0) of a list with weight w adds 1 / ((p + 1) / w + k - 1); with w = 1 that is 1 / (p + k). A weight of
 * zero or less adds nothing.
 */
export function fuseByRank(lists: readonly (readonly Hit[])[], k: number, weights: readonly number[]): Hit[] {
  return sumUp(
    lists.map((hits, i) => {
      const weight = weights[i] ?? 1;
      return hits.map(({ slot }, place) => ({ slot, score: weight > 0 ? 1 / ((place + 1) / weight + k - 1) : 0 }));
    }),
  );
}

/** Each list's scores are moved to where mean - 3 deviations is 0 and mean + 3 deviations is 1, then added. */
export function fuseByDistribution(lists: readonly (readonly Hit[])[]): Hit[] {
  return sumUp(
    lists.map((hits) => {
      const mean = hits.reduce((sum, { score }) => sum + score, 0) / hits.length;
      // The sample deviation: n - 1.
      const variance = hits.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / (hits.length - 1);
      const spread = 6 * Math.sqrt(variance);
      const isFlat = hits.length < 2 || spread === 0;
      return hits.map(({ slot, score }) => ({ slot, score: isFlat ? 0.5 : (score - mean) / spread + 0.5 }));
    }),
  );
}

function sumUp(lists: readonly (readonly Hit[])[]): Hit[] {
  const sums = new Map<number, number>();
  for (const { slot, score } of lists.flat()) sums.set(slot, (sums.get(slot) ?? 0) + score);
  return Array.from(sums, ([slot, score]) => ({ slot, score }));
}
