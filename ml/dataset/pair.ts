import type { PassageName } from "../../convex/model/use.ts";

/** Where a pair comes from; all but the first two were made, and say so wherever they show. */
export type Origin =
  /** Somebody asked, and used this passage. */
  | "used"
  /** Somebody asked, asked again in other words, and then used this passage. */
  | "reformulated"
  /** A heading, asked of what stands under it. */
  | "heading"
  /** A few words of a passage, asked of the rest of it. */
  | "span"
  /** A model wrote the question. */
  | "written";

export const isReal = (origin: Origin): boolean => origin === "used" || origin === "reformulated";

/** A question and a passage that answers it. */
export type Pair = {
  readonly query: string;
  readonly passage: PassageName;
  /** How sure that is, 0 to 1. */
  readonly weight: number;
  /** When it was learned; milliseconds since 1970, 0 when it has no time. */
  readonly at: number;
  readonly origin: Origin;
  /** Whose use it was, as far as one may not count too much: a session. */
  readonly session: string;
  /** What a made question was taken out of, and is left out of the passage when it is learned from. */
  readonly without?: string;
};

/** A passage as a dataset knows it. */
export type DatasetPassage = PassageName & {
  readonly title: string;
  /** What is embedded: see textToEmbed. */
  readonly text: string;
  /** Its own words alone. */
  readonly body: string;
  readonly headings: readonly string[];
  readonly language: string;
  readonly entityType: string;
  readonly scope: string;
};

export const nameOf = ({ documentId, ordinal }: PassageName): string => `${documentId}/${ordinal}`;

/** A question as it is compared: case, spaces and marks do not make another. */
export const normalQuery = (query: string): string =>
  query
    .toLowerCase()
    .normalize("NFKC")
    .replaceAll(/[\s\p{P}]+/gu, " ")
    .trim();
