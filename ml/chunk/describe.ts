import type { Block } from "../parse/block.ts";

/** A smaller table is read as fast as its description. */
const rowsMin = 6;
const columnsMax = 40;
const examples = 4;
const exampleCharsMax = 40;
/** A column is of a type when this share of its cells is. */
const typeShare = 0.9;

const words = {
  en: { table: "Table", rows: "rows", columns: "Columns", to: "to", values: "values" },
  fr: { table: "Tableau", rows: "rangées", columns: "Colonnes", to: "à", values: "valeurs" },
} as const;

/**
 * What a table holds, in a few lines: caption, number of rows, and for each column whether it holds numbers or dates and from where to
 * where, or some of its values. So that "which list has prices" finds the table and not one of its rows. Undefined when it is small.
 */
export function describe(
  { columns, rows, caption }: Extract<Block, { type: "table" }>,
  language: "en" | "fr",
): string | undefined {
  if (rows.length < rowsMin || columns.filter((column) => column.trim() !== "").length < 2) return undefined;
  const word = words[language];
  const title = caption === undefined || caption.trim() === "" ? word.table : `${word.table}: ${caption.trim()}`;
  const lines = columns.slice(0, columnsMax).map((name, at) => {
    const cells = rows.map((row) => (row[at] ?? "").trim()).filter((cell) => cell !== "");
    return `- ${name.trim() || at + 1}: ${contentOf(cells, language)}`;
  });
  return [`${title} · ${rows.length} ${word.rows}`, `${word.columns}:`, ...lines].join("\n");
}

function contentOf(cells: readonly string[], language: "en" | "fr"): string {
  const word = words[language];
  if (cells.length === 0) return "–";
  for (const valueOf of [dateOf, numberOf]) {
    const known = cells.map((cell) => ({ cell, value: valueOf(cell) })).filter(({ value }) => value !== undefined);
    if (known.length < cells.length * typeShare) continue;
    const sorted = known.sort((one, other) => (one.value ?? 0) - (other.value ?? 0));
    return `${sorted[0]?.cell ?? ""} ${word.to} ${sorted.at(-1)?.cell ?? ""}`;
  }
  const different = [...new Set(cells)];
  const shown = different
    .slice(0, examples)
    .map((cell) => (cell.length > exampleCharsMax ? `${cell.slice(0, exampleCharsMax)}…` : cell));
  return `${shown.join(", ")}${different.length > examples ? `, … (${different.length} ${word.values})` : ""}`;
}

/** Milliseconds, of "2024-03-15" or "15/03/2024". */
function dateOf(cell: string): number | undefined {
  const iso = /^(\d{4})-(\d{2})-(\d{2})/u.exec(cell);
  const local = /^(\d{1,2})[/.](\d{1,2})[/.](\d{4})$/u.exec(cell);
  const [year, month, day] = iso ? iso.slice(1).map(Number) : (local?.slice(1).map(Number).toReversed() ?? []);
  return year === undefined || month === undefined || day === undefined ? undefined : Date.UTC(year, month - 1, day);
}

/** A number with an optional unit or currency: "1 250,50 €", "12.5", "-3 %", "$1,200.00". */
function numberOf(cell: string): number | undefined {
  const match = /^[^\d\s-]{0,3}\s?(-?\d[\d\s.,\u00a0\u202f']*)\s?\p{L}{0,4}[%€$£°]?\p{L}?$/u.exec(cell);
  if (!match?.[1]) return undefined;
  const digits = match[1].replaceAll(/[\s\u00a0\u202f']/gu, "");
  // The last mark followed by one or two digits is the decimal one; the others set off thousands.
  const cut = /[.,](\d{1,2})$/u.exec(digits);
  const whole = (cut ? digits.slice(0, cut.index) : digits).replaceAll(/[.,]/gu, "");
  const value = Number(cut ? `${whole}.${cut[1]}` : whole);
  return Number.isFinite(value) ? value : undefined;
}
