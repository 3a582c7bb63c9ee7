/** The process that reads untrusted files: bytes in, passages out. */
import { chunk } from "../../ml/chunk/chunk.ts";
import { openHolder } from "../../ml/parse/archive/holder.ts";
import { doclingDocument } from "../../ml/parse/docling.ts";
import { entityTypeOf } from "../../ml/parse/entityType.ts";
import { pageImage } from "../../ml/parse/pageImage.ts";
import { parse } from "../../ml/parse/parse.ts";
import { detectDocumentLanguage } from "../../ml/retrieve/language.ts";
import { sketchOf } from "../../ml/retrieve/sketch.ts";
import { UnreadableError } from "../../ml/parse/unreadable.ts";
import type { Entries, Reading } from "../../functions/ports/reader.ts";
import type { Recognise, Recognised } from "../../ml/parse/picture/recognise.ts";
import { askParent, handOver, serve } from "../processes/serve.ts";
import { findingsOf } from "./findings.ts";
import { splitEntries, splitReading, type Split } from "./parts.ts";

export type ReadRequest =
  | {
      readonly type: "read";
      readonly name: string;
      /** Whether the parent reads text in pictures. */
      readonly hasOcr: boolean;
      /** The bytes are what a service made of the file. */
      readonly isConverted: boolean;
    }
  | { readonly type: "page"; readonly page: number; readonly widthMax: number }
  | { readonly type: "entries"; readonly name: string; readonly from: number };
/** Passages and bytes come ahead, see parts.ts. `cause` is for the log: what a library said about the file. */
export type ReadReply =
  | { readonly type: "read"; readonly reading: Reading; readonly cause?: string }
  | { readonly type: "page"; readonly image: Uint8Array | undefined; readonly cause?: string }
  /** Undefined when it holds none. */
  | { readonly type: "entries"; readonly entries: Entries | undefined; readonly cause?: string };

/** Enough to tell the language by; the rest is in the same one more often than not. */
const languageSampleChars = 6_000;
const causeCharsMax = 300;

/** Pictures of text are read elsewhere: by a program, or a service, that this process may not reach. */
const recognise: Recognise = async (picture) => (await askParent(picture)) as Recognised | undefined;

serve(async (request: ReadRequest, bytes): Promise<ReadReply> => {
  try {
    if (request.type === "page") return { type: "page", image: await pageImage(bytes, request.page, request.widthMax) };
    if (request.type === "entries") return { type: "entries", entries: await entries(bytes, request) };
    const reading = await read(bytes, request);
    return { type: "read", reading: reading.type === "read" ? await sendAhead(splitReading(reading)) : reading };
  } catch (error) {
    const problem = problemOf(error);
    if (request.type === "entries") return { type: "entries", entries: undefined, cause: causeOf(error) };
    if (request.type === "page") return { type: "page", image: undefined, cause: causeOf(error) };
    return { type: "read", reading: { type: "unreadable", problem }, cause: causeOf(error) };
  }
});

/** Entries handed out at once: enough to keep the way busy, little enough to hold twice. */
const entriesBytesMax = 6 * 1024 * 1024;

async function entries(bytes: Uint8Array, { name, from }: { name: string; from: number }): Promise<Entries | undefined> {
  const holder = await openHolder(bytes, name);
  const found = await holder?.read(from, entriesBytesMax);
  return found && (await sendAhead(splitEntries(found)));
}

/** What is large goes before the rest, part by part. */
async function sendAhead<T>({ rest, parts }: Split<T>): Promise<T> {
  for (const part of parts) await handOver(part);
  return rest;
}

type Read = Extract<ReadRequest, { type: "read" }>;

async function read(bytes: Uint8Array, { name, hasOcr, isConverted }: Read): Promise<Reading> {
  const holder = isConverted ? undefined : await openHolder(bytes, name);
  if (holder) return { type: "holder", format: holder.format, entries: holder.count };
  const document = isConverted ? doclingDocument(bytes, name) : await parse(bytes, name, hasOcr ? { recognise } : {});
  const passages = chunk(document);
  // A picture without a word in it is still something to look at.
  if (passages.length === 0 && !document.pictures?.length) return { type: "unreadable", problem: "noText" };
  const language = await detectDocumentLanguage(sample(passages));
  const { format, title, pages } = document;
  const sketch = sketchOf(passages.map(({ text }) => text));
  return {
    type: "read",
    format,
    title,
    language,
    passages,
    entityType: entityTypeOf({ ...document, name }),
    ...(sketch && { sketch }),
    ...(pages !== undefined && { pages }),
    ...(await findingsOf(document)),
  };
}

function problemOf(error: unknown): UnreadableError["problem"] {
  if (error instanceof UnreadableError) return error.problem;
  // A module that is missing or may not be read is our fault and must not be blamed on a file.
  if (error instanceof Error && "code" in error && /MODULE|ACCESS_DENIED/u.test(String(error.code))) throw error;
  // Strings and arrays have a largest size, and some files are made to reach it.
  if (error instanceof RangeError && /invalid (?:string|array)/iu.test(error.message)) return "tooSlow";
  // Any other surprise was caused by the bytes: the same code reads all other files.
  return "damaged";
}

function causeOf(error: unknown): string {
  const cause: unknown = error instanceof UnreadableError ? (error.cause ?? error.problem) : error;
  return (cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)).slice(0, causeCharsMax);
}

function sample(passages: readonly { text: string }[]): string {
  let text = "";
  for (const passage of passages) {
    if (text.length > languageSampleChars) break;
    text += `${passage.text}\n`;
  }
  return text;
}
