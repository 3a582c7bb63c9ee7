import type { Span } from "../block.ts";
import type { Rect } from "./shape.ts";

export type FoundTable = {
  readonly rect: Rect;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly spans?: readonly Span[];
};

type TableHints = {
  readonly rect: Rect;
  readonly spans?: readonly Span[];
  readonly isHeaderBold: boolean;
  readonly isRuled: boolean;
};

/** Cells as a table: blank rows and columns go, and a first row that names what is below becomes its header. */
export function toTable(cells: readonly (readonly string[])[], { rect, spans = [], isHeaderBold }: TableHints): FoundTable {
  const [first = [], ...others] = cells;
  const hasHeader = others.length > 0 && isHeader(first, others, isHeaderBold);
  // Row 0 is the header, so without one all rows move down by one.
  const moved = hasHeader ? spans : spans.map((span) => ({ ...span, row: span.row + 1 }));
  const rows = (hasHeader ? others : cells).filter((row) => row.some(Boolean));
  const isWhole = rows.length === (hasHeader ? others.length : cells.length);
  return {
    rect,
    columns: hasHeader ? first : first.map(() => ""),
    rows,
    // Spans count rows; when blank ones went, they would point at the wrong ones.
    ...(moved.length > 0 && isWhole && { spans: moved }),
  };
}

/** Bold, or words over columns of numbers, or words that fill the row while no cell is a number. */
function isHeader(first: readonly string[], others: readonly (readonly string[])[], isBold: boolean): boolean {
  const named = first.filter((cell) => cell !== "");
  if (named.length < Math.max(1, first.length - 1) || named.some(isNumeric)) return false;
  if (isBold) return true;
  if (named.some((cell) => cell.length > 60)) return false;
  const hasNumbers = first.some((_, column) => {
    const filled = others.map((row) => row[column] ?? "").filter(Boolean);
    return filled.length > 0 && filled.filter(isNumeric).length > filled.length / 2;
  });
  // Without numbers below or bold type, only short names tell a header from the first of many rows.
  const areNames = first.every((cell) => /^\p{Lu}/u.test(cell) && cell.split(" ").length <= 4);
  return hasNumbers || (others.length >= 2 && areNames && new Set(first).size === first.length);
}

/** An amount, a count, a date, a share: what stands below a header rather than in it. */
export function isNumeric(cell: string): boolean {
  const digits = cell.replaceAll(/\D/gu, "").length;
  return digits > 0 && digits >= cell.replaceAll(/[\s.,'’%€$£()+\-–/:]/gu, "").length * 0.6;
}
