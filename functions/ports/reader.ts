import type { Format, Problem } from "../../convex/model/document.ts";
import type { Place } from "../../convex/model/place.ts";

export type Passage = {
  readonly text: string;
  readonly place: Place;
};

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
    }
  | { readonly type: "unreadable"; readonly problem: Problem };

/** Turns untrusted bytes into passages, away from the rest: bounded in time and memory. */
export type Reader = {
  /** `name` only breaks ties about the type. Fails with `cancelled` when `signal` fires; never throws for bad bytes. */
  read(bytes: Uint8Array, options: { name: string; signal: AbortSignal }): Promise<Reading>;
};
