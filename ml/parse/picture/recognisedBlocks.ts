/** What was recognised in a picture, as blocks: lines become paragraphs and headings, doubtful words are marked. */
import type { Box, Place } from "../../../convex/model/place.ts";
import type { Block } from "../block.ts";
import { markdownBlocks } from "../markdown.ts";
import type { Recognised, RecognisedLine, RecognisedWord } from "./recognise.ts";

/** Words the recogniser was less sure of are followed by this; they are never dropped. */
export const doubtMark = "(?)";
const doubtfulBelow = 40;
/** Lines this much taller than the others' median are headings. */
const headingRatio = 1.45;

/** Blocks with their places on `page`, or in the picture itself when there is none. */
export async function recognisedBlocks(found: Recognised, page: number | undefined): Promise<Block[]> {
  const where = (box: Box): Place => ({ ...(page !== undefined && { page }), box });
  if (found.markdown !== undefined) {
    const parts = found.blocks ?? [{ text: found.markdown, box: { left: 0, top: 0, width: 1, height: 1 } }];
    const blocks: Block[] = [];
    for (const { text, box } of parts)
      for (const block of (await markdownBlocks(text)).blocks) blocks.push({ ...block, place: where(box) });
    return blocks;
  }
  const heights = found.lines.map(({ box }) => box.height).sort((one, other) => one - other);
  const median = heights[Math.floor(heights.length / 2)] ?? 0;
  const blocks: Block[] = [];
  for (const lines of paragraphsOf(found.lines)) {
    const text = joined(lines.map(textOf));
    const place = where(unionBox(lines.map(({ box }) => box)));
    if (!/[\p{L}\p{N}]/u.test(text)) continue;
    const isHeading =
      lines.length <= 2 &&
      text.length <= 120 &&
      /\p{L}{2}/u.test(text) &&
      lines.every(({ box }) => box.height > median * headingRatio);
    blocks.push(isHeading ? { type: "heading", level: 2, text, place } : { type: "paragraph", text, place });
  }
  return blocks;
}

/** All that was read, line by line, for search and for comparing. */
export function recognisedText(found: Recognised): string {
  return found.markdown ?? found.lines.map(textOf).join("\n");
}

function textOf({ words }: RecognisedLine): string {
  return words.map(markedWord).join(" ");
}

function markedWord({ text, confidence }: RecognisedWord): string {
  return confidence < doubtfulBelow && /[\p{L}\p{N}]/u.test(text) ? `${text}${doubtMark}` : text;
}

function paragraphsOf(lines: readonly RecognisedLine[]): RecognisedLine[][] {
  const groups: RecognisedLine[][] = [];
  for (const line of lines) {
    const last = groups.at(-1);
    if (last && last[0]?.paragraph === line.paragraph) last.push(line);
    else groups.push([line]);
  }
  return groups;
}

/** Running lines as one; a word cut at the end of a line is made whole. */
function joined(lines: readonly string[]): string {
  let text = "";
  for (const line of lines) {
    if (text === "") text = line;
    else if (/\p{Ll}[-\u00ad]$/u.test(text) && /^\p{Ll}/u.test(line)) text = text.slice(0, -1) + line;
    else text += /^[\p{Ll}\d(]/u.test(line) || /[\p{Ll},;]$/u.test(text) ? ` ${line}` : `\n${line}`;
  }
  return text;
}

export function unionBox(boxes: readonly Box[]): Box {
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const right = Math.max(...boxes.map((box) => box.left + box.width));
  const bottom = Math.max(...boxes.map((box) => box.top + box.height));
  return { left, top, width: right - left, height: bottom - top };
}
