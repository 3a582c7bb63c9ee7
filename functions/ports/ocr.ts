import type { Box } from "../../convex/model/place.ts";

/** A picture of text, upright as far as is known. */
export type OcrPicture = {
  readonly bytes: Uint8Array;
  readonly mediaType: "image/png";
  readonly width: number;
  readonly height: number;
  /** "page" when it is a whole page, "figure" when the text in it is scattered. */
  readonly type: "page" | "figure";
};

export type OcrWord = { readonly text: string; /** 0 to 100. */ readonly confidence: number; readonly box: Box };
export type OcrLine = {
  readonly words: readonly OcrWord[];
  readonly box: Box;
  /** Lines of one paragraph carry the same number. */ readonly paragraph: number;
};

/** Lines with places from a recogniser of letters, or `markdown` from a model that looks at the whole page. */
export type OcrText = {
  readonly lines: readonly OcrLine[];
  readonly markdown?: string;
  /** Its parts with their places, where the model tells them. */
  readonly blocks?: readonly { readonly text: string; readonly box: Box }[];
  /** Mean, 0 to 100. */ readonly confidence: number;
};

/** Reads text in pictures. */
export type Ocr = {
  /** What reads, for the owner: "tesseract 5.3.0 (fra+eng)". */
  readonly label: string;
  /**
   * Empty when there is no text. Undefined when this picture could not be read: too slow, too large, refused. Fails with `cancelled`
   * when `signal` fires, `unavailable` or `quota` when a later try may do.
   */
  read(picture: OcrPicture, signal: AbortSignal): Promise<OcrText | undefined>;
  close(): Promise<void>;
};
