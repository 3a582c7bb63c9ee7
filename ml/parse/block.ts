import type { Format } from "../../convex/model/document.ts";
import type { Place } from "../../convex/model/place.ts";

/**
 * What a document is made of, in reading order. `place` says where it stands in the source, without the heading path: that is
 * derived from the heading blocks when passages are made.
 */
export type Block =
  | { readonly type: "heading"; readonly level: number; readonly text: string; readonly place: Place }
  /** Running text; may be cut between sentences. */
  | { readonly type: "paragraph"; readonly text: string; readonly place: Place }
  /** Kept whole as far as a passage allows; cut between lines otherwise. */
  | { readonly type: "code"; readonly text: string; readonly place: Place }
  /** One record of a json array or jsonl file, or a group of keys: lines of "path: value". */
  | { readonly type: "record"; readonly text: string; readonly place: Place }
  /** `columns` are the header cells, empty where the table has none. Rows count from 1 in the place of a passage. */
  | {
      readonly type: "table";
      readonly columns: readonly string[];
      readonly rows: readonly (readonly string[])[];
      readonly place: Place;
    };

export type ParsedDocument = {
  readonly format: Format;
  /** What the document calls itself, else its file name. */
  readonly title: string;
  readonly pages?: number;
  readonly blocks: readonly Block[];
};

/** A piece of a document, with where it comes from. Equal in shape to the one in functions/ports/reader.ts. */
export type Passage = { readonly text: string; readonly place: Place };
