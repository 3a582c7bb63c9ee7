import type { Span } from "../block.ts";
import { tidied } from "../decode.ts";
import { UnreadableError } from "../unreadable.ts";
import { attributeOf, numberOf, type Attributes, type XmlHandler } from "../xml.ts";
import { cellsMax, type Sheet, type SheetRow } from "./sheet.ts";

/** A filled row or cell said to be repeated more often than this is a made-up one. */
const repeatMax = 1_000;
const columnsMax = 16_384;

/** Turns the events of content.xml of a spreadsheet into sheets. Values are taken as they are shown. */
export class OdsReader implements XmlHandler {
  readonly #sheets: Sheet[] = [];
  readonly #hiddenStyles = new Set<string>();
  #style = "";
  #sheet: { name: string; isHidden: boolean; rows: SheetRow[]; merges: Span[] } | undefined;
  #depth = 0;
  #index = 0;
  #row: SheetRow | undefined;
  #rowRepeat = 1;
  #column = 0;
  #cell: { text: string; isNumber: boolean; repeat: number; lines: number } | undefined;
  #skip = 0;
  #cells = 0;

  readonly open = (name: string, attributes: Attributes): void => {
    if (this.#skip > 0 || name === "annotation" || name === "tracked-changes") {
      this.#skip += 1;
      return;
    }
    if (name === "style") this.#style = attributeOf(attributes, "name") ?? "";
    else if (name === "table-properties" && attributeOf(attributes, "display") === "false") this.#hiddenStyles.add(this.#style);
    else if (name === "table") this.#openTable(attributes);
    else if (name === "table-row" && this.#depth === 1) {
      this.#row = { index: this.#index, cells: new Map() };
      this.#rowRepeat = numberOf(attributes, "number-rows-repeated") ?? 1;
      this.#column = 0;
    } else if ((name === "table-cell" || name === "covered-table-cell") && this.#depth === 1) this.#openCell(attributes);
    else if (name === "p" && this.#cell) this.#cell.text += this.#cell.lines++ > 0 ? "\n" : "";
    else if (name === "s" && this.#cell) this.#cell.text += " ";
  };

  readonly close = (name: string): void => {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (name === "table") {
      this.#depth -= 1;
      if (this.#depth === 0 && this.#sheet) this.#sheets.push(this.#sheet);
    } else if (name === "table-row" && this.#depth === 1) this.#closeRow();
    else if ((name === "table-cell" || name === "covered-table-cell") && this.#depth === 1) this.#closeCell();
  };

  readonly text = (text: string): void => {
    if (this.#skip === 0 && this.#cell && this.#cell.lines > 0) this.#cell.text += text;
  };

  finish(): readonly Sheet[] {
    return this.#sheets;
  }

  #openTable(attributes: Attributes): void {
    this.#depth += 1;
    if (this.#depth > 1) return;
    const isHidden = this.#hiddenStyles.has(attributeOf(attributes, "style-name") ?? "");
    this.#sheet = { name: tidied(attributeOf(attributes, "name") ?? "").slice(0, 100), isHidden, rows: [], merges: [] };
    this.#index = 0;
  }

  #openCell(attributes: Attributes): void {
    const [columns, rows] = [
      numberOf(attributes, "number-columns-spanned") ?? 1,
      numberOf(attributes, "number-rows-spanned") ?? 1,
    ];
    if ((columns > 1 || rows > 1) && this.#sheet && this.#sheet.merges.length < 100_000)
      this.#sheet.merges.push({ row: this.#index, column: this.#column, rows, columns });
    const type = attributeOf(attributes, "value-type") ?? "string";
    this.#cell = {
      text: "",
      isNumber: /^(?:float|percentage|currency|date|time)$/u.test(type),
      repeat: numberOf(attributes, "number-columns-repeated") ?? 1,
      lines: 0,
    };
  }

  #closeCell(): void {
    const cell = this.#cell;
    this.#cell = undefined;
    if (!cell) return;
    const text = tidied(cell.text).trim();
    if (text !== "")
      for (let at = 0; at < Math.min(cell.repeat, repeatMax); at += 1) {
        if (this.#column + at >= columnsMax) break;
        this.#row?.cells.set(this.#column + at, { text, isNumber: cell.isNumber });
        this.#count(1);
      }
    this.#column += cell.repeat;
  }

  #closeRow(): void {
    const row = this.#row;
    this.#row = undefined;
    if (row && row.cells.size > 0)
      for (let at = 0; at < Math.min(this.#rowRepeat, repeatMax); at += 1) {
        this.#sheet?.rows.push({ index: this.#index + at, cells: row.cells });
        if (at > 0) this.#count(row.cells.size);
      }
    this.#index += this.#rowRepeat;
  }

  #count(cells: number): void {
    this.#cells += cells;
    if (this.#cells > cellsMax) throw new UnreadableError("tooManyPassages");
  }
}
