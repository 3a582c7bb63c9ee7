/** Headers, footers and page numbers: what comes back at the edges of many pages. */
import type { Segment } from "./lines.ts";
import { rowsOf } from "./lines.ts";

/** Share of the page at its top and bottom where headers and footers stand. */
const marginShare = 0.1;
const charsMax = 140;

type Sheet = { readonly height: number; readonly segments: readonly Segment[] };

/** The segments of each page without those that the margins repeat: on half of the pages, or on many at the same height. */
export function withoutMargins(sheets: readonly Sheet[]): Segment[][] {
  const rows = sheets.map((sheet) => marginRows(sheet));
  const often = countKeys(rows.map((page) => page.map(({ key }) => key)));
  const placed = countKeys(rows.map((page) => page.map(({ key, at }) => `${key}@${at}`)));
  const most = Math.max(3, Math.ceil(sheets.length / 2));
  const many = Math.max(3, Math.ceil(sheets.length * 0.15));
  return sheets.map(({ segments }, at) => {
    const gone = new Set(
      (rows[at] ?? [])
        .filter(
          ({ key, at, isNumber }) =>
            (often.get(key) ?? 0) >= most || (placed.get(`${key}@${at}`) ?? 0) >= many || (isNumber && sheets.length > 1),
        )
        .flatMap(({ row }) => row),
    );
    return segments.filter((segment) => !gone.has(segment));
  });
}

function marginRows({ height, segments }: Sheet): { row: Segment[]; key: string; at: number; isNumber: boolean }[] {
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
