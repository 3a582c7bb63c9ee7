/** How good a ranking is, by the usual formulas. A judgement is how relevant a document is: 0 not at all, 1 relevant, more is better. */
export type Judgements = ReadonlyMap<string, number>;

/** DCG of the first `k`, with gains of 2^rel - 1, as a share of the best there could be. 0 when nothing is relevant. */
export function ndcg(ranked: readonly string[], judged: Judgements, k: number): number {
  const gain = (relevance: number, at: number): number => (2 ** relevance - 1) / Math.log2(at + 2);
  const got = ranked.slice(0, k).reduce((sum, id, at) => sum + gain(judged.get(id) ?? 0, at), 0);
  const ideal = [...judged.values()].sort((one, other) => other - one).slice(0, k);
  const best = ideal.reduce((sum, relevance, at) => sum + gain(relevance, at), 0);
  return best > 0 ? got / best : 0;
}

/** 1 over the rank of the first relevant document, 0 if none is among the first `k`. */
export function reciprocalRank(ranked: readonly string[], judged: Judgements, k: number): number {
  const at = ranked.slice(0, k).findIndex((id) => (judged.get(id) ?? 0) > 0);
  return at === -1 ? 0 : 1 / (at + 1);
}

/** The share of all relevant documents that is among the first `k`. */
export function recall(ranked: readonly string[], judged: Judgements, k: number): number {
  const relevant = [...judged].filter(([, relevance]) => relevance > 0).map(([id]) => id);
  if (relevant.length === 0) return 0;
  const first = new Set(ranked.slice(0, k));
  return relevant.filter((id) => first.has(id)).length / relevant.length;
}

export type Interval = { readonly mean: number; readonly from: number; readonly to: number };

/**
 * The mean of one value a question, and the 95 % interval that 2,000 resamples of the questions give. Pass the differences of two systems
 * for a paired comparison: it tells them apart when 0 is outside. Seeded, so the same values give the same interval.
 */
export function bootstrap(values: readonly number[], seed = 1): Interval {
  const resamples = 2_000;
  const mean = (of: readonly number[]): number => of.reduce((sum, value) => sum + value, 0) / Math.max(1, of.length);
  let state = seed >>> 0;
  const below = (count: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * count);
  };
  const means = Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let at = 0; at < values.length; at += 1) sum += values[below(values.length)] ?? 0;
    return sum / Math.max(1, values.length);
  }).sort((one, other) => one - other);
  return { mean: mean(values), from: means[Math.floor(resamples * 0.025)] ?? 0, to: means[Math.floor(resamples * 0.975)] ?? 0 };
}
