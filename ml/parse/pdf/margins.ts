/** Headers, footers and page numbers: what comes back at the edges of many pages. */
import type { Segment } from "./lines.ts";
import { rowsOf } from "./lines.ts";

/** Share of the page at its top and bottom where headers and footers stand. */
const marginShare = 0.1;
const charsMax = 140;

type Sheet = { readonly page: number; readonly height: number; readonly segments: readonly Segment[] };

/** The segments of each page without those that the margins repeat: on half of the pages, or on many at the same height. */
export function withoutMargins(sheets: readonly Sheet[]): Segment[][] {
  const rows = sheets.map((sheet) => marginRows(sheet));
  const often = countKeys(rows.map((page) => page.map(({ key }) => key)));
  const placed = countKeys(rows.map((page) => page.map(({ key, at }) => `${key}@${at}`)));
  const most = Math.max(3, Math.ceil(sheets.length / 2));
  const many = Math.max(3, Math.ceil(sheets.length * 0.15));
  const counted = countKeys(rows.map((page, at) => page.flatMap(({ row }) => offsetsOf(row, sheets[at]?.page ?? 0))));
  return sheets.map(({ segments, page }, sheet) => {
    const isRepeated = ({ row, key, at, isNumber }: MarginRow): boolean =>
      (often.get(key) ?? 0) >= most ||
      (placed.get(`${key}@${at}`) ?? 0) >= many ||
      (isNumber && sheets.length > 1) ||
      // A chapter's name changes; the number beside it goes on counting the pages.
      offsetsOf(row, page).some((offset) => (counted.get(offset) ?? 0) >= Math.max(3, sheets.length * 0.3));
    const gone = new Set((rows[sheet] ?? []).filter(isRepeated).flatMap(({ row }) => row));
    return segments.filter((segment) => !gone.has(segment));
  });
}

type MarginRow = { readonly row: Segment[]; readonly key: string; readonly at: number; readonly isNumber: boolean };

/** How far the numbers that stand alone in a row are from the number of their page. */
function offsetsOf(row: readonly Segment[], page: number): string[] {
  const numbers = [row[0], row.at(-1)].flatMap((segment) =>
    /^\d{1,4}$/u.test(segment?.text ?? "") ? [Number(segment?.text) - page] : [],
  );
  return [...new Set(numbers)].map((offset) => `${offset}`);
}

function marginRows({ height, segments }: Sheet): MarginRow[] {
  const edge = segments.filter(({ y }) => y < height * marginShare || y > height * (1 - marginShare));
  return rowsOf(edge).flatMap((row) => {
    const text = row.map((segment) => segment.text).join(" ");
    if (text.length > charsMax) return [];
    const key = text.replaceAll(/\d+/gu, "#").replaceAll(/\s+/gu, " ");
    const y = row[0]?.y ?? 0;
    // Only the last line at the very edge: a bare number higher up may be a figure of the text.
    const isEdge = y < height * 0.06 || y > height * 0.93;
    return [{ row, key, at: Math.round(y / 4), isNumber: isEdge && isPageNumber(text) }];
  });
}

function isPageNumber(text: string): boolean {
  return /^(?:[-–—]\s*)?(?:p(?:age|\.)?\s*)?\d{1,4}(?:\s*(?:\/|sur|of|von|de)\s*\d{1,4})?(?:\s*[-–—])?$/iu.test(text.trim());
}

function countKeys(pages: readonly (readonly string[])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const page of pages) for (const key of new Set(page)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
