import type { Block, Span } from "../block.ts";
import type { Place } from "../../../convex/model/place.ts";
import { gridBlocks, hasHeader, type Cell } from "../grid.ts";

/** A cell as it is shown. `isNumber` also for dates, amounts and shares. */
export type SheetCell = { readonly text: string; readonly isNumber: boolean };
/** Cells by column, from 0; only those with something in them. */
export type SheetRow = { readonly index: number; readonly cells: Map<number, SheetCell> };
export type Sheet = {
  readonly name: string;
  readonly isHidden: boolean;
  /** In order; only those with something in them. */
  readonly rows: readonly SheetRow[];
  /** Merged cells; row and column from 0. */
  readonly merges: readonly Span[];
};

/** Cells of one workbook; more would not fit in the passages of one document anyway. */
export const cellsMax = 800_000;
/** Merges of one sheet that are minded. */
const mergesMax = 20_000;
/** A title runs over its table at most this many rows above. */
const titleGapMax = 2;

/** A stretch of a sheet without an empty row or column through it. Columns from `left` to `right`, both in it. */
type Island = { readonly rows: readonly SheetRow[]; readonly left: number; readonly right: number };

/**
 * A sheet as blocks: every stretch between empty rows and columns is a table of its own, with the row that names its columns as header
 * and a title above it as caption; what stands alone is text.
 */
export function sheetBlocks(sheet: Sheet): Block[] {
  const place: Place = { sheet: sheet.isHidden ? `${sheet.name} (hidden)` : sheet.name };
  const merges = new Merges(sheet.merges.slice(0, mergesMax));
  const blocks: Block[] = [];
  let title: { text: string; island: Island } | undefined;
  let above: { columns: readonly string[]; island: Island } | undefined;
  const settleTitle = (): void => {
    if (title) blocks.push({ type: "paragraph", text: title.text, place });
    title = undefined;
  };
  for (const island of islandsOf(sheet.rows, merges)) {
    const alone = aloneText(island);
    if (alone !== undefined) {
      settleTitle();
      title = { text: alone, island };
      continue;
    }
    const isTitled = title !== undefined && isOver(title.island, island);
    if (!isTitled) settleTitle();
    const found = islandBlocks(island, merges, { place, caption: isTitled ? title?.text : undefined });
    title = undefined;
    for (const block of found) blocks.push(withHeaderAbove(block, above, island));
    const first = found[0];
    if (first?.type === "table" && first.columns.length > 0) above = { columns: first.columns, island };
  }
  settleTitle();
  return blocks;
}

/** A table cut by an empty row goes on below it under the same columns. */
function withHeaderAbove(block: Block, above: { columns: readonly string[]; island: Island } | undefined, island: Island): Block {
  if (block.type !== "table" || block.columns.length > 0 || !above || block.caption !== undefined) return block;
  const isSame = above.island.left === island.left && above.island.right === island.right;
  return isSame ? { ...block, columns: above.columns } : block;
}

function islandBlocks(
  island: Island,
  merges: Merges,
  { place, caption }: { place: Place; caption: string | undefined },
): Block[] {
  let rows = island.rows;
  let title = caption;
  // A title in the first row of the table itself, often merged over all of it.
  while (rows.length > 2 && (rows[1]?.cells.size ?? 0) > 1) {
    const texts = new Set([...(rows[0]?.cells.values() ?? [])].map((cell) => cell.text));
    const [only = ""] = texts;
    if (texts.size !== 1 || only.length < 2 || [...(rows[0]?.cells.values() ?? [])].some((cell) => cell.isNumber)) break;
    title = title === undefined ? only : `${title}: ${only}`;
    rows = rows.slice(1);
  }
  const cells = rows.map((row, at) => rowCells(row, at, { island, rows, merges }));
  return gridBlocks(cells, { place, caption: title, headerRows: headerRowsOf(rows, island, merges) });
}

function rowCells(
  row: SheetRow,
  at: number,
  { island, rows, merges }: { island: Island; rows: readonly SheetRow[]; merges: Merges },
): Cell[] {
  const line: Cell[] = [];
  for (let column = island.left; column <= island.right; column += 1) {
    const merge = merges.at(row.index, column);
    const text = row.cells.get(column)?.text ?? "";
    if (!merge) {
      line.push({ text });
      continue;
    }
    const isFirstRow = merge.row === row.index || (at === 0 && merge.row < row.index);
    const isFirstColumn = merge.column === column || (column === island.left && merge.column < column);
    if (!isFirstRow || !isFirstColumn) continue;
    // Only rows that are in the island count, because empty ones were left out.
    const down = rows.slice(at, at + merge.rows).filter(({ index }) => index < merge.row + merge.rows).length;
    const across = Math.min(island.right + 1, merge.column + merge.columns) - column;
    line.push({ text: merges.textOf(merge, text), rows: down, columns: across });
  }
  return line;
}

/** One when the first row names what is in the others; two when a row of groups stands over it. */
function headerRowsOf(rows: readonly SheetRow[], island: Island, merges: Merges): number {
  const line = (row: SheetRow | undefined): string[] =>
    Array.from({ length: island.right - island.left + 1 }, (_, at) => row?.cells.get(island.left + at)?.text ?? "");
  const isWords = (row: SheetRow | undefined): boolean =>
    row !== undefined && row.cells.size > 0 && [...row.cells.values()].every((cell) => !cell.isNumber && cell.text.length <= 120);
  const holdsNumbers = (from: number): boolean =>
    rows.slice(from, from + 30).some((row) => [...row.cells.values()].some((cell) => cell.isNumber));
  const [first, second] = rows;
  const isGrouped =
    first !== undefined &&
    Array.from({ length: island.right - island.left + 1 }, (_, at) => merges.at(first.index, island.left + at)).some(
      (merge) => merge !== undefined && merge.columns > 1 && merge.row === first.index && merge.rows === 1,
    );
  if (rows.length > 2 && isGrouped && isWords(first) && isWords(second) && holdsNumbers(2)) return 2;
  if (rows.length < 2 || !isWords(first)) return 0;
  const named = line(first).filter((cell) => cell !== "");
  const isDistinct = new Set(named).size === named.length && named.length >= (island.right - island.left + 1) * 0.6;
  if (isDistinct && !isWords(second) && holdsNumbers(1)) return 1;
  return hasHeader(
    line(first),
    rows.slice(1, 21).map((row) => line(row)),
  )
    ? 1
    : 0;
}

/** The text of an island that is one cell. */
function aloneText({ rows }: Island): string | undefined {
  if (rows.length !== 1) return undefined;
  const texts = new Set([...(rows[0]?.cells.values() ?? [])].map((cell) => cell.text));
  const [only] = texts;
  return texts.size === 1 ? only : undefined;
}

function isOver(title: Island, island: Island): boolean {
  const gap = (island.rows[0]?.index ?? 0) - (title.rows.at(-1)?.index ?? 0);
  return gap >= 1 && gap <= titleGapMax + 1 && title.left <= island.right && title.right >= island.left;
}

/** In reading order: from the top, and from the left where two begin in the same row. */
function islandsOf(rows: readonly SheetRow[], merges: Merges): Island[] {
  const filled = rows.map((row) => merges.fill(row));
  const done: Island[] = [];
  let open: (readonly SheetRow[])[] = [filled];
  // A cut by rows can open one by columns and the other way round; three rounds settle all but puzzles.
  for (let round = 0; round < 3; round += 1) open = open.flatMap((part) => cutByRows(part)).flatMap((part) => cutByColumns(part));
  for (const part of open) {
    const { left, right } = edgesOf(part);
    done.push({ rows: part, left, right });
  }
  return done.sort((one, other) => (one.rows[0]?.index ?? 0) - (other.rows[0]?.index ?? 0) || one.left - other.left);
}

function edgesOf(rows: readonly SheetRow[]): { left: number; right: number } {
  let left = Infinity;
  let right = 0;
  for (const { cells } of rows)
    for (const column of cells.keys()) {
      left = Math.min(left, column);
      right = Math.max(right, column);
    }
  return { left, right };
}

function cutByRows(rows: readonly SheetRow[]): SheetRow[][] {
  const parts: SheetRow[][] = [];
  let last = -2;
  for (const row of rows) {
    if (row.cells.size === 0) continue;
    if (row.index > last + 1) parts.push([]);
    parts.at(-1)?.push(row);
    last = row.index;
  }
  return parts;
}

function cutByColumns(rows: SheetRow[]): SheetRow[][] {
  const used = new Set<number>();
  for (const { cells } of rows) for (const column of cells.keys()) used.add(column);
  const columns = [...used].sort((one, other) => one - other);
  const groupOf = new Map<number, number>();
  let groups = 0;
  for (const [at, column] of columns.entries()) {
    if (at > 0 && column > (columns[at - 1] ?? 0) + 1) groups += 1;
    groupOf.set(column, groups);
  }
  if (groups === 0) return [rows];
  const parts: SheetRow[][] = Array.from({ length: groups + 1 }, () => []);
  for (const { index, cells } of rows) {
    const split = new Map<number, Map<number, SheetCell>>();
    for (const [column, cell] of cells) {
      const group = groupOf.get(column) ?? 0;
      const own = split.get(group) ?? new Map<number, SheetCell>();
      split.set(group, own.set(column, cell));
    }
    for (const [group, own] of split) parts[group]?.push({ index, cells: own });
  }
  return parts;
}

/** Cells a merge may fill: beyond that it is a coloured background. */
const mergeCellsMax = 5_000;

class Merges {
  readonly #byRow = new Map<number, Span[]>();
  readonly #texts = new Map<Span, SheetCell>();

  constructor(spans: readonly Span[]) {
    for (const span of spans) {
      if (span.rows * span.columns > mergeCellsMax || span.rows * span.columns < 2) continue;
      for (let row = span.row; row < span.row + span.rows; row += 1) {
        const held = this.#byRow.get(row);
        if (held) held.push(span);
        else this.#byRow.set(row, [span]);
      }
    }
  }

  at(row: number, column: number): Span | undefined {
    return this.#byRow.get(row)?.find((span) => column >= span.column && column < span.column + span.columns);
  }

  textOf(span: Span, otherwise: string): string {
    return this.#texts.get(span)?.text ?? otherwise;
  }

  /** The row with the text of merged cells in every cell they cover. */
  fill(row: SheetRow): SheetRow {
    const spans = this.#byRow.get(row.index);
    if (!spans) return row;
    const cells = new Map(row.cells);
    for (const span of spans) {
      if (span.row === row.index) {
        const own = row.cells.get(span.column);
        if (own) this.#texts.set(span, own);
      }
      const cell = this.#texts.get(span);
      if (cell) for (let at = span.column; at < span.column + span.columns; at += 1) cells.set(at, cell);
    }
    return { index: row.index, cells };
  }
}
