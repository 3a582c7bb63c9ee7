/**
 * From runs of text at positions to blocks in reading order: runs → lines (same baseline) → columns (white gutters) → paragraphs
 * (gaps, indents), headings by their size, repeated headers and footers dropped. Rules, not learning: rotated tables and dense
 * forms come out in some order, not always the best one.
 */
import type { Block } from "./block.ts";

/** Points, y downwards from the top of the page. */
export type PageItem = {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly size: number;
  readonly pageHeight: number;
  readonly pageWidth: number;
};

type Line = { readonly text: string; readonly x: number; readonly right: number; readonly y: number; readonly size: number };

/** Share of the page at its top and bottom where headers and footers stand. */
const marginShare = 0.1;
/** Type this much larger than the running text is a heading, unless it runs on like text. */
const headingRatio = 1.12;
const headingCharsMax = 160;
/** A gap this wide, in type sizes, is not a space between words. */
const gutterSizes = 2.2;

export function pdfLayout(pages: readonly (readonly PageItem[])[]): Block[] {
  const lines = pages.map((items) => columnsOf(items).flatMap(linesOf));
  const repeated = repeatedMargins(pages, lines);
  const kept = lines.map((page, at) => page.filter((line) => !repeated.has(marginKey(line, heightOf(pages[at] ?? [])))));
  const body = bodySize(kept.flat());
  const levels = headingLevels(kept.flat(), body);
  return kept.flatMap((page, at) => paragraphs(page, at + 1, body, levels));
}

/**
 * Splits a page at a white strip that runs down its middle. What spans the strip (a title, a wide figure's caption) cuts the page
 * into bands, and each band is read on its own: left column, then right.
 */
function columnsOf(items: readonly PageItem[]): PageItem[][] {
  const inked = items.filter((item) => item.text.trim() !== "");
  const gutter = findGutter(inked);
  if (gutter === undefined) return [[...items]];
  const bands: { y: number; left: PageItem[]; right: PageItem[]; across: PageItem[] }[] = [
    { y: 0, left: [], right: [], across: [] },
  ];
  const spans = (item: PageItem): boolean => item.x < gutter - 1 && item.x + item.width > gutter + 1;
  for (const item of [...inked].sort((one, other) => one.y - other.y)) {
    const band = bands.at(-1);
    if (!band) continue;
    if (spans(item)) {
      const last = band.across.at(-1);
      if (band.left.length + band.right.length === 0 || (last && Math.abs(last.y - item.y) < item.size)) band.across.push(item);
      else bands.push({ y: item.y, left: [], right: [], across: [item] });
    } else if (item.x < gutter) {
      band.left.push(item);
    } else {
      band.right.push(item);
    }
  }
  return bands.flatMap((band) => [band.across, band.left, band.right].filter((part) => part.length > 0));
}

/** The x of a strip that almost no run crosses, with much text on both sides; undefined for one column. */
function findGutter(items: readonly PageItem[]): number | undefined {
  const width = items[0]?.pageWidth ?? 0;
  if (items.length < 12 || width === 0) return undefined;
  const chars = (some: readonly PageItem[]): number => some.reduce((sum, item) => sum + item.text.length, 0);
  const total = chars(items);
  let best: { x: number; crossing: number } | undefined;
  for (let share = 0.35; share <= 0.65; share += 0.01) {
    const x = width * share;
    const crossing = chars(items.filter((item) => item.x < x + 3 && item.x + item.width > x - 3));
    const left = chars(items.filter((item) => item.x + item.width <= x - 3));
    const right = chars(items.filter((item) => item.x >= x + 3));
    const isBalanced = left > total * 0.2 && right > total * 0.2;
    if (isBalanced && crossing < total * 0.15 && (!best || crossing < best.crossing)) best = { x, crossing };
  }
  // Cells of a table are short; columns of text are not.
  const leftStarts = best ? items.filter((item) => item.x + item.width < (best?.x ?? 0)) : [];
  const mean = chars(leftStarts) / Math.max(1, new Set(leftStarts.map((item) => Math.round(item.y))).size);
  return mean >= 18 ? best?.x : undefined;
}

/** Runs on one baseline make a line; wide gaps inside it become tabs' worth of space, so that table cells stay apart. */
function linesOf(items: readonly PageItem[]): Line[] {
  const rows: PageItem[][] = [];
  for (const item of [...items].sort((one, other) => one.y - other.y || one.x - other.x)) {
    const row = rows.at(-1);
    const base = row?.[0];
    if (row && base && Math.abs(base.y - item.y) <= Math.max(2, Math.min(base.size, item.size) * 0.4)) row.push(item);
    else rows.push([item]);
  }
  return rows.map(toLine).filter((line) => line.text !== "");
}

function toLine(row: readonly PageItem[]): Line {
  const inked = row.filter((item) => item.text.trim() !== "");
  // Blank runs only say that there is a gap, and its width says that better.
  const ordered = inked.sort((one, other) => one.x - other.x);
  let text = "";
  let right = ordered[0]?.x ?? 0;
  for (const item of ordered) {
    const gap = item.x - right;
    if (text !== "" && gap > item.size * gutterSizes) text += "   ";
    else if (text !== "" && gap > item.size * 0.15 && !text.endsWith(" ") && !item.text.startsWith(" ")) text += " ";
    text += item.text;
    right = Math.max(right, item.x + item.width);
  }
  return { text: text.trim(), x: ordered[0]?.x ?? 0, right, y: row[0]?.y ?? 0, size: weightedSize(ordered) };
}

function weightedSize(items: readonly PageItem[]): number {
  const chars = items.reduce((sum, item) => sum + item.text.length, 0);
  return items.reduce((sum, item) => sum + item.size * item.text.length, 0) / Math.max(1, chars);
}

/** Margin lines that come back on at least half of the pages (three or more), page numbers not compared. */
function repeatedMargins(pages: readonly (readonly PageItem[])[], lines: readonly (readonly Line[])[]): Set<string> {
  const seen = new Map<string, number>();
  for (const [at, page] of lines.entries()) {
    const height = heightOf(pages[at] ?? []);
    const keys = new Set(page.map((line) => marginKey(line, height)).filter((key) => key !== ""));
    for (const key of keys) seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  const often = Math.max(3, Math.ceil(pages.length / 2));
  return new Set([...seen].filter(([, count]) => count >= often).map(([key]) => key));
}

function marginKey(line: Line, pageHeight: number): string {
  const isMargin = line.y < pageHeight * marginShare || line.y > pageHeight * (1 - marginShare);
  return isMargin && line.text.length < 120 ? line.text.replaceAll(/\d+/gu, "#").replaceAll(/\s+/gu, " ") : "";
}

function heightOf(items: readonly PageItem[]): number {
  return items[0]?.pageHeight ?? 0;
}

/** The size that most characters are set in. */
function bodySize(lines: readonly Line[]): number {
  const chars = new Map<number, number>();
  for (const line of lines) chars.set(rounded(line.size), (chars.get(rounded(line.size)) ?? 0) + line.text.length);
  return [...chars].sort(([, one], [, other]) => other - one)[0]?.[0] ?? 10;
}

/** Heading sizes from large to small become levels 1 to 4. */
function headingLevels(lines: readonly Line[], body: number): Map<number, number> {
  const sizes = new Set(lines.filter((line) => isHeadingLike(line, body)).map((line) => rounded(line.size)));
  return new Map([...sizes].sort((one, other) => other - one).map((size, at) => [size, Math.min(4, at + 1)]));
}

function isHeadingLike(line: Line, body: number): boolean {
  return line.size > body * headingRatio && line.text.length <= headingCharsMax && /\p{L}/u.test(line.text);
}

function rounded(size: number): number {
  return Math.round(size * 2) / 2;
}

// oxlint-disable-next-line max-params -- private, and each is a different thing
function paragraphs(lines: readonly Line[], page: number, body: number, levels: Map<number, number>): Block[] {
  const blocks: Block[] = [];
  const spacing = lineSpacing(lines);
  let held: Line[] = [];
  const flush = (): void => {
    const first = held[0];
    if (!first) return;
    const level = isHeadingLike(first, body) ? levels.get(rounded(first.size)) : undefined;
    const text = joinedLines(held);
    if (level !== undefined && text.length <= headingCharsMax * 2) blocks.push({ type: "heading", level, text, place: { page } });
    else blocks.push({ type: "paragraph", text, place: { page } });
    held = [];
  };
  for (const line of lines) {
    const last = held.at(-1);
    if (last && startsParagraph(last, line, spacing)) flush();
    held.push(line);
  }
  flush();
  return blocks;
}

function startsParagraph(last: Line, line: Line, spacing: number): boolean {
  if (Math.abs(last.size - line.size) > Math.max(last.size, line.size) * 0.08) return true;
  const gap = line.y - last.y;
  // Upwards is the next column or band: a sentence goes on there unless the last one ended.
  if (gap < 0) return /[.!?:]$/u.test(last.text);
  if (gap > Math.max(spacing, line.size) * 1.45) return true;
  return line.x > last.x + line.size * 0.9 && /[.!?:]["'”’»)]*$/u.test(last.text) && last.right < line.right;
}

/** The commonest distance between neighbouring lines of the page. */
function lineSpacing(lines: readonly Line[]): number {
  const gaps = lines
    .map((line, at) => line.y - (lines[at - 1]?.y ?? line.y))
    .filter((gap) => gap > 1 && gap < 60)
    .sort((one, other) => one - other);
  return gaps[Math.floor(gaps.length / 2)] ?? 12;
}

/** Running lines become one; short lines, items and rows with cells keep their breaks. */
function joinedLines(lines: readonly Line[]): string {
  const widest = Math.max(...lines.map((line) => line.right));
  let text = "";
  for (const [at, line] of lines.entries()) {
    const last = lines[at - 1];
    if (!last) text = line.text;
    else if (/\p{Ll}[-\u00ad]$/u.test(text) && /^\p{Ll}/u.test(line.text)) text = text.slice(0, -1) + line.text;
    else text += runsOn(last, line, widest) ? ` ${line.text}` : `\n${line.text}`;
  }
  return text;
}

function runsOn(last: Line, line: Line, widest: number): boolean {
  if (last.text.includes("   ") || line.text.includes("   ") || /^(?:[-•–▪*]|\d{1,2}[.)])\s/u.test(line.text)) return false;
  return last.right > widest - last.size * 8 || /^\p{Ll}/u.test(line.text);
}
