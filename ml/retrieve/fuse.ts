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
 * What weights act on: at the 60 that is often copied, a weight changes next to nothing. Measured on headings against their sections,
 * words counting twice: better than equal weights.
 */
const k = 2;

/**
 * Reciprocal rank fusion as Qdrant computes it: a hit at position p (from 0) of a ranking with weight w adds 1 / ((p + 1) / w + k - 1).
 * Best first; ties by the order in which ids were first seen, so the result is the same every time.
 */
export function fuse<Id>(rankings: readonly Ranking<Id>[]): Fused<Id>[] {
  const fused = new Map<Id, { id: Id; score: number; branches: Fused<Id>["branches"][number][] }>();
  for (const { name, weight, hits } of rankings) {
    if (!(weight > 0)) continue;
    for (const [at, { id, score }] of hits.entries()) {
      const known = fused.get(id) ?? { id, score: 0, branches: [] };
      known.score += 1 / ((at + 1) / weight + k - 1);
      known.branches.push({ name, rank: at + 1, score });
      fused.set(id, known);
    }
  }
  return [...fused.values()].sort((one, other) => other.score - one.score);
}
