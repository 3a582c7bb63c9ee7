/** Exact rankings in memory, as a verdict needs them: no approximation, ties by position, several passages of a document as one. */

export type Hit = { readonly at: number; readonly score: number };

/** The `limit` vectors nearest to `query`, best first. `vectors` lie one after the other, at length 1 each. */
export function nearest(vectors: Float32Array, query: Float32Array, limit: number): Hit[] {
  const size = query.length;
  const count = vectors.length / size;
  const best: Hit[] = [];
  let least = -Infinity;
  for (let at = 0; at < count; at += 1) {
    let score = 0;
    for (let d = 0, from = at * size; d < size; d += 1) score += query[d]! * vectors[from + d]!;
    if (score <= least) continue;
    best.push({ at, score });
    if (best.length < limit * 2) continue;
    best.sort(byScore).length = limit;
    least = best.at(-1)!.score;
  }
  return best.sort(byScore).slice(0, limit);
}

const byScore = (one: Hit, other: Hit): number => other.score - one.score || one.at - other.at;

/** Vectors one after the other. */
export function flat(vectors: readonly Float32Array[]): Float32Array {
  const size = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * size);
  for (const [at, vector] of vectors.entries()) all.set(vector, at * size);
  return all;
}
