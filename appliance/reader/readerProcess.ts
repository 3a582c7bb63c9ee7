/** The process that reads untrusted files: bytes in, passages out. */
import { chunk } from "../../ml/chunk/chunk.ts";
import { parse } from "../../ml/parse/parse.ts";
import { detectDocumentLanguage } from "../../ml/retrieve/language.ts";
import { UnreadableError } from "../../ml/parse/unreadable.ts";
import type { Reading } from "../../functions/ports/reader.ts";
import { serve } from "../processes/serve.ts";

export type ReadRequest = { readonly name: string };
/** `cause` is for the log: what a library said about the file. */
export type ReadReply = { readonly reading: Reading; readonly cause?: string };

/** Enough to tell the language by; the rest is in the same one more often than not. */
const languageSampleChars = 6_000;
const causeCharsMax = 300;

serve(async ({ name }: ReadRequest, bytes): Promise<ReadReply> => {
  try {
    const document = await parse(bytes, name);
    const passages = chunk(document);
    if (passages.length === 0) return { reading: { type: "unreadable", problem: "noText" } };
    const language = await detectDocumentLanguage(sample(passages));
    const { format, title, pages } = document;
    return { reading: { type: "read", format, title, language, passages, ...(pages !== undefined && { pages }) } };
  } catch (error) {
    return { reading: { type: "unreadable", problem: problemOf(error) }, cause: causeOf(error) };
  }
});

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
