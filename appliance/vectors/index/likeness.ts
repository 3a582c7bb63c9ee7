/**
 * How alike two vectors are, larger is more: what Qdrant ranks by inside. Distances are negative, and Euclid's is squared; `shown` makes
 * of it the score that goes out.
 */
import type { DenseConfig, Distance, VectorConfig } from "../config.ts";
import { isRows, isTerms, rowsOf, type Rows, type Terms, type VectorValue } from "./values.ts";

type Likeness = (a: Float32Array, b: Float32Array) => number;

/** For distances a smaller score is the better one, in answers and in thresholds. */
export const isNearBetter = (distance: Distance): boolean => distance === "Euclid" || distance === "Manhattan";

export function likenessOf(config: VectorConfig): (a: VectorValue, b: VectorValue) => number {
  if (config.kind === "sparse") return (a, b) => (isTerms(a) && isTerms(b) ? sparseDot(a, b) : 0);
  const one = denseLikeness(config);
  return (a, b) => {
    if (isTerms(a) || isTerms(b)) return 0;
    if (isRows(a) || isRows(b)) return isRows(a) && isRows(b) ? maxSim(a, b, one) : 0;
    return one(a, b);
  };
}

export function denseLikeness({ distance, datatype }: DenseConfig): Likeness {
  switch (distance) {
    case "Dot":
      return dot;
    case "Euclid":
      return squared;
    case "Manhattan":
      return absolute;
    case "Cosine":
      // Bytes cannot be of length one, so they are stored as they came and divided here.
      return datatype === "uint8" ? cosine : dot;
  }
}

/** The score that answers show. */
export function shown(distance: Distance, likeness: number): number {
  if (distance === "Euclid") return Math.sqrt(Math.abs(likeness));
  return distance === "Manhattan" ? Math.abs(likeness) : likeness;
}

/** For each row asked, its best among the rows held; added up. */
function maxSim(asked: Rows, held: Rows, likeness: Likeness): number {
  let sum = 0;
  for (const row of rowsOf(asked)) {
    let best = Number.NEGATIVE_INFINITY;
    for (const other of rowsOf(held)) best = Math.max(best, likeness(row, other));
    sum += best;
  }
  return sum;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function cosine(a: Float32Array, b: Float32Array): number {
  const norms = dot(a, a) * dot(b, b);
  return norms === 0 ? 0 : dot(a, b) / Math.sqrt(norms);
}

function squared(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum -= (a[i]! - b[i]!) ** 2;
  return sum;
}

function absolute(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum -= Math.abs(a[i]! - b[i]!);
  return sum;
}

function sparseDot(a: Terms, b: Terms): number {
  let sum = 0;
  for (let i = 0, j = 0; i < a.indices.length && j < b.indices.length;) {
    const x = a.indices[i]!;
    const y = b.indices[j]!;
    if (x === y) sum += a.values[i]! * b.values[j]!;
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return sum;
}
