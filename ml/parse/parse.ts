import { documentBytesMax, passagesPerDocumentMax } from "../../convex/model/document.ts";
import type { Block, ParsedDocument } from "./block.ts";
import { UnreadableError } from "./unreadable.ts";
import { csvBlocks } from "./csv.ts";
import { decodeText } from "./decode.ts";
import { htmlBlocks } from "./html.ts";
import { jsonBlocks, jsonlBlocks } from "./json.ts";
import { markdownBlocks } from "./markdown.ts";
import { sniffBinary, sniffText } from "./sniff.ts";
import { textBlocks } from "./text.ts";

/** More text than this cannot fit in the passages one document may have, so nothing is spent on taking it apart. */
const textCharsMax = passagesPerDocumentMax * 1_400;
const titleCharsMax = 200;

type Parsed = { readonly blocks: Block[]; readonly title?: string; readonly pages?: number };

/**
 * What stands in a file, by its content; `name` only breaks ties and stands in for a missing title. Bytes are untrusted: fails
 * with `UnreadableError` for all that is wrong with them. They may be detached afterwards. Bounds on time and memory are the caller's (a thread that can be ended).
 */
export async function parse(bytes: Uint8Array, name: string): Promise<ParsedDocument> {
  return await parseNested(bytes, name, 0);
}

/** As `parse`, for a file inside `depth` mails. */
export async function parseNested(bytes: Uint8Array, name: string, depth: number): Promise<ParsedDocument> {
  if (bytes.length === 0) throw new UnreadableError("empty");
  if (bytes.length > documentBytesMax) throw new UnreadableError("tooLarge");
  const kind = sniffBinary(bytes);
  const document = kind === undefined ? await parseText(bytes, name, depth) : await parseBinary(bytes, name, kind);
  if (!document.blocks.some(hasText)) throw new UnreadableError("noText");
  return document;
}

async function parseBinary(
  bytes: Uint8Array,
  name: string,
  kind: NonNullable<ReturnType<typeof sniffBinary>>,
): Promise<ParsedDocument> {
  switch (kind) {
    case "pdf": {
      const { pdfBlocks } = await import("./pdf.ts");
      return toDocument("pdf", name, await pdfBlocks(bytes));
    }
    case "zip": {
      const { docxBlocks } = await import("./docx.ts");
      return toDocument("docx", name, await docxBlocks(bytes, name));
    }
    case "ole":
      // Office puts a password-protected file into an old-style container with this entry, its name in UTF-16.
      throw new UnreadableError(
        Buffer.from(bytes).includes(Buffer.from("EncryptedPackage", "utf16le")) ? "encrypted" : "unknownType",
      );
    case "other":
      throw new UnreadableError("unknownType");
  }
}

async function parseText(bytes: Uint8Array, name: string, depth: number): Promise<ParsedDocument> {
  const text = decodeText(bytes, textCharsMax);
  if (text === undefined) throw new UnreadableError("unknownType");
  const kind = sniffText(text, name);
  if (typeof kind !== "string") return toDocument("csv", name, { blocks: await csvBlocks(text, kind.delimiter) });
  switch (kind) {
    case "eml": {
      const { mailBlocks } = await import("./eml.ts");
      return toDocument("eml", name, await mailBlocks(bytes, depth, parseNested));
    }
    case "html":
      return toDocument("html", name, await htmlBlocks(text));
    case "markdown":
      return toDocument("markdown", name, await markdownBlocks(text));
    case "jsonl":
      return toDocument("jsonl", name, { blocks: jsonlBlocks(text) });
    case "json": {
      // Broken JSON is still text that somebody may look for.
      const parsed = jsonBlocks(text);
      return parsed ? toDocument("json", name, parsed) : toDocument("text", name, readText(text));
    }
    case "text":
      return toDocument("text", name, readText(text));
  }
}

/** A short first line that stands alone and ends no sentence is what a plain text calls itself. */
function readText(text: string): Parsed {
  const blocks = textBlocks(text);
  const first = blocks.length > 1 && blocks[0]?.type === "paragraph" ? blocks[0].text : "";
  return /^[\p{L}\p{N}][^\n]{1,78}[\p{L}\p{N}?!)]$/u.test(first) ? { blocks, title: first } : { blocks };
}

function toDocument(format: ParsedDocument["format"], name: string, { blocks, title, pages }: Parsed): ParsedDocument {
  const own = title?.replaceAll(/\s+/gu, " ").trim().slice(0, titleCharsMax).toWellFormed();
  return { format, title: own || baseName(name), blocks, ...(pages !== undefined && { pages }) };
}

function baseName(name: string): string {
  return (name.split(/[/\\]/u).at(-1) ?? name).slice(0, titleCharsMax).toWellFormed();
}

function hasText(block: Block): boolean {
  if (block.type === "table") return block.columns.length + block.rows.length > 0;
  if (block.type === "list") return block.items.length > 0;
  return /[\p{L}\p{N}]/u.test(`${block.type === "figure" ? (block.caption ?? "") : ""}${block.text ?? ""}`);
}
