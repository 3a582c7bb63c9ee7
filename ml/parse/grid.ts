import type { Block, Span } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";

/** A cell as it is written in a source: it may cover several rows and columns. */
export type Cell = {
  readonly text: string;
  readonly rows?: number;
  readonly columns?: number;
  readonly isHeader?: boolean;
};

/** A cell as text processors keep it: one that goes on from the row above is there, and says so. */
export type OpenCell = { text: string; columns: number; merge?: "restart" | "continue" };

/** Cells that go on from the row above are taken out, and the first of them made as tall as they all. */
export function merged(rows: readonly (readonly OpenCell[])[]): Cell[][] {
  const tops = new Map<number, { rows: number }>();
  return rows.map((row) => {
    const line: Cell[] = [];
    let column = 0;
    for (const { text, columns, merge } of row) {
      const top = tops.get(column);
      if (merge === "continue" && top) {
        top.rows += 1;
      } else {
        const cell = { text: text.replaceAll(/\s+/gu, " ").trim(), columns, rows: 1 };
        if (merge === "restart") tops.set(column, cell);
        else tops.delete(column);
        line.push(cell);
      }
      column += Math.max(1, columns);
    }
    return line;
  });
}

/** More than any page shows; bounds what a made-up table can cost. */
const columnsMax = 2_000;
const cellsMax = 800_000;
/** Header rows beyond this are a table of labels, not a header. */
const headerRowsMax = 4;

type GridOptions = {
  readonly place: Place;
  readonly caption?: string | undefined;
  /** How many of the first rows are the header; told by the content when absent. */
  readonly headerRows?: number | undefined;
};

/**
 * Rows of cells as blocks: a table, where a cell that covers several is repeated in each, or paragraphs when there is only one column,
 * because that lays a page out and is no table.
 */
export function gridBlocks(source: readonly (readonly Cell[])[], { place, caption, headerRows }: GridOptions): Block[] {
  const { grid, spans } = spread(source);
  const width = grid.reduce((most, row) => Math.max(most, row.length), 0);
  const filled = grid.filter((row) => row.some((cell) => cell !== ""));
  if (width <= 1 || filled.length === 0) return paragraphs(filled, place, caption);
  const count = Math.min(headerRows ?? markedRows(source) ?? guessedRows(grid), headerRowsMax, grid.length - 1);
  const rows: string[][] = [];
  const rowAt = new Map<number, number>();
  for (const [at, row] of grid.entries()) {
    if (at < count) rowAt.set(at, 0);
    else if (row.some((cell) => cell !== "")) rowAt.set(at, rows.push(row));
  }
  const kept = spans
    .filter(({ row, rows }) => rowAt.has(row) && (row >= count || row + rows <= count))
    .map((span) => ({ ...span, row: rowAt.get(span.row) ?? 0, rows: span.row < count ? 1 : span.rows }))
    .filter(({ rows, columns }) => rows > 1 || columns > 1);
  return [
    {
      type: "table",
      columns: count === 0 ? [] : headerOf(grid.slice(0, count), width),
      rows,
      ...(caption !== undefined && caption !== "" && { caption }),
      ...(kept.length > 0 && { spans: kept }),
      place,
    },
  ];
}

function paragraphs(rows: readonly (readonly string[])[], place: Place, caption: string | undefined): Block[] {
  const texts = [caption ?? "", ...rows.map((row) => row.join(" "))].filter((text) => text.trim() !== "");
  return texts.map((text) => ({ type: "paragraph", text, place }));
}

/** Cells put where they stand, as a browser lays them out. */
function spread(source: readonly (readonly Cell[])[]): { grid: string[][]; spans: Span[] } {
  const grid: string[][] = [];
  const spans: Span[] = [];
  let cells = 0;
  /** Cells of rows above that reach down: by column, how many rows are left. */
  const hanging = new Map<number, { left: number; text: string }>();
  for (const [rowAt, row] of source.entries()) {
    const line: string[] = [];
    const fillHanging = (): void => {
      for (let held = hanging.get(line.length); held && held.left > 0; held = hanging.get(line.length)) {
        held.left -= 1;
        line.push(held.text);
      }
    };
    for (const cell of row) {
      fillHanging();
      const columns = Math.min(Math.max(cell.columns ?? 1, 1), columnsMax - Math.min(line.length, columnsMax - 1));
      const rows = Math.min(Math.max(cell.rows ?? 1, 1), source.length - rowAt);
      if (columns > 1 || rows > 1) spans.push({ row: rowAt, column: line.length, rows, columns });
      for (let at = 0; at < columns && line.length < columnsMax; at += 1) {
        if (rows > 1) hanging.set(line.length, { left: rows - 1, text: cell.text });
        line.push(cell.text);
      }
      cells += columns;
    }
    fillHanging();
    if (cells > cellsMax) break;
    grid.push(line);
  }
  return { grid, spans };
}

/** Leading rows whose cells are all marked as header; undefined when nothing is marked. */
function markedRows(source: readonly (readonly Cell[])[]): number | undefined {
  const at = source.findIndex((row) => row.length === 0 || !row.every((cell) => cell.isHeader === true));
  if (at > 0) return at;
  return source.some((row) => row.some((cell) => cell.isHeader === true)) ? 0 : undefined;
}

function guessedRows(grid: readonly (readonly string[])[]): number {
  const [first = [], ...rest] = grid;
  return hasHeader(first, rest) ? 1 : 0;
}

/** Several header rows say a column's name together: "2024 Q1". */
function headerOf(rows: readonly (readonly string[])[], width: number): string[] {
  return Array.from({ length: width }, (_, column) =>
    [...new Set(rows.map((row) => (row[column] ?? "").replaceAll(/\s+/gu, " ").trim()))].filter((name) => name !== "").join(" "),
  );
}

/** A first row of distinct words over rows that hold something else, numbers most of all. */
export function hasHeader(first: readonly string[], rest: readonly (readonly string[])[]): boolean {
  if (rest.length === 0 || first.some((cell) => isNumber(cell) || cell.length > 80)) return false;
  const named = first.filter((cell) => cell.trim() !== "");
  if (named.length < first.length * 0.7 || new Set(named).size < named.length) return false;
  const sample = rest.slice(0, 20);
  // A value that comes back in its own column is data: a header says it once.
  return !first.some((cell, column) => cell !== "" && sample.some((row) => row[column] === cell));
}

function isNumber(cell: string): boolean {
  return /^[\s€$£+-]*\d[\d\s.,:/%-]*[€$£]?$/u.test(cell);
}
