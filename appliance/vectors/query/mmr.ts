/** Maximal marginal relevance: near to what was asked and unlike what was already chosen. */
import type { Hit } from "../index/ranking.ts";
import type { VectorValue } from "../index/values.ts";

type Candidate = { readonly hit: Hit; readonly vector: VectorValue };
type Choice = {
  readonly target: VectorValue;
  /** 0: only what is near counts; 1: only what is unlike the rest. */
  readonly diversity: number;
  readonly limit: number;
  likeness(a: VectorValue, b: VectorValue): number;
};

/** In the order of choice, with the scores they came with. */
export function diversified(candidates: readonly Candidate[], { target, diversity, limit, likeness }: Choice): Hit[] {
  const left = candidates.map((candidate) => ({
    ...candidate,
    relevance: likeness(target, candidate.vector),
    closest: Number.NEGATIVE_INFINITY,
  }));
  const chosen: Hit[] = [];
  while (chosen.length < limit && left.length > 0) {
    let best = 0;
    const worth = ({ relevance, closest }: (typeof left)[number]): number =>
      chosen.length === 0 ? relevance : (1 - diversity) * relevance - diversity * closest;
    for (let i = 1; i < left.length; i++) if (worth(left[i]!) > worth(left[best]!)) best = i;
    const [taken] = left.splice(best, 1);
    chosen.push(taken!.hit);
    for (const other of left) other.closest = Math.max(other.closest, likeness(other.vector, taken!.vector));
  }
  return chosen;
}
