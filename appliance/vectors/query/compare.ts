/** Questions that weigh a point against several examples: recommend, discover, context. Larger is better in all of them. */
import type { VectorConfig } from "../config.ts";
import { isRows, isTerms, type Terms, type VectorValue } from "../index/values.ts";
import { badRequest } from "../refusal.ts";
import type { Comparison, Pair } from "./query.ts";

/** How alike a vector is to the point that is scored. */
type Likeness = (example: VectorValue) => number;
type Scorer = (likeness: Likeness) => number;

/** The examples are prepared. Nearest, and recommending by the average, are no such questions. */
export function scorerOf(comparison: Comparison<VectorValue>): Scorer {
  switch (comparison.type) {
    case "recommend":
      return comparison.strategy === "sum_scores" ? bySum(comparison) : byBest(comparison);
    case "discover": {
      const { target, pairs } = comparison;
      return (likeness) => pairs.reduce((rank, pair) => rank + sideOf(pair, likeness), halfSigmoid(likeness(target)));
    }
    case "context":
      return (likeness) => comparison.pairs.reduce((sum, pair) => sum - lossOf(pair, likeness), 0);
    case "nearest":
      throw new Error("nearest is answered by the index");
  }
}

type Examples = { readonly positives: readonly VectorValue[]; readonly negatives: readonly VectorValue[] };

const bySum =
  ({ positives, negatives }: Examples): Scorer =>
  (likeness) => {
    const sum = (examples: readonly VectorValue[]) => examples.reduce((total, example) => total + likeness(example), 0);
    return sum(positives) - sum(negatives);
  };

const byBest =
  ({ positives, negatives }: Examples): Scorer =>
  (likeness) => {
    const best = (examples: readonly VectorValue[]) => Math.max(Number.NEGATIVE_INFINITY, ...examples.map(likeness));
    const [wanted, unwanted] = [best(positives), best(negatives)];
    return wanted > unwanted ? halfSigmoid(wanted) : -halfSigmoid(unwanted);
  };

const sigmoid = (x: number): number => x / (1 + Math.abs(x));
/** Between 0 and 1. */
const halfSigmoid = (x: number): number => (Number.isFinite(x) ? (sigmoid(x) + 1) / 2 : Number.NaN);

const sideOf = ({ positive, negative }: Pair<VectorValue>, likeness: Likeness): number =>
  Math.sign(Math.fround(likeness(positive)) - Math.fround(likeness(negative)));

// What is on the right side by less than this still counts as lost: the precision of a 32-bit float.
const margin = 2 ** -23;

function lossOf({ positive, negative }: Pair<VectorValue>, likeness: Likeness): number {
  return -sigmoid(Math.min(likeness(positive) - likeness(negative) - margin, 0));
}

/** The middle of the positives, pushed away from the middle of the negatives by as much again. */
export function average({ positives, negatives }: Examples, config: VectorConfig): VectorValue {
  if ([...positives, ...negatives].some(isRows))
    throw badRequest("recommending by the average is not possible with multivectors");
  if (config.kind === "sparse") return averageTerms(positives.filter(isTerms), negatives.filter(isTerms));
  const dense = (examples: readonly VectorValue[]) => middle(examples.filter((one) => one instanceof Float32Array));
  const wanted = dense(positives);
  if (negatives.length === 0) return wanted;
  const unwanted = dense(negatives);
  return wanted.map((value, i) => value + value - unwanted[i]!);
}

function middle(vectors: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(vectors[0]!.length);
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]!;
  return sum.map((value) => value / vectors.length);
}

function averageTerms(positives: readonly Terms[], negatives: readonly Terms[]): Terms {
  const sums = new Map<number, number>();
  const addUp = (examples: readonly Terms[], factor: number): void => {
    for (const { indices, values } of examples) {
      for (const [i, index] of indices.entries())
        sums.set(index, (sums.get(index) ?? 0) + (factor * values[i]!) / examples.length);
    }
  };
  addUp(positives, negatives.length > 0 ? 2 : 1);
  addUp(negatives, -1);
  const terms = [...sums].sort(([a], [b]) => a - b);
  return { indices: Uint32Array.from(terms, ([index]) => index), values: Float32Array.from(terms, ([, value]) => value) };
}
