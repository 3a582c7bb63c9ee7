import type { Place } from "../../convex/model/place.ts";

/** Weighted terms of a text: `indices` are 32-bit hashes, unique; same length as `values`. */
export type Terms = { readonly indices: readonly number[]; readonly values: readonly number[] };

/** One passage of the vault, as it is stored. */
export type PassagePoint = {
  readonly documentId: string;
  /** Position in its document, from 0. With `documentId` it names the point, so writing it again replaces it. */
  readonly ordinal: number;
  readonly vector: Float32Array;
  readonly terms: Terms;
  readonly documentName: string;
  readonly title: string;
  readonly text: string;
  readonly place: Place;
  readonly language: string;
  readonly format: string;
};

export type PassageHit = {
  readonly documentId: string;
  readonly documentName: string;
  readonly title: string;
  readonly ordinal: number;
  readonly text: string;
  readonly place: Place;
  /** Fused score, higher is better; comparable within one answer only. */
  readonly score: number;
};

/** The vault's passages. All calls fail with `unavailable` when the store does not answer. */
export type Vectors = {
  /**
   * Replaces all passages of a document by these, which come in order and as they are made: a large document never lies in memory
   * whole. None is lost or doubled when it is cut off and repeated. Fails with what the source fails with.
   */
  replace(documentId: string, passages: Iterable<PassagePoint> | AsyncIterable<PassagePoint>, signal: AbortSignal): Promise<void>;
  /** A document without passages is not an error. */
  remove(documentId: string): Promise<void>;
  /** Dense and lexical together, fused by rank; best first, at most `limit`. */
  search(query: { vector: Float32Array; terms: Terms; limit: number }, signal: AbortSignal): Promise<readonly PassageHit[]>;
  /** Passages held, of one document or of all. */
  count(documentId?: string): Promise<number>;
};
