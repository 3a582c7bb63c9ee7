/** From lines in reading order to headings, paragraphs, lists, footnotes and tables. */
import type { Block } from "../block.ts";
import { alignedTables } from "./alignedTables.ts";
import type { Line } from "./lines.ts";
import { union, type Rect } from "./shape.ts";
import type { FoundTable } from "./table.ts";

/** A block without its place, which is told from `rect`. */
export type Piece = {
  readonly rect: Rect;
  /** Type size of its first line; 0 when it has none. */
  readonly size: number;
  readonly block: Unplaced;
};
type Unplaced = { [K in Block["type"]]: Omit<Extract<Block, { type: K }>, "place"> }[Block["type"]];

/** What a document's type sizes say. */
export type Style = { readonly body: number; readonly isBodyBold: boolean; readonly levels: ReadonlyMap<number, number> };

/** Type this much larger than the running text is a heading, unless it runs on like text. */
const headingRatio = 1.12;
const headingCharsMax = 160;

const bullet = /^(?:[•◦▪‣●○■□➢➔✓✔·*]|[-–—](?=\s))\s*/u;
const number = /^(?:\(?\d{1,2}[.)]|\(?[a-z][.)]|\(?[ivx]{1,4}\))\s+/u;
const outline = /^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+\p{Lu}/u;
const noteMark = /^(\[?\d{1,3}\]?|[*†‡§]{1,2})[.)]?\s*(?=[\p{Lu}\p{Ll}«"(])/u;

export function styleOf(lines: readonly Line[]): Style {
  const chars = new Map<number, number>();
  let bold = 0;
  let all = 0;
  for (const line of lines) {
    chars.set(rounded(line.size), (chars.get(rounded(line.size)) ?? 0) + line.text.length);
    all += line.text.length;
    if (line.isBold) bold += line.text.length;
  }
  const body = [...chars].sort(([, one], [, other]) => other - one)[0]?.[0] ?? 10;
  const sizes = new Set(lines.filter((line) => isLarge(line, body)).map((line) => rounded(line.size)));
  const levels = new Map([...sizes].sort((one, other) => other - one).map((size, at) => [size, Math.min(4, at + 1)]));
  return { body, isBodyBold: bold > all / 2, levels };
}

function isLarge(line: Line, body: number): boolean {
  return line.size > body * headingRatio && line.text.length <= headingCharsMax && /\p{L}/u.test(line.text);
}

function rounded(size: number): number {
  return Math.round(size * 2) / 2;
}

/** The pieces of one column. `page` tells footnotes from small print. */
export function toPieces(lines: readonly Line[], style: Style, pageHeight: number): Piece[] {
  const tables = new Map<Line, FoundTable>();
  const inTable = new Set<Line>();
  for (const { table, lines: own } of alignedTables(lines)) {
    if (own[0]) tables.set(own[0], table);
    for (const line of own) inTable.add(line);
  }
  const pieces: Piece[] = [];
  const spacing = lineSpacing(lines);
  let held: Line[] = [];
  const flush = (): void => {
    if (held.length > 0) pieces.push(toPiece(held, style, pageHeight));
    held = [];
  };
  for (const line of lines) {
    const table = tables.get(line);
    if (table || inTable.has(line)) {
      flush();
      if (table) pieces.push(tablePiece(table, line.size));
      continue;
    }
    const last = held.at(-1);
    if (last && startsPiece(last, line, { spacing, first: held[0] ?? last })) flush();
    held.push(line);
  }
  flush();
  return joinLists(pieces);
}

export function tablePiece({ rect, columns, rows, spans }: FoundTable, size = 0): Piece {
  return { rect, size, block: { type: "table", columns, rows, ...(spans && { spans }) } };
}

function startsPiece(last: Line, line: Line, { spacing, first }: { spacing: number; first: Line }): boolean {
  if (Math.abs(last.size - line.size) > Math.max(last.size, line.size) * 0.08) return true;
  if (last.isBold !== line.isBold) return true;
  if (isItem(line) && (isItem(first) || /[:.;]\s*$/u.test(last.text) || bullet.test(line.text))) return true;
  const gap = line.y - last.y;
  if (gap < 0) return true;
  if (gap > Math.max(spacing, line.size) * 1.45) return true;
  // What hangs under an item's text goes on with it; what comes back to its mark does not.
  if (isItem(first) && line.x <= first.x + 1 && !isItem(line))
    return last.right < line.right - line.size || /[.!?;:]$/u.test(last.text);
  return line.x > last.x + line.size * 0.9 && /[.!?:]["'”’»)]*$/u.test(last.text) && last.right < line.right && !isItem(first);
}

function isItem(line: Line): boolean {
  return bullet.test(line.text) || number.test(line.text);
}

function toPiece(lines: readonly Line[], style: Style, pageHeight: number): Piece {
  const first = lines[0] as Line;
  const rect = union(lines);
  const text = joinedLines(lines);
  const level = headingLevel(lines, text, style);
  if (level !== undefined) return { rect, size: first.size, block: { type: "heading", level, text: text.replaceAll("\n", " ") } };
  const mark = noteMark.exec(text);
  if (mark && first.size < style.body * 0.93 && first.y > pageHeight * 0.55 && !bullet.test(text))
    return { rect, size: first.size, block: { type: "footnote", label: mark[1] ?? "", text: text.slice(mark[0].length) } };
  if (isItem(first)) {
    const isOrdered = number.test(first.text);
    const item = isOrdered ? text : text.replace(bullet, "");
    return {
      rect,
      size: first.size,
      block: { type: "list", isOrdered, items: [{ text: item.replaceAll(/\s*\n\s*/gu, " "), depth: 0 }] },
    };
  }
  return { rect, size: first.size, block: { type: "paragraph", text } };
}

function headingLevel(lines: readonly Line[], text: string, { body, isBodyBold, levels }: Style): number | undefined {
  const first = lines[0] as Line;
  const depth = (outline.exec(text)?.[1]?.split(".").length ?? 1) - 1;
  if (isLarge(first, body) && text.length <= headingCharsMax * 2) {
    const level = levels.get(rounded(first.size));
    if (level !== undefined) return Math.min(6, Math.max(level, depth + 1));
  }
  const isLone = lines.length <= 2 && text.length <= 110 && first.segments.length === 1;
  const isNamed =
    isLone && /^[\p{Lu}\d«"(]/u.test(text) && /\p{L}{2}/u.test(text) && !/[.;,:]$/u.test(text) && !bullet.test(text);
  if (isNamed && !isBodyBold && lines.every((line) => line.isBold)) return Math.min(6, Math.max(levels.size, 1) + 1 + depth);
  return undefined;
}

/** Items that follow one another become one list; a lone numbered one was a sentence that happens to begin with a number. */
function joinLists(pieces: readonly Piece[]): Piece[] {
  const joined: Piece[] = [];
  let lefts: number[] = [];
  let items: Piece[] = [];
  const flush = (): void => {
    const [first] = items;
    if (!first || first.block.type !== "list") return;
    lefts = [...new Set(items.map(({ rect }) => Math.round(rect.x / 5)))].sort((one, other) => one - other);
    const all = items.flatMap(({ block, rect }) =>
      block.type === "list"
        ? block.items.map(({ text }) => ({ text, depth: Math.min(5, lefts.indexOf(Math.round(rect.x / 5))) }))
        : [],
    );
    if (all.length === 1 && first.block.isOrdered) {
      joined.push({ ...first, block: { type: "paragraph", text: all[0]?.text ?? "" } });
    } else {
      const { isOrdered } = first.block;
      // The numbers of an ordered list are kept in its text: people cite them.
      joined.push({
        rect: union(items.map(({ rect }) => rect)),
        size: first.size,
        block: { type: "list", isOrdered, items: all },
      });
    }
    items = [];
  };
  for (const piece of pieces) {
    if (piece.block.type === "list" && piece.rect.top >= (items.at(-1)?.rect.top ?? 0)) items.push(piece);
    else {
      flush();
      if (piece.block.type === "list") items.push(piece);
      else joined.push(piece);
    }
  }
  flush();
  return joined;
}

/** The commonest distance between neighbouring lines. */
function lineSpacing(lines: readonly Line[]): number {
  const gaps = lines
    .map((line, at) => line.y - (lines[at - 1]?.y ?? line.y))
    .filter((gap) => gap > 1 && gap < 60)
    .sort((one, other) => one - other);
  return gaps[Math.floor(gaps.length / 2)] ?? 12;
}

/** Running lines become one; short lines and rows with cells keep their breaks. */
function joinedLines(lines: readonly Line[]): string {
  const widest = Math.max(...lines.map((line) => line.right));
  let text = "";
  for (const [at, line] of lines.entries()) {
    const last = lines[at - 1];
    text = last ? joinedTexts(text, line.text, runsOn(last, line, widest)) : line.text;
  }
  return text;
}

/** Two stretches as one: a word cut at the end of the first is made whole. */
export function joinedTexts(text: string, next: string, isRunning: boolean): string {
  if (/\p{Ll}[-\u00ad\u2010]$/u.test(text) && /^\p{Ll}/u.test(next)) return text.slice(0, -1) + next;
  return text + (isRunning ? ` ${next}` : `\n${next}`);
}

function runsOn(last: Line, line: Line, widest: number): boolean {
  if (last.text.includes("   ") || line.text.includes("   ")) return false;
  return last.right > widest - last.size * 8 || /^\p{Ll}/u.test(line.text) || last.isBold;
}
