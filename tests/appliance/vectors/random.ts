/** Repeatable randomness for data: a seed, a stream. */
export type Random = { next(): number; below(n: number): number; normal(): number };

export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (n) => Math.floor(next() * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}

export function unit(vector: Float32Array): Float32Array {
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
}

/** No structure at all: the worst case for whatever approximates. */
export function isotropic({ normal }: Random, dimensions: number): Float32Array {
  return unit(Float32Array.from({ length: dimensions }, normal));
}

/** Points round a few centres, as embeddings of texts on a few subjects are. */
export function clustered(from: Random, dimensions: number, centres: number): () => Float32Array {
  const middles = Array.from({ length: centres }, () => isotropic(from, dimensions));
  const spread = 0.4 / Math.sqrt(dimensions);
  return () => {
    const middle = middles[from.below(centres)]!;
    return unit(middle.map((value) => value + spread * from.normal()));
  };
}

/** The `k` best of all, by looking at each in double precision. */
export function nearestOf(vectors: readonly Float32Array[], query: Float32Array, k: number): number[] {
  const scores = vectors.map((vector, i) => {
    let sum = 0;
    for (let j = 0; j < query.length; j++) sum += vector[j]! * query[j]!;
    return [sum, i] as const;
  });
  return scores
    .sort((a, b) => b[0] - a[0])
    .slice(0, k)
    .map(([, i]) => i);
}
