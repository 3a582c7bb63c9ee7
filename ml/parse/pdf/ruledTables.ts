/** Tables whose cells are drawn: rules that cross make a grid, and what stands in a field of it is a cell. */
import type { Span } from "../block.ts";
import { rowsOf, toSegments } from "./lines.ts";
import { overlap, type Rect, type Rule, type Run } from "./shape.ts";
import { toTable, type FoundTable } from "./table.ts";

/** Rules this near are one; lines are drawn double, or as the edges of two cells. */
const nearPoints = 3;
const cellsMax = 20_000;

type Grid = {
  readonly xs: readonly number[];
  readonly ys: readonly number[];
  readonly rules: readonly Rule[];
  readonly rect: Rect;
};

/** The tables, and the runs that are in none. */
export function ruledTables(runs: readonly Run[], rules: readonly Rule[]): { tables: FoundTable[]; rest: Run[] } {
  const tables: FoundTable[] = [];
  let rest = [...runs];
  for (const grid of gridsOf(merged(rules))) {
    const inside = rest.filter((run) => isInside(run, grid.rect));
    const table = inside.length > 0 ? readGrid(grid, inside) : undefined;
    if (!table) continue;
    tables.push(table);
    const taken = new Set(inside);
    rest = rest.filter((run) => !taken.has(run));
  }
  return { tables, rest };
}

function isInside({ x, right, y, size }: Run, rect: Rect): boolean {
  const middle = (x + right) / 2;
  return middle > rect.x && middle < rect.right && y - size * 0.3 > rect.top && y - size * 0.3 < rect.bottom;
}

/** Pieces of the same line as one. */
function merged(rules: readonly Rule[]): Rule[] {
  const result: Rule[] = [];
  for (const isHorizontal of [true, false]) {
    const lines: { at: number; parts: Rule[] }[] = [];
    for (const rule of rules.filter((rule) => rule.isHorizontal === isHorizontal).sort((one, other) => one.at - other.at)) {
      const line = lines.at(-1);
      if (line && rule.at - line.at <= nearPoints) line.parts.push(rule);
      else lines.push({ at: rule.at, parts: [rule] });
    }
    for (const { at, parts } of lines) {
      let open: { from: number; to: number } | undefined;
      for (const part of parts.sort((one, other) => one.from - other.from)) {
        if (open && part.from <= open.to + nearPoints) open.to = Math.max(open.to, part.to);
        else {
          if (open) result.push({ isHorizontal, at, ...open });
          open = { from: part.from, to: part.to };
        }
      }
      if (open) result.push({ isHorizontal, at, ...open });
    }
  }
  return result.filter((rule) => rule.to - rule.from > 6);
}

/** Rules that touch one another, as grids of at least two fields. */
function gridsOf(rules: readonly Rule[]): Grid[] {
  const across = rules.filter((rule) => rule.isHorizontal);
  const down = rules.filter((rule) => !rule.isHorizontal);
  const group = new Map<Rule, Rule>();
  const root = (rule: Rule): Rule => {
    let top = rule;
    for (let next = group.get(top); next && next !== top; next = group.get(top)) top = next;
    return top;
  };
  for (const rule of rules) group.set(rule, rule);
  for (const one of across) for (const other of down) if (isCrossing(one, other)) group.set(root(other), root(one));
  const groups = Map.groupBy(rules, root);
  return [...groups.values()].flatMap((members) => {
    const ys = levels(members.filter((rule) => rule.isHorizontal));
    const xs = levels(members.filter((rule) => !rule.isHorizontal));
    const isGrid = xs.length >= 2 && ys.length >= 2 && xs.length + ys.length >= 5 && xs.length * ys.length <= cellsMax;
    if (!isGrid) return [];
    const rect = { x: xs[0] ?? 0, right: xs.at(-1) ?? 0, top: ys[0] ?? 0, bottom: ys.at(-1) ?? 0 };
    return [{ xs, ys, rules: members, rect }];
  });
}

function isCrossing(across: Rule, down: Rule): boolean {
  return (
    down.at >= across.from - nearPoints &&
    down.at <= across.to + nearPoints &&
    across.at >= down.from - nearPoints &&
    across.at <= down.to + nearPoints
  );
}

function levels(rules: readonly Rule[]): number[] {
  const found: number[] = [];
  for (const { at } of rules.toSorted((one, other) => one.at - other.at)) {
    if (at - (found.at(-1) ?? -Infinity) > nearPoints) found.push(at);
  }
  return found;
}

/** The cells of a grid. Fields without a rule between them are one cell, repeated in each field it covers. */
function readGrid(grid: Grid, runs: readonly Run[]): FoundTable | undefined {
  const [columns, rows] = [grid.xs.length - 1, grid.ys.length - 1];
  const owner = fieldsOf(grid, columns, rows);
  const held = new Map<number, Run[]>();
  for (const run of runs) {
    const column = indexOf(grid.xs, (run.x + run.right) / 2);
    const row = indexOf(grid.ys, run.y - run.size * 0.3);
    const cell = owner[row * columns + column];
    if (cell === undefined) continue;
    held.set(cell, [...(held.get(cell) ?? []), run]);
  }
  const texts = new Map([...held].map(([cell, runs]) => [cell, cellText(runs)]));
  const spans = spansOf(owner, columns, rows);
  const cells = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => texts.get(owner[row * columns + column] ?? -1) ?? ""),
  );
  // A frame with a line of text in it, or boxes of a form without two rows of content, are no tables.
  const filled = cells.filter((row) => row.filter(Boolean).length > 0).length;
  if (filled < 2 || (columns < 2 && rows < 3) || texts.size < 3) return undefined;
  if (columns === 1) return undefined;
  const firstBold = runs.filter((run) => indexOf(grid.ys, run.y - run.size * 0.3) === 0).every((run) => run.isBold);
  return toTable(cells, { rect: grid.rect, spans, isHeaderBold: firstBold, isRuled: true });
}

function cellText(runs: readonly Run[]): string {
  return rowsOf(toSegments(runs))
    .map((row) =>
      row
        .toSorted((one, other) => one.x - other.x)
        .map((segment) => segment.text)
        .join(" "),
    )
    .join(" ")
    .replaceAll(/\s+/gu, " ")
    .trim();
}

function indexOf(levels: readonly number[], value: number): number {
  const at = levels.findIndex((level) => level > value);
  return at === -1 ? levels.length - 2 : Math.max(0, at - 1);
}

/** For each field the number of the cell it belongs to. */
function fieldsOf({ xs, ys, rules }: Grid, columns: number, rows: number): Int32Array {
  const owner = Int32Array.from({ length: columns * rows }, (_, at) => at);
  const hasRule = (isHorizontal: boolean, at: number, from: number, to: number): boolean =>
    rules.some(
      (rule) =>
        rule.isHorizontal === isHorizontal &&
        Math.abs(rule.at - at) <= nearPoints &&
        overlap(rule.from, rule.to, from, to) > (to - from) * 0.5,
    );
  const join = (one: number, other: number): void => {
    const [keep, gone] = [owner[one] ?? 0, owner[other] ?? 0];
    for (let at = 0; at < owner.length; at += 1) if (owner[at] === gone) owner[at] = Math.min(keep, gone);
    if (keep > gone) for (let at = 0; at < owner.length; at += 1) if (owner[at] === keep) owner[at] = gone;
  };
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1) {
      const field = row * columns + column;
      const [left, right] = [xs[column] ?? 0, xs[column + 1] ?? 0];
      const [top, bottom] = [ys[row] ?? 0, ys[row + 1] ?? 0];
      if (column + 1 < columns && !hasRule(false, right, top, bottom)) join(field, field + 1);
      if (row + 1 < rows && !hasRule(true, bottom, left, right)) join(field, field + columns);
    }
  return owner;
}

function spansOf(owner: Int32Array, columns: number, rows: number): Span[] {
  const fields = new Map<number, number[]>();
  for (const [field, cell] of owner.entries()) fields.set(cell, [...(fields.get(cell) ?? []), field]);
  return [...fields.values()]
    .filter((some) => some.length > 1)
    .map((some) => {
      const ys = some.map((field) => Math.floor(field / columns));
      const xs = some.map((field) => field % columns);
      const [row, column] = [Math.min(...ys), Math.min(...xs)];
      return { row, column, rows: Math.max(...ys) - row + 1, columns: Math.max(...xs) - column + 1 };
    })
    .filter((span) => span.rows <= rows && span.columns <= columns);
}
