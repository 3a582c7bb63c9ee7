import { v, type Infer } from "convex/values";
import type { Box, Place } from "./place.ts";

/** Part of a passage's text, as UTF-16 offsets: [from, to). */
export type Highlight = { readonly from: number; readonly to: number };

/**
 * What a search is limited to. Lists mean "any of these"; parts are joined by "and". A document that does not say when it was written
 * is in no period.
 */
export const vSearchFilter = v.object({
  /** See `entityTypes`. */
  types: v.optional(v.array(v.string())),
  /** ISO 639-1. */
  languages: v.optional(v.array(v.string())),
  formats: v.optional(v.array(v.string())),
  kinds: v.optional(v.array(v.string())),
  domains: v.optional(v.array(v.string())),
  scopes: v.optional(v.array(v.string())),
  documentIds: v.optional(v.array(v.string())),
  /** Words of a name or address, all of which must be in those of one document's author or people. */
  author: v.optional(v.string()),
  /** A folder as it stands in documents' names: "clients/2025". */
  folder: v.optional(v.string()),
  /** When it was written: milliseconds since 1970, `from` included, `to` not. */
  from: v.optional(v.number()),
  to: v.optional(v.number()),
});
export type SearchFilter = Infer<typeof vSearchFilter>;

/** How much beside the words decides, each from 0 (nothing) to 1. */
export type SearchWeights = {
  /** Newer documents first. */
  readonly recency?: number;
  /** What binds (contracts, invoices, manuals) before what was merely said. */
  readonly authority?: number;
  /** How much a passage must differ from those above it. Default 0.3. */
  readonly diversity?: number;
};

/** What Nika made of a question. A guess: it moves passages up, and never keeps one from being found. */
export type Understood = {
  /** Type, language and period, when the question names them. */
  readonly filter: SearchFilter;
  /** Word for word, because it stood in quotation marks. */
  readonly phrases: readonly string[];
  /** Codes and numbers that are looked for as they are. */
  readonly codes: readonly string[];
  /** Words the vault does not know, with the ones it knows that were looked for as well. */
  readonly corrections: readonly { readonly word: string; readonly read: readonly string[] }[];
};

/** How a passage came to be found; only when asked for. */
export type Explanation = {
  /** Rank from 1 and score in each ranking that had it. Scores of different rankings do not compare. */
  readonly branches: readonly { readonly name: string; readonly rank: number; readonly score: number }[];
  /** Words of the question that it holds. */
  readonly terms: readonly string[];
  /** After fusion, 0 to 1. */
  readonly fused: number;
  /** How much of the question stands in it, and in one sentence of it; 0 to 1 each. */
  readonly passageShare: number;
  readonly sentenceShare: number;
  /** Of the cross-encoder, when there is one. */
  readonly reranker?: number;
};

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
  readonly kind?: string;
  readonly entityType?: string;
  readonly language?: string;
  readonly author?: string;
  readonly writtenAt?: number;
  /** Other passages that say the same in almost the same words, left out of the list. */
  readonly alike?: readonly { readonly documentId: string; readonly documentName: string; readonly ordinal: number }[];
  readonly explanation?: Explanation;
};

/** A picture that bears on a question, with where it stands. */
export type CitedPicture = {
  /** Its bytes are at /pictures/<pictureId>. */
  readonly pictureId: string;
  readonly documentId: string;
  readonly documentName: string;
  readonly title: string;
  /** Position among the pictures of its document, from 0. */
  readonly ordinal: number;
  readonly type: "figure" | "page" | "image";
  readonly width: number;
  readonly height: number;
  /** The page it is on, from 1, and the part of that page. */
  readonly page?: number;
  readonly box?: Box;
  readonly caption?: string;
  /** Recognised in it. */
  readonly text?: string;
  /** The passage of its document that speaks for it: where to open it. */
  readonly passage?: number;
  /** The place as people cite it; empty when nothing is known. */
  readonly placeLabel: string;
  /** 0 to 1, higher is better; comparable within one answer only. */
  readonly score: number;
  readonly language: string;
  /** Rank from 1 and score in each ranking that had it; only when asked for. */
  readonly branches?: readonly { readonly name: string; readonly rank: number; readonly score: number }[];
};

/** What pictures were looked for with. */
export type PictureSight = {
  readonly id: string;
  readonly label: string;
  /** Whether a picture without a word can be found by what it shows. */
  readonly seesMeaning: boolean;
  /** False when those stored are of another embedder: then they are found by their words, until they are embedded anew. */
  readonly isInForce: boolean;
};

/** What a search for pictures returns, best first. */
export type PictureAnswer = {
  /** Absent when a picture was asked with. */
  readonly question?: string;
  readonly pictures: readonly CitedPicture[];
  readonly sight: PictureSight;
  readonly tookMs: number;
};

/** What `ask` and `search` return: passages, not prose. Without a model to write, Nika quotes and does not pretend. */
export type Answer = {
  readonly question: string;
  /** Language of the question, ISO 639-1 or "und". */
  readonly language: string;
  readonly passages: readonly CitedPassage[];
  /** Pictures that bear on it, of `ask` alone, and what they were looked for with. */
  readonly pictures?: readonly CitedPicture[];
  readonly sight?: PictureSight;
  readonly understood: Understood;
  readonly embedder: { readonly id: string; readonly label: string; readonly isBaseline: boolean };
  /** The cross-encoder that had the last word, if there is one. */
  readonly reranker?: string;
  readonly tookMs: number;
  /** Names this answer when it is said what was done with it; see uses.ts. */
  readonly useKey?: string;
};

/** A passage with what stands around it in its document. */
export type OpenedPassage = {
  readonly documentId: string;
  readonly documentName: string;
  readonly title: string;
  readonly ordinal: number;
  /** Of the same section, in order, the passage itself among them. */
  readonly passages: readonly {
    readonly ordinal: number;
    readonly text: string;
    readonly place: Place;
    readonly placeLabel: string;
    readonly kind?: string;
  }[];
  /** Whether the section goes on before and after what is shown, or other sections do. */
  readonly hasBefore: boolean;
  readonly hasAfter: boolean;
};

export const questionCharsMax = 2_000;
export const passagesPerAnswerMax = 50;

/** An answer as a few lines that can be read away from the page: the sentences that answer, and where they stand. */
export function quoteOf({ passages }: Answer): string | undefined {
  const quotes = passages.map(({ text, highlights, documentName, placeLabel }) => {
    const sentences = highlights.map(({ from, to }) => text.slice(from, to).trim()).filter((sentence) => sentence !== "");
    const quote = sentences.length > 0 ? sentences.join(" … ") : text.slice(0, quoteCharsMax).trim();
    return `${quote} (${[documentName, placeLabel].filter((part) => part !== "").join(", ")})`;
  });
  return quotes.length === 0 ? undefined : quotes.join("\n");
}
const quoteCharsMax = 400;
