import { v, type Infer } from "convex/values";

/** What Nika can read, told by the bytes. A wire name: add, never rename. */
export const formats = [
  "text",
  "markdown",
  "html",
  "csv",
  "json",
  "jsonl",
  "pdf",
  "docx",
  "eml",
  "image",
  "xlsx",
  "pptx",
  "odt",
  "ods",
  "odp",
  "rtf",
  "epub",
  "ipynb",
  "vcf",
  "ics",
  "code",
  "mbox",
  "archive",
] as const;
export type Format = (typeof formats)[number];

/** Why a document could not be turned into passages. Each has one sentence in `problemMessages`. */
export const problems = [
  "empty",
  "tooLarge",
  "tooManyPassages",
  "unknownType",
  "packed",
  "photo",
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
  packed:
    "Nika opens zip, tar and gzip archives, not 7z, rar, bzip2, xz or zstd; unpack it and add what is in it, or pack it as zip.",
  photo:
    "Nika cannot decode HEIC photographs on this machine; save it as JPEG or PNG and add that (on an iPhone: Settings, Camera, Formats, Most Compatible).",
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

/**
 * The life of a document. `waiting` and `reading` have an open ingest job; `staged` was read and counts for nothing until the owner
 * accepts it; `replaced` gave way to a newer version of itself; `forgetting` has, or will get, a forget job.
 */
export const documentStates = ["waiting", "reading", "staged", "ready", "unreadable", "replaced", "forgetting"] as const;
export type DocumentState = (typeof documentStates)[number];
export const vDocumentState = v.union(...documentStates.map((state) => v.literal(state)));

/** What sort of thing a document is, told by rules over its text and format. A wire name: add, never rename. */
export const entityTypes = [
  "document",
  "invoice",
  "quote",
  "contract",
  "email",
  "drawing",
  "manual",
  "report",
  "letter",
  "resume",
  "minutes",
  "table",
  "log",
  "code",
  "picture",
  "contact",
  "event",
] as const;
export type EntityType = (typeof entityTypes)[number];

/** A fact of use in business, with the text it was read from. `value` is its normal form, `isValid` whether its check digits hold. */
export const vElement = v.object({
  type: v.string(),
  text: v.string(),
  value: v.string(),
  isValid: v.optional(v.boolean()),
  page: v.optional(v.number()),
});
export type Element = Infer<typeof vElement>;

/** A number that a text gives for something in a figure, and the other one that stands in the figure. As they are written. */
export const vContradiction = v.object({
  label: v.string(),
  stated: v.string(),
  read: v.string(),
  page: v.optional(v.number()),
});
export type Contradiction = Infer<typeof vContradiction>;

/** A contradiction in words. */
export const contradictionSentence = ({ label, stated, read, page }: Contradiction): string =>
  `The text says ${stated} for ${label}, the figure${page === undefined ? "" : ` on page ${page}`} shows ${read}.`;

/** What reading a document found out about it; written once, when its ingest settles. */
export const vReading = v.object({
  format: vFormat,
  title: v.string(),
  /** ISO 639-1, or "und" when it could not be told. */
  language: v.string(),
  passages: v.number(),
  pages: v.optional(v.number()),
  /** Who wrote or sent it, by its own word. */
  author: v.optional(v.string()),
  /** When it was written or sent, by its own word; milliseconds since 1970. */
  writtenAt: v.optional(v.number()),
  /** What sort of thing it is; see `entityTypes`. */
  entityType: v.optional(v.string()),
  /** Pictures kept from it, and tables found in it. */
  pictures: v.optional(v.number()),
  tables: v.optional(v.number()),
  /** Pages whose text was recognised from a picture, and how sure the recogniser was of it on the whole, 0 to 100. */
  recognised: v.optional(v.object({ pages: v.number(), confidence: v.number() })),
  /** Facts of use in business found in the text: codes, amounts, account numbers. The first few; the rest is in the passages. */
  elements: v.optional(v.array(vElement)),
  /** Where its text and its figures disagree. */
  contradictions: v.optional(v.array(vContradiction)),
  /** Files that it holds, each a document of its own; and whether there were more than Nika unpacks. */
  entries: v.optional(v.number()),
  hasMore: v.optional(v.boolean()),
});
export type ReadingSummary = Infer<typeof vReading>;

/** Why it is unreadable, with the sentence for the owner. */
export const vTrouble = v.object({ problem: vProblem, message: v.string() });

/** How far a job got; `total` may grow while it runs. */
export const vProgress = v.object({ done: v.number(), total: v.number() });
export type Progress = Infer<typeof vProgress>;

/** What people call a document and file it under. The owner's word goes before what reading found out. */
export const vLabels = v.object({
  title: v.optional(v.string()),
  /** ISO 639-1. */
  language: v.optional(v.string()),
  /** See `entityTypes`. */
  entityType: v.optional(v.string()),
  /** A theme of the vault. */
  domain: v.optional(v.string()),
  /** See `scopes`. */
  scope: v.optional(v.string()),
});
export type DocumentLabels = Infer<typeof vLabels>;

/** Who may see a document, once there are others than its owner. */
export const scopes = ["private", "team", "tenant", "public"] as const;
/** Of documents that were put into no theme. */
export const domainDefault = "general";
const labelCharsMax = 200;

/** The labels as they may be kept, or a sentence on what is wrong. An empty text takes the owner's word back. */
export function findLabelProblem(labels: DocumentLabels): string | undefined {
  const { language, entityType, scope } = labels;
  if (Object.values(labels).some((text) => text.length > labelCharsMax || /\p{Cc}/u.test(text)))
    return `A label is one line of at most ${labelCharsMax} characters.`;
  if (language && !/^[a-z]{2,3}$/u.test(language)) return "A language is given by its code, such as en or fr.";
  if (entityType && !(entityTypes as readonly string[]).includes(entityType))
    return `A type is one of ${entityTypes.join(", ")}.`;
  if (scope && !(scopes as readonly string[]).includes(scope)) return `A scope is one of ${scopes.join(", ")}.`;
  return undefined;
}

/** What is kept after a change: given labels win, empty ones go. */
export function withLabels(before: DocumentLabels | undefined, changes: DocumentLabels): DocumentLabels {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, text]) => text !== ""));
}

/** A document as the owner sees it. Times are milliseconds since 1970. */
export const vDocumentView = v.object({
  id: v.id("documents"),
  name: v.string(),
  state: vDocumentState,
  sizeBytes: v.number(),
  addedAt: v.number(),
  readyAt: v.optional(v.number()),
  problem: v.optional(vTrouble),
  reading: v.optional(vReading),
  /** Only while it is being read. */
  progress: v.optional(vProgress),
  /** What the owner said of it. */
  labels: v.optional(vLabels),
  /** From 1; absent when there was never another. */
  version: v.optional(v.number()),
  batchId: v.optional(v.id("batches")),
  /** The archive or mailbox that it came in. */
  parentId: v.optional(v.id("documents")),
});
export type DocumentView = Infer<typeof vDocumentView>;

/** What became of one file handed in. */
export const vAdded = v.object({ id: v.id("documents"), name: v.string(), state: vDocumentState, isNew: v.boolean() });
export type Added = Infer<typeof vAdded>;

export const vDocumentCounts = v.object({
  waiting: v.number(),
  reading: v.number(),
  staged: v.number(),
  ready: v.number(),
  unreadable: v.number(),
  replaced: v.number(),
  forgetting: v.number(),
  /** Passages of the documents that are ready. */
  passages: v.number(),
});
export type DocumentCounts = Infer<typeof vDocumentCounts>;

const nameCharsMax = 1_000; // Longer than any path a file system allows in practice; keeps index keys small.

/**
 * A file's name or path as a label. It is never used as a path, so nothing is refused: separators become "/", control characters
 * go, and the end is kept when it is too long because that is where the file's own name stands.
 */
export function toDocumentName(raw: string): string {
  const name = raw
    .normalize("NFC")
    .replaceAll("\\", "/")
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "")
    .trim();
  return name === "" ? "unnamed" : Array.from(name).slice(-nameCharsMax).join("");
}

/** The last part of a name: what `find` goes by when it is given "/report.pdf"'s end. */
export function toBaseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** File storage tells hashes in base64 (the real backend) or hex (older calls, test doubles); we keep hex. */
export function toHex(sha256: string): string {
  if (/^[0-9a-f]{64}$/iu.test(sha256)) return sha256.toLowerCase();
  return Array.from(atob(sha256), (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

/** Where a file comes from, as a client may say it: the same key is the same file, whose bytes may change. */
export const keyCharsMax = 2_000;

/** How many earlier versions of a document are kept, their files included. */
export const versionsKeptMax = 5;

/** What is unpacked of one file handed in, however deep its parts are packed into each other. */
export const unpacking = { depthMax: 4, entriesMax: 10_000, bytesMax: 512 * 1024 * 1024 } as const;

/** Pictures kept of one document. */
export const picturesPerDocumentMax = 200;

/** The folder that a document is grouped under: the first two parts of its name at most, "" when it lies in none. */
export function toFolder(name: string): string {
  return name.split("/").slice(0, -1).slice(0, 2).join("/");
}

/** Documents handed in by one call. */
export const filesPerCallMax = 64;

/** Larger files are refused with `tooLarge` before a byte is read into memory. */
export const documentBytesMax = 64 * 1024 * 1024;
/** A ceiling on what one document may put into the store: about 4 MB of running text. */
export const passagesPerDocumentMax = 20_000;
