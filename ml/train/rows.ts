/**
 * What a model knows before it has learned anything: each piece points where the offline baseline points (its letters, its stem, the idea
 * that a table knows for it). How rare it is in the vault does not count at first: tried, and worse for questions in other words than the
 * text's, where the rare word is the one that misleads; training finds what matters. What is trained are these features, not the pieces, so a
 * word that no example had moves with the words that share its stem, its idea or its letters.
 */
import { wordFeatures, type WordFeature } from "../embed/baseline.ts";
import { words } from "../retrieve/words.ts";
import { padId, unknownId, type Vocabulary } from "./vocabulary.ts";

export type Features = {
  readonly dimensions: number;
  /** One row of `dimensions` after the other. */
  readonly values: Float32Array;
  /** How fast each may move beside the others. */
  readonly pace: Float32Array;
  /** Piece `id` is the sum of `coefficients[at]` times feature `features[at]`, for `at` from `starts[id]` to `starts[id + 1]`. */
  readonly starts: Uint32Array;
  readonly features: Uint32Array;
  readonly coefficients: Float32Array;
  readonly kinds: readonly WordFeature["kind"][];
};

/** Endings say little; single letters of a word nobody has seen say next to nothing. */
const continuationWeight = { long: 0.3, short: 0.03 };
const shortContinuation = 3;
/** Letters are shared by words that have nothing to do with each other. */
const paces = { word: 1, stem: 1, gram: 0.2, idea: 0.7 } as const;

export function firstFeatures(vocabulary: Vocabulary, dimensions: number): Features {
  const known = new Map<string, number>();
  const [starts, features, coefficients]: [number[], number[], number[]] = [[0], [], []];
  const rows: Float32Array[] = [];
  const pace: number[] = [];
  const kinds: WordFeature["kind"][] = [];
  for (const [id, piece] of vocabulary.pieces.entries()) {
    if (id !== padId && id !== unknownId) {
      const isContinuation = piece.startsWith("##");
      const plain = isContinuation ? piece.slice(2) : piece;
      const place = isContinuation ? (plain.length > shortContinuation ? continuationWeight.long : continuationWeight.short) : 1;
      const mine = new Map<number, number>();
      for (const word of words(plain)) {
        for (const { name, kind, coefficient, signs } of wordFeatures(word, dimensions)) {
          let feature = known.get(name);
          if (feature === undefined) {
            feature = rows.length;
            known.set(name, feature);
            rows.push(signs());
            pace.push(paces[kind]);
            kinds.push(kind);
          }
          mine.set(feature, (mine.get(feature) ?? 0) + coefficient * place);
        }
      }
      for (const [feature, coefficient] of mine) {
        features.push(feature);
        coefficients.push(coefficient);
      }
    }
    starts.push(features.length);
  }
  const values = new Float32Array(rows.length * dimensions);
  for (const [at, row] of rows.entries()) values.set(row, at * dimensions);
  return {
    dimensions,
    values,
    pace: Float32Array.from(pace),
    starts: Uint32Array.from(starts),
    features: Uint32Array.from(features),
    coefficients: Float32Array.from(coefficients),
    kinds,
  };
}

type Composing = { readonly values: Float32Array; readonly out: Float32Array; readonly at: number };

/** Writes piece `id`'s row, made of `values`, to `out` at `at`. */
export function composeRow(features: Features, id: number, { values, out, at }: Composing): void {
  const { dimensions } = features;
  out.fill(0, at, at + dimensions);
  for (let part = features.starts[id]!; part < features.starts[id + 1]!; part += 1) {
    const coefficient = features.coefficients[part]!;
    const from = features.features[part]! * dimensions;
    for (let d = 0; d < dimensions; d += 1) out[at + d]! += coefficient * values[from + d]!;
  }
}

/** The whole table of a vocabulary: `pieces × dimensions`. */
export function composeTable(features: Features, values: Float32Array): Float32Array {
  const pieces = features.starts.length - 1;
  const table = new Float32Array(pieces * features.dimensions);
  for (let id = 0; id < pieces; id += 1) composeRow(features, id, { values, out: table, at: id * features.dimensions });
  return table;
}
