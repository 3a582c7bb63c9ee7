import { v, type Infer } from "convex/values";

/** What Nika can read, told by the bytes. A wire name: add, never rename. */
export const formats = ["text", "markdown", "html", "csv", "json", "jsonl", "pdf", "docx", "eml"] as const;
export type Format = (typeof formats)[number];

/** Why a document could not be turned into passages. Each has one sentence in `problemMessages`. */
export const problems = [
  "empty",
  "tooLarge",
  "tooManyPassages",
  "unknownType",
  "damaged",
  "encrypted",
  "noText",
  "bomb",
  "tooSlow",
  "noPermission",
  "notAFile",
  "linkLoop",
  "vanished",
  "failed",
] as const;
export type Problem = (typeof problems)[number];

/** The sentence an owner reads, in English; the page carries its own French. `failed` adds the job's own message. */
export const problemMessages: Record<Problem, string> = {
  empty: "The file is empty.",
  tooLarge: "The file is larger than Nika reads; split it and add the parts.",
  tooManyPassages: "The file holds more text than one document may; split it and add the parts.",
  unknownType: "This type of file is not one Nika reads yet.",
  damaged: "The file is damaged or cut off.",
  encrypted: "The file is protected by a password; save a copy without one and add that.",
  noText: "There is no text in it; it may be a scan or a picture.",
  bomb: "The file unpacks to far more than its size; Nika did not open it.",
  tooSlow: "Reading the file took too long or too much memory, so Nika gave up on it.",
  noPermission: "Nika may not read this file; check its permissions.",
  notAFile: "This is not an ordinary file.",
  linkLoop: "This link leads back to itself.",
  vanished: "The file disappeared while it was being added.",
  failed: "Nika could not finish reading it.",
};

export const vProblem = v.union(...problems.map((problem) => v.literal(problem)));
export const vFormat = v.union(...formats.map((format) => v.literal(format)));

/** The life of a document. `waiting` and `reading` have an open ingest job; `forgetting` has, or will get, a forget job. */
export const vDocumentState = v.union(
  v.literal("waiting"),
  v.literal("reading"),
  v.literal("ready"),
  v.literal("unreadable"),
  v.literal("forgetting"),
);
export type DocumentState = Infer<typeof vDocumentState>;

/** What reading a document found out about it; written once, when its ingest settles. */
export const vReading = v.object({
  format: vFormat,
  title: v.string(),
  /** ISO 639-1, or "und" when it could not be told. */
  language: v.string(),
  passages: v.number(),
  pages: v.optional(v.number()),
});
export type ReadingSummary = Infer<typeof vReading>;

/** Larger files are refused with `tooLarge` before a byte is read into memory. */
export const documentBytesMax = 64 * 1024 * 1024;
/** A ceiling on what one document may put into the store: about 4 MB of running text. */
export const passagesPerDocumentMax = 20_000;
