/** One ranking: best first. */
export type Ranking<Id> = {
  readonly name: string;
  readonly weight: number;
  /** What its scores are; only joining by likeness asks. Without it they are a ranking by words'. */
  readonly measure?: "cosine" | "words";
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
 * and added up by weight; that keeps by how much one hit beat the next. By likeness: cosines as they are, because how near the nearest is
 * says how much the vectors know of this question; words' scores in deviations from their mean, and beyond `k` of them no more, because a
 * rare word alone is no answer. Words count from the last hit of their ranking up, cosines from the lowest of all, so that what a ranking does not have is as its last.
 */
export type FusionMethod =
  | { readonly method: "ranks"; readonly k: number }
  | { readonly method: "scores" }
  | { readonly method: "likeness"; readonly k: number };

/**
 * What weights act on: at the 60 that is often copied, a weight changes next to nothing. Measured on headings against their sections,
 * words counting twice: better than equal weights.
 */
const byRanks: FusionMethod = { method: "ranks", k: 2 };

/** Best first; ties by the order in which ids were first seen, so the result is the same every time. */
export function fuse<Id>(rankings: readonly Ranking<Id>[], method: FusionMethod = byRanks): Fused<Id>[] {
  const fused = new Map<Id, { id: Id; score: number; branches: Fused<Id>["branches"][number][] }>();
  const cosines = rankings.filter(({ measure }) => measure === "cosine").flatMap(({ hits }) => hits.map(({ score }) => score));
  const lowest = Math.min(...cosines);
  for (const { name, weight, hits, measure } of rankings) {
    if (!(weight > 0)) continue;
    const worth = method.method !== "likeness" ? spread(hits) : measure === "cosine" ? from(lowest) : capped(hits, method.k);
    for (const [at, { id, score }] of hits.entries()) {
      const known = fused.get(id) ?? { id, score: 0, branches: [] };
      known.score += method.method === "ranks" ? 1 / ((at + 1) / weight + method.k - 1) : weight * worth(score);
      known.branches.push({ name, rank: at + 1, score });
      fused.set(id, known);
    }
  }
  return [...fused.values()].sort((one, other) => other.score - one.score);
}

type Scored = readonly { readonly score: number }[];

const from =
  (lowest: number) =>
  (score: number): number =>
    score - lowest;

function capped(hits: Scored, deviationsMax: number): (score: number) => number {
  const { mean, deviation } = spreadOf(hits);
  // All alike, or one alone: found or not is all there is to tell.
  if (!(deviation > 0)) return () => 1;
  const at = (score: number): number => Math.min(deviationsMax, (score - mean) / deviation);
  const last = at(Math.min(...hits.map(({ score }) => score)));
  return (score) => at(score) - last;
}

/** Where a score lies among those of its ranking: a half at the mean. */
function spread(hits: Scored): (score: number) => number {
  const { mean, deviation } = spreadOf(hits);
  return (score) => (deviation > 0 ? (score - (mean - 3 * deviation)) / (6 * deviation) : 0.5);
}

function spreadOf(hits: Scored): { mean: number; deviation: number } {
  const mean = hits.reduce((sum, { score }) => sum + score, 0) / hits.length;
  const square = hits.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / Math.max(1, hits.length - 1);
  return { mean, deviation: Math.sqrt(square) };
}
