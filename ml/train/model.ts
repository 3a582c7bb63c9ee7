/** A model that is a table: a row a piece. A text is the sum of its rows, at length 1. */
import { nothing } from "../embed/baseline.ts";
import { addBag, toBag } from "./bag.ts";
import type { Vocabulary } from "./vocabulary.ts";

export type StaticModel = {
  readonly vocabulary: Vocabulary;
  readonly dimensions: number;
  /** `pieces × dimensions`. */
  readonly table: Float32Array;
};

/** What a text of nothing known becomes; beside anything known it does not count. */
export const nothingShare = 1e-6;
export const nothingOf = (dimensions: number): Float32Array => {
  const whole = nothing().subarray(0, dimensions);
  const length = Math.hypot(...whole);
  return whole.map((value) => (value * nothingShare) / length);
};

/** One unit vector per text, equal to what the exported model gives but for the last bits. */
export function embedTexts(model: StaticModel, texts: readonly string[]): Float32Array[] {
  const { vocabulary, dimensions, table } = model;
  const nothing = nothingOf(dimensions);
  return texts.map((text) => {
    const vector = Float32Array.from(nothing);
    addBag(toBag(text, vocabulary), table, { dimensions, out: vector, at: 0 });
    let square = 0;
    for (let d = 0; d < dimensions; d += 1) square += vector[d]! * vector[d]!;
    const scale = 1 / Math.sqrt(square);
    for (let d = 0; d < dimensions; d += 1) vector[d]! *= scale;
    return vector;
  });
}
