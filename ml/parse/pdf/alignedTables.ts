/** Tables without rules: rows of cells whose edges stand under one another. */
import type { Line, Segment } from "./lines.ts";
import { overlap, union } from "./shape.ts";
import { isNumeric, toTable, type FoundTable } from "./table.ts";

/** Fewer rows that happen to align are not a table. */
const rowsMin = 3;
/** Rows of a table are at most this many line heights apart. */
const rowGap = 2.6;
/** Cells of a table that is not numbers are shorter than this on the mean; longer ones are columns of prose. */
const proseChars = 34;

/** The tables among lines that are in reading order, each with the lines it is made of. */
export function alignedTables(lines: readonly Line[]): { readonly table: FoundTable; readonly lines: readonly Line[] }[] {
  const found: { table: FoundTable; lines: Line[] }[] = [];
  for (let at = 0; at < lines.length;) {
    const stretch = stretchFrom(lines, at);
    const table = stretch.length >= rowsMin ? readRows(stretch) : undefined;
    if (table) found.push({ table, lines: stretch });
    at += table ? stretch.length : 1;
  }
  return found;
}

/** Lines of several cells, with the single ones between that go on in a cell. */
function stretchFrom(lines: readonly Line[], at: number): Line[] {
  const stretch: Line[] = [];
  for (const line of lines.slice(at)) {
    const last = stretch.at(-1);
    const isCells = line.segments.length >= 2 && !/\.{4,}|…{2,}/u.test(line.text);
    if (!last) {
      if (!isCells) return [];
    } else {
      const gap = line.y - last.y;
      if (gap <= 0 || gap > Math.max(last.size, line.size) * rowGap) break;
      if (Math.abs(line.size - last.size) > last.size * 0.25) break;
      if (!isCells && !isContinuation(line, stretch)) break;
    }
    stretch.push(line);
  }
  while (stretch.length > 0 && (stretch.at(-1)?.segments.length ?? 0) < 2) {
    const last = stretch.at(-1);
    if (last && isContinuation(last, stretch.slice(0, -1))) break;
    stretch.pop();
  }
  return stretch;
}

/** A lone segment that stands under one cell of the rows before, close by. */
function isContinuation(line: Line, before: readonly Line[]): boolean {
  const last = before.at(-1);
  if (!last || line.y - last.y > line.size * 1.5) return false;
  const cells = before.findLast(({ segments }) => segments.length >= 2)?.segments ?? [];
  const [first, ...others] = cells;
  // Under the first cell it could be anything; under a later one, or as narrow as the first column, it goes on there.
  const next = others[0];
  if (others.some((cell) => Math.abs(cell.x - line.x) < 2)) return true;
  return (
    first !== undefined &&
    next !== undefined &&
    Math.abs(first.x - line.x) < 2 &&
    line.right < next.x &&
    last.segments.length >= 2
  );
}

function readRows(lines: readonly Line[]): FoundTable | undefined {
  const full = lines.filter(({ segments }) => segments.length >= 2);
  if (full.length < rowsMin) return undefined;
  const columns = columnsOf(full);
  if (columns.length < 2) return undefined;
  const cells: string[][] = [];
  let bold = true;
  for (const [at, { segments }] of lines.entries()) {
    const row = columns.map(() => "");
    for (const segment of segments) {
      const column = bestColumn(columns, segment);
      row[column] = row[column] ? `${row[column]} ${segment.text}` : segment.text;
    }
    const last = cells.at(-1);
    const isMore = segments.length === 1 && last !== undefined;
    if (isMore)
      for (const [column, text] of row.entries()) if (text) last[column] = last[column] ? `${last[column]} ${text}` : text;
    if (!isMore) cells.push(row);
    if (at === 0) bold = segments.every((segment) => segment.isBold);
  }
  if (!isTabular(cells)) return undefined;
  return toTable(cells, { rect: union(lines), isHeaderBold: bold, isRuled: false });
}

/** Bands that segments stand in, with white between them in nearly all rows. */
function columnsOf(lines: readonly Line[]): { from: number; to: number }[] {
  const edges = lines.flatMap(({ segments }) => segments).sort((one, other) => one.x - other.x);
  const counts = lines.map(({ segments }) => segments.length);
  const most = Math.max(...counts);
  // A row whose cells span columns would close the gaps, so only rows near the fullest say where the columns are.
  const voices = lines
    .filter(({ segments }) => segments.length >= Math.max(2, Math.ceil(most * 0.6)))
    .flatMap(({ segments }) => segments);
  const bands: { from: number; to: number }[] = [];
  for (const { x, right } of (voices.length > 0 ? voices : edges).toSorted((one, other) => one.x - other.x)) {
    const band = bands.at(-1);
    if (band && x <= band.to + 1.5) band.to = Math.max(band.to, right);
    else bands.push({ from: x, to: right });
  }
  return bands;
}

function bestColumn(columns: readonly { from: number; to: number }[], segment: Segment): number {
  let best = 0;
  let most = -1;
  for (const [at, { from, to }] of columns.entries()) {
    const width = overlap(from, to, segment.x, segment.right);
    const score = width > 0 ? width : -Math.abs((from + to) / 2 - (segment.x + segment.right) / 2);
    if (score > most || at === 0) {
      best = at;
      most = score;
    }
  }
  return best;
}

function isTabular(cells: readonly (readonly string[])[]): boolean {
  if (cells.filter((row) => row.filter(Boolean).length >= 2).length < rowsMin) return false;
  const filled = cells.flatMap((row) => row.filter(Boolean));
  const numeric = filled.filter(isNumeric).length / filled.length;
  const mean = filled.reduce((sum, cell) => sum + cell.length, 0) / filled.length;
  const width = cells[0]?.length ?? 0;
  // Bullets and numbers of a list stand apart from their text; that is no column.
  const marks = cells.filter((row) => /^(?:[-•–▪*◦]|\(?[\da-z]{1,3}[.)])$/iu.test(row[0] ?? "")).length;
  if (width === 2 && marks > cells.length * 0.5) return false;
  const density = filled.length / (cells.length * width);
  return density >= 0.4 && (mean <= proseChars || (numeric > 0.3 && mean <= proseChars * 2));
}
