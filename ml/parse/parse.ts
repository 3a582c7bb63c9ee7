import { documentBytesMax, passagesPerDocumentMax } from "../../convex/model/document.ts";
import type { Block, ParsedDocument } from "./block.ts";
import { UnreadableError } from "./unreadable.ts";
import { codeBlocks } from "./code.ts";
import { csvBlocks } from "./csv.ts";
import { decodeText } from "./decode.ts";
import { htmlBlocks } from "./html.ts";
import { jsonBlocks, jsonlBlocks } from "./json.ts";
import { markdownBlocks } from "./markdown.ts";
import type { Eyes } from "./picture/recognise.ts";
import { PictureKeeper } from "./pictures.ts";
import { indexOfAscii, sniffBinary, sniffText } from "./sniff.ts";
import { textBlocks } from "./text.ts";

/** More text than this cannot fit in the passages one document may have, so nothing is spent on taking it apart. */
const textCharsMax = passagesPerDocumentMax * 1_400;
const titleCharsMax = 200;

type Parsed = Pick<ParsedDocument, "facts" | "pictures" | "recognised" | "elements"> & {
  readonly blocks: Block[];
  readonly title?: string;
  readonly pages?: number;
};

/**
 * What stands in a file, by its content; `name` only breaks ties and stands in for a missing title. Bytes are untrusted: fails
 * with `UnreadableError` for all that is wrong with them. They may be detached afterwards. Bounds on time and memory are the caller's (a thread that can be ended).
 */
export async function parse(bytes: Uint8Array, name: string, eyes: Eyes = {}): Promise<ParsedDocument> {
  return await parseNested(bytes, name, 0, eyes);
}

/** As `parse`, for a file inside `depth` mails. `eyes` read pictures; without them a scan has no text. */
export async function parseNested(bytes: Uint8Array, name: string, depth: number, eyes: Eyes = {}): Promise<ParsedDocument> {
  if (bytes.length === 0) throw new UnreadableError("empty");
  if (bytes.length > documentBytesMax) throw new UnreadableError("tooLarge");
  const kind = sniffBinary(bytes);
  const document = kind === undefined ? await parseText(bytes, name, depth, eyes) : await parseBinary(bytes, name, kind, eyes);
  // A picture is worth keeping even when nothing can be read in it.
  if (!document.blocks.some(hasText) && document.format !== "image") throw new UnreadableError("noText");
  return document;
}

async function parseBinary(
  bytes: Uint8Array,
  name: string,
  kind: NonNullable<ReturnType<typeof sniffBinary>>,
  eyes: Eyes,
): Promise<ParsedDocument> {
  switch (kind) {
    case "pdf": {
      const { pdfBlocks } = await import("./pdf/pdf.ts");
      return toDocument("pdf", name, await pdfBlocks(bytes, eyes));
    }
    case "image": {
      const { imageBlocks } = await import("./picture/image.ts");
      return toDocument("image", name, await imageBlocks(bytes, eyes));
    }
    case "zip":
      return await parsePackage(bytes, name);
    case "rtf": {
      const { rtfBlocks } = await import("./office/rtf.ts");
      const keeper = new PictureKeeper();
      return toDocument("rtf", name, { ...(await rtfBlocks(bytes, keeper)), ...keeper.kept });
    }
    case "ole": {
      const { oleBlocks } = await import("./office/ole.ts");
      const { format, ...parsed } = await oleBlocks(bytes);
      return toDocument(format, name, parsed);
    }
    case "packed":
      throw new UnreadableError("packed");
    case "other":
      throw new UnreadableError("unknownType");
  }
}

/** Office documents and e-books are zip archives, told by the parts they have. */
async function parsePackage(bytes: Uint8Array, name: string): Promise<ParsedDocument> {
  const { openPackage } = await import("./office/package.ts");
  const source = await openPackage(bytes);
  const isNamed = /\.(?:docx|xlsx|pptx|od[tsp]|epub)$/iu.test(name);
  if (!source) throw new UnreadableError(isCutOff(bytes) || isNamed ? "damaged" : "unknownType");
  const keeper = new PictureKeeper();
  if (source.names.some((part) => /^word\/.*\.xml$/u.test(part))) {
    const { docxBlocks } = await import("./office/docx.ts");
    return toDocument("docx", name, { ...(await docxBlocks(source, keeper)), ...keeper.kept });
  }
  if (source.has("xl/workbook.bin")) {
    const { xlsBlocks } = await import("./office/xls.ts");
    return toDocument("xlsx", name, await xlsBlocks(bytes));
  }
  if (source.names.some((part) => /^xl\/.*\.xml$/u.test(part))) {
    const { xlsxBlocks } = await import("./office/xlsx.ts");
    return toDocument("xlsx", name, { ...(await xlsxBlocks(source, keeper)), ...keeper.kept });
  }
  if (source.names.some((part) => /^ppt\/.*\.xml$/u.test(part))) {
    const { pptxBlocks } = await import("./office/pptx.ts");
    return toDocument("pptx", name, { ...(await pptxBlocks(source, keeper)), ...keeper.kept });
  }
  const { odfBlocks, odfFormatOf } = await import("./office/odf.ts");
  const format = await odfFormatOf(source);
  if (format !== undefined) return toDocument(format, name, { ...(await odfBlocks(source, format, keeper)), ...keeper.kept });
  if (source.has("META-INF/container.xml")) {
    const { epubBlocks } = await import("./epub.ts");
    return toDocument("epub", name, { ...(await epubBlocks(source, keeper)), ...keeper.kept });
  }
  throw new UnreadableError("unknownType");
}

/** An archive that begins as an office document and has no directory at its end was cut off. */
function isCutOff(bytes: Uint8Array): boolean {
  return ["word/", "xl/", "ppt/", "[Content_Types].xml", "META-INF/", "mimetype"].some(
    (part) => indexOfAscii(bytes, part) !== -1,
  );
}

async function parseText(bytes: Uint8Array, name: string, depth: number, eyes: Eyes): Promise<ParsedDocument> {
  const text = decodeText(bytes, textCharsMax);
  if (text === undefined) throw new UnreadableError("unknownType");
  const kind = sniffText(text, name);
  if (typeof kind !== "string") {
    if (kind.format === "csv") return toDocument("csv", name, { blocks: await csvBlocks(text, kind.delimiter) });
    return toDocument("code", name, { blocks: codeBlocks(text, kind.language) });
  }
  const keeper = new PictureKeeper();
  switch (kind) {
    case "eml": {
      const { mailBlocks } = await import("./eml.ts");
      const parse: typeof parseNested = async (content, name, depth) => await parseNested(content, name, depth, eyes);
      return toDocument("eml", name, await mailBlocks(bytes, depth, parse));
    }
    case "html":
      return toDocument("html", name, await readHtml(text));
    case "ics":
    case "vcf": {
      const { calendarBlocks, contactBlocks } = await import("./calendar.ts");
      return toDocument(kind, name, await (kind === "ics" ? calendarBlocks(text) : contactBlocks(text)));
    }
    case "ipynb": {
      const { notebookBlocks } = await import("./notebook.ts");
      const parsed = await notebookBlocks(text, keeper);
      return parsed ? toDocument("ipynb", name, { ...parsed, ...keeper.kept }) : toDocument("text", name, readText(text));
    }
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

/** Pictures written into the page itself are kept; those elsewhere are not fetched. */
async function readHtml(text: string): Promise<Parsed> {
  if (!text.includes("data:image/")) return await htmlBlocks(text);
  const keeper = new PictureKeeper();
  const keep = async (source: string, caption: string | undefined): Promise<number | undefined> => {
    const data = /^data:image\/(?:png|jpeg|webp);base64,(.+)$/su.exec(source)?.[1];
    return data === undefined ? undefined : keeper.add(Buffer.from(data, "base64"), { key: data, caption });
  };
  return { ...(await htmlBlocks(text, { keep })), ...keeper.kept };
}

/** A short first line that stands alone and ends no sentence is what a plain text calls itself. */
function readText(text: string): Parsed {
  const blocks = textBlocks(text);
  const first = blocks.length > 1 && blocks[0]?.type === "paragraph" ? blocks[0].text : "";
  return /^[\p{L}\p{N}][^\n]{1,78}[\p{L}\p{N}?!)]$/u.test(first) ? { blocks, title: first } : { blocks };
}

function toDocument(format: ParsedDocument["format"], name: string, { title, pages, ...rest }: Parsed): ParsedDocument {
  const own = title?.replaceAll(/\s+/gu, " ").trim().slice(0, titleCharsMax).toWellFormed();
  return { format, title: own || baseName(name), ...rest, ...(pages !== undefined && { pages }) };
}

function baseName(name: string): string {
  return (name.split(/[/\\]/u).at(-1) ?? name).slice(0, titleCharsMax).toWellFormed();
}

function hasText(block: Block): boolean {
  if (block.type === "table") return block.columns.length + block.rows.length > 0;
  if (block.type === "list") return block.items.length > 0;
  return /[\p{L}\p{N}]/u.test(`${block.type === "figure" ? (block.caption ?? "") : ""}${block.text ?? ""}`);
}
