/** One ranking: best first. */
export type Ranking<Id> = {
  readonly name: string;
  readonly weight: number;
  readonly hits: readonly { readonly id: Id; readonly score: number }[];
};

export type Fused<Id> = {
  readonly id: Id;
  readonly score: number;
  /** Rank from 1. */
  readonly branches: readonly { readonly name: string; readonly rank: number; readonly score: number }[];
};

/**
 * How rankings become one. By ranks: a hit at position p (from 0) of a ranking with weight w adds 1 / ((p + 1) / w + k - 1), as Qdrant
 * computes it. By scores: each ranking's scores are laid out so that its mean is at a half and three deviations either way are 0 and 1,
 * and added up by weight; that keeps by how much one hit beat the next.
 */
export type FusionMethod = { readonly method: "ranks"; readonly k: number } | { readonly method: "scores" };

/**
 * What weights act on: at the 60 that is often copied, a weight changes next to nothing. Measured on headings against their sections,
 * words counting twice: better than equal weights.
 */
const byRanks: FusionMethod = { method: "ranks", k: 2 };

/** Best first; ties by the order in which ids were first seen, so the result is the same every time. */
export function fuse<Id>(rankings: readonly Ranking<Id>[], method: FusionMethod = byRanks): Fused<Id>[] {
  const fused = new Map<Id, { id: Id; score: number; branches: Fused<Id>["branches"][number][] }>();
  for (const { name, weight, hits } of rankings) {
    if (!(weight > 0)) continue;
    const worth = method.method === "scores" ? spread(hits) : undefined;
    for (const [at, { id, score }] of hits.entries()) {
      const known = fused.get(id) ?? { id, score: 0, branches: [] };
      known.score += method.method === "ranks" ? 1 / ((at + 1) / weight + method.k - 1) : weight * worth!(score);
      known.branches.push({ name, rank: at + 1, score });
      fused.set(id, known);
    }
  }
  return [...fused.values()].sort((one, other) => other.score - one.score);
}

/** Where a score lies among those of its ranking: a half at the mean. */
function spread(hits: readonly { readonly score: number }[]): (score: number) => number {
  const mean = hits.reduce((sum, { score }) => sum + score, 0) / hits.length;
  const square = hits.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / Math.max(1, hits.length - 1);
  const deviation = Math.sqrt(square);
  return (score) => (deviation > 0 ? (score - (mean - 3 * deviation)) / (6 * deviation) : 0.5);
}
