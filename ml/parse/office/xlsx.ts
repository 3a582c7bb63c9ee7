import type { Block, Facts, Span } from "../block.ts";
import { withPictures, type PictureKeeper, type SourceBlock } from "../pictures.ts";
import { tidied } from "../decode.ts";
import { UnreadableError } from "../unreadable.ts";
import { attributeOf, readXml, xmlTree, find, findAll } from "../xml.ts";
import { chartBlocks } from "./chart.ts";
import { propertiesOf, type OfficePackage, type Relation } from "./package.ts";
import { cellsMax, sheetBlocks, type Sheet, type SheetCell, type SheetRow } from "./sheet.ts";
import { readFormats, type CellFormat } from "./xlsxFormats.ts";

/** Text of one cell that is kept: what Excel itself allows. */
const cellCharsMax = 32_767;
const sheetsMax = 500;
const chartsMax = 50;
const chartRowsMax = 200;
const rowsMax = 1_048_576;
const columnsMax = 16_384;

/**
 * A workbook: every stretch of every sheet as a table, values as they are shown, formulas by the value they had when the file was
 * saved. Sheets that are hidden say so. A chart is the table of what it shows, under its title. Comments and formatting are left out.
 */
export async function xlsxBlocks(
  source: OfficePackage,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const main =
    [...(await source.relations("")).values()].find((one) => one.type === "officeDocument")?.target ?? "xl/workbook.xml";
  const workbook = await source.read(main);
  if (!workbook) throw new UnreadableError("damaged");
  const relations = await source.relations(main);
  const part = (type: string): string => [...relations.values()].find((one) => one.type === type)?.target ?? "";
  const { sheets, is1904 } = await readWorkbook(workbook, relations);
  const strings = await readStrings(await source.read(part("sharedStrings")));
  const formats = await readFormats(await source.read(part("styles")), is1904);
  const blocks: Block[] = [];
  let budget = cellsMax;
  for (const { name, isHidden, target } of sheets) {
    const bytes = await source.read(target);
    if (!bytes) continue;
    const { rows, merges, cells } = await readSheet(bytes, { strings, formats, cellsMax: budget });
    budget -= cells;
    blocks.push(...sheetBlocks({ name, isHidden, rows, merges }));
    blocks.push(...(await sheetDrawings(source, { target, sheet: name, keeper })));
  }
  const { title, facts } = await propertiesOf(await source.read("docProps/core.xml"));
  return { blocks, ...(title !== undefined && { title }), ...(facts && { facts }) };
}

type SheetPart = Pick<Sheet, "name" | "isHidden"> & { readonly target: string };

async function readWorkbook(
  bytes: Uint8Array,
  relations: ReadonlyMap<string, Relation>,
): Promise<{ sheets: SheetPart[]; is1904: boolean }> {
  const root = await xmlTree(bytes);
  const sheets = findAll(root, "sheet")
    .slice(0, sheetsMax)
    .flatMap(({ attributes }): SheetPart[] => {
      const target = relations.get(attributes["r:id"] ?? attributeOf(attributes, "id") ?? "")?.target;
      if (target === undefined) return [];
      const state = attributes["state"] ?? "visible";
      return [{ name: tidied(attributes["name"] ?? "").slice(0, 100), isHidden: state !== "visible", target }];
    });
  return { sheets, is1904: /^(?:1|true)$/u.test(find(root, "workbookPr")?.attributes["date1904"] ?? "") };
}

/** The strings that cells refer to by number. Readings of Asian characters (rPh) are left out. */
async function readStrings(bytes: Uint8Array | undefined): Promise<string[]> {
  const strings: string[] = [];
  let text = "";
  let isText = false;
  let isReading = false;
  if (!bytes) return strings;
  await readXml(bytes, {
    open: (name) => {
      if (name === "si") text = "";
      else if (name === "rPh") isReading = true;
      else if (name === "t") isText = !isReading;
    },
    close: (name) => {
      if (name === "t") isText = false;
      else if (name === "rPh") isReading = false;
      else if (name === "si") strings.push(tidied(text.slice(0, cellCharsMax)).trim());
    },
    text: (more) => {
      if (isText) text += more;
    },
  });
  return strings;
}

type SheetContext = { readonly strings: readonly string[]; readonly formats: readonly CellFormat[]; readonly cellsMax: number };

async function readSheet(
  bytes: Uint8Array,
  { strings, formats, cellsMax }: SheetContext,
): Promise<{ rows: SheetRow[]; merges: Span[]; cells: number }> {
  const rows: SheetRow[] = [];
  const merges: Span[] = [];
  let cells = 0;
  let row: SheetRow = { index: -1, cells: new Map() };
  let column = -1;
  let type = "n";
  let style = 0;
  let value: string | undefined;
  let formula = "";
  let reads: "value" | "formula" | undefined;
  await readXml(bytes, {
    open: (name, attributes) => {
      if (name === "row") {
        const index = Number(attributes["r"] ?? row.index + 2) - 1;
        row = { index: Number.isInteger(index) && index >= 0 && index < rowsMax ? index : row.index + 1, cells: new Map() };
        column = -1;
      } else if (name === "c") {
        column = columnOf(attributes["r"]) ?? column + 1;
        type = attributes["t"] ?? "n";
        style = Number(attributes["s"] ?? 0);
        value = undefined;
        formula = "";
      } else if (name === "v" || name === "t") {
        reads = "value";
        value ??= "";
      } else if (name === "f") reads = "formula";
      else if (name === "rPh") reads = undefined;
      else if (name === "mergeCell") {
        const span = spanOf(attributes["ref"] ?? "");
        if (span && merges.length < 100_000) merges.push(span);
      }
    },
    close: (name) => {
      if (name === "v" || name === "t" || name === "f") reads = undefined;
      else if (name === "c") {
        const cell = toCell({ type, value, formula, format: formats[style] }, strings);
        if (!cell || cell.text === "" || column >= columnsMax) return;
        row.cells.set(column, cell);
        cells += 1;
        if (cells > cellsMax) throw new UnreadableError("tooManyPassages");
      } else if (name === "row" && row.cells.size > 0) rows.push(row);
    },
    text: (text) => {
      if (reads === "value") value = `${value ?? ""}${text}`;
      else if (reads === "formula") formula += text;
    },
  });
  return { rows: rows.sort((one, other) => one.index - other.index), merges, cells };
}

type RawCell = { type: string; value: string | undefined; formula: string; format: CellFormat | undefined };

function toCell({ type, value, formula, format }: RawCell, strings: readonly string[]): SheetCell | undefined {
  // A program that never computed what it wrote leaves the formula alone.
  if (value === undefined) return formula === "" ? undefined : { text: `=${formula.slice(0, 500)}`, isNumber: false };
  switch (type) {
    case "s":
      return { text: strings[Number(value)] ?? "", isNumber: false };
    case "b":
      return { text: value === "1" ? "TRUE" : "FALSE", isNumber: false };
    case "str":
    case "inlineStr":
    case "e":
      return { text: tidied(value.slice(0, cellCharsMax)).trim(), isNumber: false };
    case "d":
      return { text: value.replace("T", " ").slice(0, 40), isNumber: true };
    default: {
      const number = Number(value);
      if (value.trim() === "" || !Number.isFinite(number)) return { text: value.trim(), isNumber: false };
      return { text: format ? format(number) : String(number), isNumber: true };
    }
  }
}

/** What is drawn on a sheet: pictures, and charts by their numbers. */
async function sheetDrawings(
  source: OfficePackage,
  { target, sheet, keeper }: { target: string; sheet: string; keeper: PictureKeeper },
): Promise<Block[]> {
  const drawing = [...(await source.relations(target)).values()].find((one) => one.type === "drawing")?.target;
  const bytes = drawing === undefined ? undefined : await source.read(drawing);
  if (drawing === undefined || !bytes) return [];
  const relations = await source.relations(drawing);
  const figures: SourceBlock[] = [];
  const charts: string[] = [];
  let alt = "";
  await readXml(bytes, {
    open: (name, attributes) => {
      if (name === "cNvPr") alt = (attributes["descr"] ?? "").trim();
      const chart = name === "chart" ? attributes["r:id"] : undefined;
      if (chart !== undefined && charts.length < chartsMax) charts.push(chart);
      const id = name === "blip" ? attributes["r:embed"] : undefined;
      if (id !== undefined && figures.length < 200)
        figures.push({ type: "figure", ...(alt !== "" && { caption: tidied(alt) }), source: id, place: { sheet } });
    },
  });
  const blocks = await withPictures(figures, async (id, caption) => {
    const name = relations.get(id)?.target;
    const picture = name === undefined ? undefined : await source.picture(name);
    return picture && keeper.add(picture, { key: name ?? "", caption });
  });
  for (const id of charts)
    for (const table of await chartBlocks(source, relations.get(id)?.target, { sheet }))
      // The numbers of a long series are in the cells, and once is enough.
      if (table.type === "table" && table.rows.length <= chartRowsMax) blocks.push(table);
  return blocks;
}

/** "BC12" is column 54, from 0. */
function columnOf(reference: string | undefined): number | undefined {
  if (reference === undefined) return undefined;
  let column = 0;
  for (let at = 0; at < reference.length && at < 4; at += 1) {
    const code = reference.charCodeAt(at) - 64;
    if (code < 1 || code > 26) break;
    column = column * 26 + code;
  }
  return column === 0 ? undefined : column - 1;
}

function spanOf(reference: string): Span | undefined {
  const match = /^([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})$/u.exec(reference);
  if (!match) return undefined;
  const [left, right] = [columnOf(match[1]) ?? 0, columnOf(match[3]) ?? 0];
  const [top, bottom] = [Number(match[2]) - 1, Number(match[4]) - 1];
  if (right < left || bottom < top) return undefined;
  return { row: top, column: left, rows: bottom - top + 1, columns: right - left + 1 };
}
