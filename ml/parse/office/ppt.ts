import type { Block } from "../block.ts";
import { tidied } from "../decode.ts";
import { UnreadableError } from "../unreadable.ts";

/** Kinds of records in the stream of a presentation of PowerPoint 97 to 2003. */
const kinds = { slide: 1006, slideList: 4080, slidePersist: 1011, textHeader: 3999, chars: 4000, bytes: 4008 } as const;
const depthMax = 40;
const recordsMax = 2_000_000;
/** Kinds of text that are titles. */
const titles = new Set([0, 6]);

type Text = { readonly text: string; readonly isTitle: boolean };

/** The text of each slide: titles as headings, the rest as paragraphs. Pictures, tables and notes of these old files are left out. */
export async function pptBlocks(bytes: Buffer): Promise<{ blocks: Block[]; title?: string; pages: number }> {
  const { CFB } = await import("@e965/xlsx");
  let stream: Uint8Array | undefined;
  try {
    const container: unknown = CFB.read(bytes, { type: "buffer" });
    const entry = CFB.find(container, "PowerPoint Document") as { content?: Uint8Array } | null;
    stream = entry?.content;
  } catch (error) {
    throw new UnreadableError("damaged", { cause: error });
  }
  if (!stream) throw new UnreadableError("damaged");
  const slides = readSlides(Buffer.from(stream));
  const blocks = slides.flatMap((texts, at) => texts.map((one) => toBlock(one, at + 1)));
  const heading = blocks.find((block) => block.type === "heading");
  return { blocks, pages: slides.length, ...(heading?.type === "heading" && { title: heading.text }) };
}

function toBlock({ text, isTitle }: Text, page: number): Block {
  if (isTitle) return { type: "heading", level: 1, text: text.replaceAll("\n", " "), place: { page } };
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 1) return { type: "paragraph", text: lines[0] ?? "", place: { page } };
  return { type: "list", isOrdered: false, items: lines.map((line) => ({ text: line, depth: 0 })), place: { page } };
}

/** Text stands in the outline of the document and in the shapes of each slide; both count slides in the same order. */
function readSlides(stream: Buffer): Text[][] {
  const outline: Text[][] = [];
  const shapes: Text[][] = [];
  let records = 0;
  const walk = (from: number, to: number, context: { depth: number; list: Text[][] | undefined }): void => {
    let isTitle = false;
    for (let at = from; at + 8 <= to;) {
      records += 1;
      if (records > recordsMax) throw new UnreadableError("tooSlow");
      const version = stream.readUInt16LE(at);
      const kind = stream.readUInt16LE(at + 2);
      const start = at + 8;
      const end = Math.min(to, start + stream.readUInt32LE(at + 4));
      const list = context.list;
      if (kind === kinds.textHeader && end - start >= 4) isTitle = titles.has(stream.readUInt32LE(start));
      else if (kind === kinds.slidePersist && list === outline) list.push([]);
      else if (kind === kinds.chars) add(list, stream.toString("utf16le", start, end), isTitle);
      else if (kind === kinds.bytes) add(list, stream.toString("latin1", start, end), isTitle);
      else if ((version & 0xf) === 0xf && context.depth < depthMax) {
        if (kind === kinds.slide) shapes.push([]);
        // The first list is of slides; those of masters and notes have another number.
        const inner =
          kind === kinds.slide ? shapes : kind === kinds.slideList ? (version >> 4 === 0 ? outline : undefined) : list;
        walk(start, end, { depth: context.depth + 1, list: inner });
      }
      at = end;
    }
  };
  walk(0, stream.length, { depth: 0, list: undefined });
  const count = Math.max(outline.length, shapes.length);
  return Array.from({ length: count }, (_, at) => {
    const texts = [...(outline[at] ?? []), ...(shapes[at] ?? [])];
    // A slide's own number is no text of it.
    const said = texts.filter(({ text }) => text !== String(at + 1));
    return said.sort((one, other) => Number(other.isTitle) - Number(one.isTitle));
  });
}

function add(list: Text[][] | undefined, raw: string, isTitle: boolean): void {
  const text = tidied(raw.replaceAll(/[\r\v]/gu, "\n")).trim();
  // A lone star stands for a number or a date that the program fills in.
  if (text !== "" && text !== "*") list?.at(-1)?.push({ text, isTitle });
}
