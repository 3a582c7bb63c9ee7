import type { Highlight } from "../../../convex/model/answer.ts";

export type Table = {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly { readonly cells: readonly string[]; readonly isMarked: boolean }[];
};

const columnsMax = 12;

/**
 * The rows of a table as they are kept for searching, "item: bolt · price: 2", as a table again. Undefined when the text is not that, such
 * as the description of a table or a row that had to be cut.
 */
export function toTable(text: string, highlights: readonly Highlight[]): Table | undefined {
  const columns: string[] = [];
  const rows: { cells: string[]; isMarked: boolean }[] = [];
  let caption = "";
  let at = 0;
  for (const [index, line] of text.split("\n").entries()) {
    const [from, to] = [at, at + line.length];
    at = to + 1;
    if (line.trim() === "") continue;
    const cells: string[] = [];
    for (const [place, part] of line.split(" · ").entries()) {
      const cut = part.indexOf(": ");
      if (cut <= 0) {
        // A caption stands before the first cell of the first row, and nowhere else.
        if (index > 0 || place > 0) return undefined;
        caption = part;
        continue;
      }
      const name = part.slice(0, cut);
      let column = columns.indexOf(name);
      if (column === -1) column = columns.push(name) - 1;
      if (columns.length > columnsMax || cells[column] !== undefined) return undefined;
      cells[column] = part.slice(cut + 2);
    }
    const isMarked = highlights.some((mark) => mark.from < to && mark.to > from);
    rows.push({ cells, isMarked });
  }
  if (rows.length === 0 || columns.length < 2) return undefined;
  return {
    caption,
    columns,
    rows: rows.map(({ cells, isMarked }) => ({ cells: columns.map((_, column) => cells[column] ?? ""), isMarked })),
  };
}
