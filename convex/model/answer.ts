import type { Place } from "./place.ts";

/** Part of a passage's text, as UTF-16 offsets: [from, to). */
export type Highlight = { readonly from: number; readonly to: number };

/** One passage that bears on a question, with where it stands. */
export type CitedPassage = {
  readonly documentId: string;
  readonly documentName: string;
  readonly title: string;
  /** Position in its document, from 0. */
  readonly ordinal: number;
  readonly text: string;
  readonly place: Place;
  /** The place as people cite it; empty when nothing is known. */
  readonly placeLabel: string;
  /** 0 to 1, higher is better; comparable within one answer only. */
  readonly score: number;
  /** The sentences that answer. */
  readonly highlights: readonly Highlight[];
};

/** What `ask` returns: passages, not prose. Without a model to write, Nika quotes and does not pretend. */
export type Answer = {
  readonly question: string;
  /** Language of the question, ISO 639-1 or "und". */
  readonly language: string;
  readonly passages: readonly CitedPassage[];
  readonly embedder: { readonly id: string; readonly label: string; readonly isBaseline: boolean };
  readonly tookMs: number;
};

export const questionCharsMax = 2_000;
export const passagesPerAnswerMax = 50;
