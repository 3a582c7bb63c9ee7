import type { Contradiction, Element, EntityType, Format, Problem } from "../../convex/model/document.ts";
import type { Box, Place } from "../../convex/model/place.ts";
import type { Bytes } from "./files.ts";

export type Passage = {
  readonly text: string;
  readonly place: Place;
  readonly kind?: "prose" | "list" | "table" | "code" | "record" | "figure" | "footnote";
  /** Passages of one section carry the same number: the larger text a passage is a part of. */
  readonly section?: number;
};

/** A picture taken out of a document, encoded; see ml/parse/block.ts. */
export type ReadPicture = {
  readonly type: "figure" | "page" | "image";
  readonly bytes: Uint8Array;
  readonly mediaType: "image/webp" | "image/png" | "image/jpeg";
  readonly width: number;
  readonly height: number;
  readonly page?: number;
  readonly box?: Box;
  readonly caption?: string;
  readonly text?: string;
  readonly confidence?: number;
};

/** A file inside an archive or a mail box. With a `problem` it is there and cannot be had: locked, broken, or too large. */
export type Entry = { readonly name: string; readonly bytes: Bytes; readonly problem?: Problem };

/** Some of the files that another holds; `next` is where to go on, absent at the end. */
export type Entries = { readonly entries: readonly Entry[]; readonly next?: number };

/** A document as passages, or the reason why it cannot be: a bad file is an answer, not an exception. */
export type Reading =
  | {
      readonly type: "read";
      readonly format: Format;
      readonly title: string;
      /** ISO 639-1, or "und". */
      readonly language: string;
      readonly pages?: number;
      readonly passages: readonly Passage[];
      readonly author?: string;
      readonly writtenAt?: number;
      readonly people?: readonly string[];
      readonly entityType?: EntityType;
      readonly pictures?: readonly ReadPicture[];
      readonly tables?: number;
      readonly recognised?: { readonly pages: number; readonly confidence: number };
      readonly elements?: readonly Element[];
      /** Numbers that the text gives for what a figure shows otherwise. */
      readonly contradictions?: readonly Contradiction[];
      /** A sketch of its wording (ml/retrieve/sketch.ts): near-duplicates have alike ones. */
      readonly sketch?: readonly number[];
    }
  /** It holds other files: `Reader.entries` hands them out. */
  | { readonly type: "holder"; readonly format: "archive" | "mbox"; readonly entries: number }
  | { readonly type: "unreadable"; readonly problem: Problem };

/** Turns untrusted bytes into passages, away from the rest: bounded in time and memory. */
export type Reader = {
  /**
   * `name` only breaks ties about the type. Fails with `cancelled` when `signal` fires; never throws for bad bytes. With bytes on their
   * way all three also fail with what these fail with.
   */
  read(bytes: Bytes, options: { name: string; signal: AbortSignal }): Promise<Reading>;
  /**
   * The files in an archive or mail box, in order from the one numbered `from` (the first is 0), as many as fit in a few megabytes.
   * Ask again from `next`. Fails with `invalid` when it holds none, `cancelled` when `signal` fires.
   */
  entries(bytes: Bytes, options: { name: string; from: number; signal: AbortSignal }): Promise<Entries>;
  /**
   * A page (from 1) of a document as it looks, at most `widthMax` pixels wide, as webp. Undefined when its format has no pages or there is no such page.
   */
  page(
    bytes: Bytes,
    options: { name: string; page: number; widthMax: number; signal: AbortSignal },
  ): Promise<Uint8Array | undefined>;
};
