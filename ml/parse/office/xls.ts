import type { Block } from "../block.ts";
import { tidied } from "../decode.ts";
import { UnreadableError } from "../unreadable.ts";
import { cellsMax, sheetBlocks, type SheetRow } from "./sheet.ts";

/** A workbook of Excel 97 to 2003, or a binary one, as xlsx ones are read. */
export async function xlsBlocks(bytes: Uint8Array): Promise<{ blocks: Block[]; title?: string }> {
  const { read, utils } = await import("@e965/xlsx");
  let book: ReturnType<typeof read>;
  try {
    book = read(bytes, { type: "array", cellFormula: false, cellHTML: false, sheetStubs: false, dense: false, bookVBA: false });
  } catch (error) {
    const isLocked = error instanceof Error && /password|encrypt/iu.test(error.message);
    throw new UnreadableError(isLocked ? "encrypted" : "damaged", { cause: error });
  }
  const blocks: Block[] = [];
  let cells = 0;
  for (const [at, name] of book.SheetNames.entries()) {
    const sheet = book.Sheets[name];
    if (!sheet) continue;
    const rows = new Map<number, SheetRow>();
    for (const key of Object.keys(sheet)) {
      if (key.startsWith("!")) continue;
      const cell: unknown = sheet[key];
      if (typeof cell !== "object" || cell === null || !("t" in cell)) continue;
      const { t: type, v: value, w: shown } = cell as { t: string; v?: unknown; w?: string };
      const text = tidied(shown ?? (typeof value === "string" || typeof value === "number" ? String(value) : "")).trim();
      if (text === "") continue;
      cells += 1;
      if (cells > cellsMax) throw new UnreadableError("tooManyPassages");
      const { r: index, c: column } = utils.decode_cell(key);
      const row = rows.get(index) ?? { index, cells: new Map() };
      row.cells.set(column, { text, isNumber: type === "n" || type === "d" });
      rows.set(index, row);
    }
    const merges = (sheet["!merges"] ?? []).map(({ s, e }) => ({
      row: s.r,
      column: s.c,
      rows: e.r - s.r + 1,
      columns: e.c - s.c + 1,
    }));
    const isHidden = (book.Workbook?.Sheets?.[at]?.Hidden ?? 0) !== 0;
    const sorted = [...rows.values()].sort((one, other) => one.index - other.index);
    blocks.push(...sheetBlocks({ name: tidied(name), isHidden, rows: sorted, merges }));
  }
  const title = book.Props?.Title;
  return title ? { blocks, title } : { blocks };
}
