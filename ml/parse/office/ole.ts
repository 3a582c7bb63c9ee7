import type { Block, ParsedDocument } from "../block.ts";
import { tidied } from "../decode.ts";
import { textBlocks } from "../text.ts";
import { UnreadableError } from "../unreadable.ts";

type OleDocument = {
  readonly format: ParsedDocument["format"];
  readonly blocks: Block[];
  readonly title?: string;
  readonly pages?: number;
};

/**
 * Office files from before 2007, by what their container holds: workbooks whole, the text of Word documents with their notes, the text
 * of slides. They go by the format of their successor. Fails with `encrypted`, `damaged`, or `unknownType` for other containers.
 */
export async function oleBlocks(bytes: Uint8Array): Promise<OleDocument> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A modern file with a password lies in an old container with this entry. Names in it are UTF-16.
  const holds = (name: string): boolean => buffer.includes(Buffer.from(name, "utf16le"));
  if (holds("EncryptedPackage")) throw new UnreadableError("encrypted");
  if (holds("WordDocument")) return { format: "docx", ...(await docBlocks(buffer)) };
  if (holds("PowerPoint Document")) {
    const { pptBlocks } = await import("./ppt.ts");
    return { format: "pptx", ...(await pptBlocks(buffer)) };
  }
  if (holds("Workbook") || holds("Book")) {
    const { xlsBlocks } = await import("./xls.ts");
    return { format: "xlsx", ...(await xlsBlocks(bytes)) };
  }
  throw new UnreadableError("unknownType");
}

/** Bit of the header's flags that says the text is encrypted. */
const encryptedBit = 0x0100;

async function docBlocks(buffer: Buffer): Promise<{ blocks: Block[] }> {
  const { default: WordExtractor } = await import("word-extractor");
  const header = buffer.indexOf(Buffer.from([0xec, 0xa5]));
  if (header !== -1 && header % 512 === 0 && (buffer.readUInt16LE(Math.min(header + 10, buffer.length - 2)) & encryptedBit) !== 0)
    throw new UnreadableError("encrypted");
  try {
    const document = await new WordExtractor().extract(buffer);
    const blocks = cellsApart(tidied(document.getBody()));
    for (const [label, text] of notesOf(tidied(`${document.getFootnotes()}\n${document.getEndnotes()}`)))
      blocks.push({ type: "footnote", label, text, place: {} });
    return { blocks };
  } catch (error) {
    throw error instanceof UnreadableError ? error : new UnreadableError("damaged", { cause: error });
  }
}

/** Rows of a table are lines with tabs between the cells; the rest is paragraphs, one a line. */
function cellsApart(text: string): Block[] {
  const blocks: Block[] = [];
  let rows: string[][] = [];
  const flush = (): void => {
    if (rows.length > 1) blocks.push({ type: "table", columns: rows[0] ?? [], rows: rows.slice(1), place: {} });
    else for (const row of rows) blocks.push({ type: "paragraph", text: row.join("\t").trim(), place: {} });
    rows = [];
  };
  for (const line of text.split("\n")) {
    const cells = line.replace(/\t$/u, "").split("\t");
    if (cells.length > 1 && (rows.length === 0 || cells.length === rows[0]?.length)) {
      rows.push(cells.map((cell) => cell.trim()));
      continue;
    }
    flush();
    if (line.trim() !== "") for (const block of textBlocks(line.trim())) blocks.push({ ...block, place: {} });
  }
  flush();
  return blocks;
}

function notesOf(text: string): [string, string][] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").map((line, at) => [String(at + 1), line]);
}
