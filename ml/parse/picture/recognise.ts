import type { Box } from "../../../convex/model/place.ts";

/** A picture of text, as it goes to a recogniser: upright as far as is known, grey, encoded. */
export type RecogniseRequest = {
  readonly bytes: Uint8Array;
  readonly mediaType: "image/png";
  readonly width: number;
  readonly height: number;
  /** "page" when it is a whole page, "figure" when text in it is scattered. */
  readonly type: "page" | "figure";
};

export type RecognisedWord = { readonly text: string; /** 0 to 100. */ readonly confidence: number; readonly box: Box };
export type RecognisedLine = {
  readonly words: readonly RecognisedWord[];
  readonly box: Box;
  /** Lines of one paragraph carry the same number. */
  readonly paragraph: number;
};

/** What was read in a picture. A vision model gives `markdown`; a recogniser of letters gives lines with places. */
export type Recognised = {
  readonly lines: readonly RecognisedLine[];
  readonly markdown?: string;
  /** Parts of the Markdown with their places, where the model tells them. */
  readonly blocks?: readonly { readonly text: string; readonly box: Box }[];
  /** Mean over words, weighted by their length, 0 to 100. */
  readonly confidence: number;
};

/** Reads a picture, or says undefined when nobody can. */
export type Recognise = (picture: RecogniseRequest) => Promise<Recognised | undefined>;

/** What reading a document may use beside its bytes. */
export type Eyes = {
  readonly recognise?: Recognise;
  /** Whether pictures are taken out and kept; they are unless this says no. */
  readonly keepsPictures?: boolean;
};
