import type { Element, Format } from "../../convex/model/document.ts";
import type { Box, Place } from "../../convex/model/place.ts";

/**
 * What a document is made of, in reading order. `place` says where it stands in the source, without the heading path: that is
 * derived from the heading blocks when passages are made. Plain data: a document as blocks can be written as JSON.
 */
export type Block =
  | { readonly type: "heading"; readonly level: number; readonly text: string; readonly place: Place }
  /** Running text; may be cut between sentences. */
  | { readonly type: "paragraph"; readonly text: string; readonly place: Place }
  /** `depth` counts from 0. Cut between items only. */
  | {
      readonly type: "list";
      readonly isOrdered: boolean;
      readonly items: readonly { readonly text: string; readonly depth: number }[];
      readonly place: Place;
    }
  /** Kept whole as far as a passage allows; cut between lines otherwise. */
  | { readonly type: "code"; readonly text: string; readonly language?: string; readonly place: Place }
  /** One record of a json array or jsonl file, or a group of keys: lines of "path: value". */
  | { readonly type: "record"; readonly text: string; readonly place: Place }
  /**
   * `columns` are the header cells, empty where the table has none. Rows count from 1 in the place of a passage. A cell that spans
   * several is repeated in each, so that every row can be read alone; `spans` says which were one (row 0 is the header).
   */
  | {
      readonly type: "table";
      readonly columns: readonly string[];
      readonly rows: readonly (readonly string[])[];
      readonly caption?: string;
      readonly spans?: readonly Span[];
      readonly place: Place;
    }
  /** A picture in the document. `picture` is its index in `pictures`, absent when it was not kept. `text` is what was read in it. */
  | {
      readonly type: "figure";
      readonly caption?: string;
      readonly text?: string;
      readonly picture?: number;
      readonly place: Place;
    }
  | { readonly type: "footnote"; readonly label?: string; readonly text: string; readonly place: Place };

export type Span = { readonly row: number; readonly column: number; readonly rows: number; readonly columns: number };

/** A picture taken out of a document, as it is kept: an encoded image, upright, no larger than it needs to be looked at. */
export type Picture = {
  /** "figure": a part of a page; "page": a whole scanned page; "image": the document itself is one. */
  readonly type: "figure" | "page" | "image";
  readonly bytes: Uint8Array;
  readonly mediaType: "image/webp" | "image/png" | "image/jpeg";
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly page?: number;
  readonly box?: Box;
  readonly caption?: string;
  /** What was read in it, and how sure the recogniser was, 0 to 100. */
  readonly text?: string;
  readonly confidence?: number;
};

/** What a document says of itself. */
export type Facts = {
  readonly author?: string;
  /** Milliseconds since 1970. */
  readonly writtenAt?: number;
  /** Names and addresses of those who wrote, sent or received it. */
  readonly people?: readonly string[];
};

export type ParsedDocument = {
  readonly format: Format;
  /** What the document calls itself, else its file name. */
  readonly title: string;
  readonly pages?: number;
  readonly blocks: readonly Block[];
  readonly facts?: Facts;
  readonly pictures?: readonly Picture[];
  /** Pages whose text was recognised from a picture, with the mean confidence, 0 to 100. */
  readonly recognised?: { readonly pages: number; readonly confidence: number };
  /** What machines wrote for machines (bar codes); `elementsOf` finds the rest in the text. */
  readonly elements?: readonly Element[];
};

/** A piece of a document, with where it comes from. Equal in shape to the one in functions/ports/reader.ts. */
export type Passage = {
  readonly text: string;
  readonly place: Place;
  readonly kind?: PassageKind;
  /** Passages of one section carry the same number: the larger text a passage is a part of. */
  readonly section?: number;
};
export type PassageKind = "prose" | "list" | "table" | "code" | "record" | "figure" | "footnote";
