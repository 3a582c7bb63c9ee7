import { readFileSync } from "node:fs";
import { chunk } from "../../../ml/chunk/chunk.ts";
import type { ParsedDocument, Passage } from "../../../ml/parse/block.ts";
import { parse } from "../../../ml/parse/parse.ts";
import { UnreadableError } from "../../../ml/parse/unreadable.ts";

export type Read = ParsedDocument & { readonly passages: readonly Passage[] };

/** Bytes or text as passages. */
export async function read(content: Uint8Array | string, name: string): Promise<Read> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  const document = await parse(bytes, name);
  // What sort of passage each is, and of which section, is the chunker's business and tested there.
  return { ...document, passages: chunk(document).map(({ text, place }) => ({ text, place })) };
}

/** A file of tests/fixtures/documents, under another name if one is given. */
export async function readFixture(file: string, name = file): Promise<Read> {
  return await read(readFileSync(new URL(`../../fixtures/documents/${file}`, import.meta.url)), name);
}

/** Why bytes cannot be read; "none" when they can. */
export async function problemOf(content: Uint8Array | string, name: string): Promise<string> {
  try {
    await read(content, name);
    return "none";
  } catch (error) {
    if (error instanceof UnreadableError) return error.problem;
    throw error;
  }
}

/** The one passage that holds `text`. */
export function passageWith({ passages }: Read, text: string): Passage {
  const found = passages.filter((passage) => passage.text.includes(text));
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} passages hold ${JSON.stringify(text)}`);
  return found[0];
}
