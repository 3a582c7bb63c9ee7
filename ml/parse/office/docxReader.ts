import type { Block } from "../block.ts";
import { gridBlocks, merged, type OpenCell } from "../grid.ts";
import { tidied } from "../decode.ts";
import { attributeOf, numberOf, type Attributes, type XmlHandler } from "../xml.ts";
import type { SourceBlock } from "../pictures.ts";
import type { DocxNumbering, DocxStyles } from "./docxStyles.ts";
import { Flow } from "./flow.ts";

type Parts = {
  readonly styles: DocxStyles;
  readonly numbering: DocxNumbering;
  readonly footnotes: ReadonlyMap<string, string>;
  readonly endnotes: ReadonlyMap<string, string>;
};

type Paragraph = {
  text: string;
  style: string;
  outline?: number;
  numId?: string;
  depth?: number;
  /** What hangs on it and comes after it: pictures, text boxes, notes. */
  readonly after: SourceBlock[];
  readonly notes: Block[];
};
type OpenTable = { readonly rows: OpenCell[][]; headerRows: number; usesFirstRow: boolean; row: OpenCell[] };

/** Old text, codes of fields, and the second telling of what was told already. */
const skipped = new Set([
  "del",
  "moveFrom",
  "Fallback",
  "instrText",
  "delText",
  "pPrChange",
  "rPrChange",
  "tblPrChange",
  "sectPr",
]);
/** Longer text in a heading's style was styled by mistake. */
const headingCharsMax = 400;

/** Turns the events of word/document.xml into blocks. */
export class DocxReader implements XmlHandler {
  title: string | undefined;
  readonly #parts: Parts;
  readonly #flow = new Flow();
  readonly #paragraphs: Paragraph[] = [];
  readonly #tables: OpenTable[] = [];
  #skip = 0;
  #isText = false;
  #figure: { alt: string; source?: string } | undefined;
  #notes = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  readonly open = (name: string, attributes: Attributes): void => {
    if (this.#skip > 0 || skipped.has(name)) {
      this.#skip += 1;
      return;
    }
    const paragraph = this.#paragraphs.at(-1);
    switch (name) {
      case "p":
        this.#paragraphs.push({ text: "", style: "", after: [], notes: [] });
        break;
      case "t":
        this.#isText = true;
        break;
      case "tab":
      case "ptab":
        if (paragraph) paragraph.text += "\t";
        break;
      case "br":
      case "cr":
        if (paragraph) paragraph.text += "\n";
        break;
      case "noBreakHyphen":
        if (paragraph) paragraph.text += "-";
        break;
      case "footnoteReference":
        this.#refer(this.#parts.footnotes.get(attributeOf(attributes, "id") ?? ""));
        break;
      case "endnoteReference":
        this.#refer(this.#parts.endnotes.get(attributeOf(attributes, "id") ?? ""));
        break;
      case "drawing":
      case "pict":
        this.#figure = { alt: "" };
        break;
      default:
        this.#openProperty(name, attributes);
    }
  };

  readonly close = (name: string): void => {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (name === "t") this.#isText = false;
    else if (name === "p") this.#closeParagraph();
    else if (name === "tr") this.#closeRow();
    else if (name === "tbl") this.#closeTable();
    else if (name === "drawing" || name === "pict") this.#closeFigure();
  };

  readonly text = (text: string): void => {
    const paragraph = this.#paragraphs.at(-1);
    if (this.#isText && this.#skip === 0 && paragraph) paragraph.text += text;
  };

  finish(): SourceBlock[] {
    while (this.#paragraphs.length > 0) this.#closeParagraph();
    while (this.#tables.length > 0) this.#closeTable();
    return this.#flow.finish();
  }

  #openProperty(name: string, attributes: Attributes): void {
    const value = attributeOf(attributes, "val");
    const paragraph = this.#paragraphs.at(-1);
    const table = this.#tables.at(-1);
    const cell = table?.row.at(-1);
    if (name === "pStyle" && paragraph) paragraph.style = value ?? "";
    else if (name === "outlineLvl" && paragraph) paragraph.outline = Number(value) + 1;
    else if (name === "numId" && paragraph) paragraph.numId = value ?? "0";
    else if (name === "ilvl" && paragraph) paragraph.depth = Number(value);
    else if (name === "tbl") this.#tables.push({ rows: [], headerRows: 0, usesFirstRow: false, row: [] });
    else if (name === "tc") table?.row.push({ text: "", columns: 1 });
    else if (name === "gridSpan" && cell) cell.columns = numberOf(attributes, "val") ?? 1;
    else if (name === "vMerge" && cell) cell.merge = value === "restart" ? "restart" : "continue";
    else if (name === "tblHeader" && table && isOn(value)) table.headerRows = table.rows.length + 1;
    else if (name === "tblLook" && table) table.usesFirstRow = saysFirstRow(attributes);
    else if (this.#figure) this.#openPicture(name, attributes, this.#figure);
  }

  #openPicture(name: string, attributes: Attributes, figure: { alt: string; source?: string }): void {
    if (name === "docPr") figure.alt = attributeOf(attributes, "descr") ?? "";
    const id =
      name === "blip" ? attributes["r:embed"] : name === "imagedata" || name === "chart" ? attributes["r:id"] : undefined;
    if (id !== undefined) figure.source ??= id;
    if (name === "shape" && figure.alt === "") figure.alt = attributes["alt"] ?? "";
  }

  #closeFigure(): void {
    const figure = this.#figure;
    this.#figure = undefined;
    if (figure?.source === undefined) return;
    const caption = tidied(figure.alt).replaceAll(/\s+/gu, " ").trim();
    const block = { type: "figure" as const, ...(caption !== "" && { caption }), source: figure.source, place: {} };
    const paragraph = this.#paragraphs.at(-1);
    if (paragraph) paragraph.after.push(block);
    else this.#flow.add(block);
  }

  #refer(note: string | undefined): void {
    const paragraph = this.#paragraphs.at(-1);
    if (note === undefined || !paragraph) return;
    this.#notes += 1;
    paragraph.text += `[${this.#notes}]`;
    paragraph.notes.push({ type: "footnote", label: String(this.#notes), text: tidied(note), place: {} });
  }

  #closeParagraph(): void {
    const paragraph = this.#paragraphs.pop();
    if (!paragraph) return;
    const text = tidied(paragraph.text)
      .replaceAll(/[ \t\u00a0]+/gu, " ")
      .trim();
    const cell = this.#tables.at(-1)?.row.at(-1);
    const outer = this.#paragraphs.at(-1);
    if (cell) {
      cell.text = `${cell.text}${cell.text === "" || text === "" ? "" : "\n"}${text}`;
      this.#flow.addNotes(paragraph.notes);
      for (const block of paragraph.after) this.#flow.addLater(block);
    } else if (outer) {
      // A text box: it is read after the paragraph it is anchored to.
      if (text !== "") outer.after.push({ type: "paragraph", text, place: {} });
      outer.after.push(...paragraph.after, ...paragraph.notes);
    } else {
      this.#emit(paragraph, text);
      for (const block of paragraph.after) this.#flow.add(block);
      this.#flow.addNotes(paragraph.notes);
    }
  }

  #emit(paragraph: Paragraph, text: string): void {
    if (text === "") return;
    const style = this.#parts.styles.get(paragraph.style);
    const level = paragraph.outline !== undefined && paragraph.outline <= 9 ? paragraph.outline : style?.level;
    const numId = paragraph.numId ?? style?.numId;
    if (style?.use === "contents") return;
    if (style?.use === "title") this.title ??= text;
    if (level !== undefined && text.length <= headingCharsMax)
      this.#flow.add({ type: "heading", level, text: text.replaceAll("\n", " "), place: {} });
    else if (style?.use === "caption") this.#flow.addCaption(text);
    else if (style?.use === "code") this.#flow.addCode(tidied(paragraph.text).replaceAll("\u00a0", " "));
    else if (numId !== undefined && numId !== "0") {
      const depth = Math.min(Math.max(paragraph.depth ?? style?.depth ?? 0, 0), 8);
      const levels = this.#parts.numbering.get(numId);
      this.#flow.addItem({ text, depth, isOrdered: levels?.get(depth) ?? false });
    } else this.#flow.add({ type: "paragraph", text, place: {} });
  }

  #closeRow(): void {
    const table = this.#tables.at(-1);
    if (!table) return;
    table.rows.push(table.row);
    table.row = [];
  }

  #closeTable(): void {
    const table = this.#tables.pop();
    if (!table) return;
    if (table.row.length > 0) table.rows.push(table.row);
    const outer = this.#tables.at(-1)?.row.at(-1);
    if (outer) {
      // A table in a cell: its text belongs to the cell.
      outer.text = [outer.text, ...table.rows.map((row) => row.map((cell) => cell.text).join(" "))].filter(Boolean).join("\n");
      return;
    }
    const headerRows = table.headerRows > 0 ? table.headerRows : table.usesFirstRow ? 1 : undefined;
    for (const block of gridBlocks(merged(table.rows), { place: {}, headerRows })) this.#flow.add(block);
    this.#flow.addHeldLater();
  }
}

function isOn(value: string | undefined): boolean {
  return value === undefined || !/^(?:0|false|off)$/u.test(value);
}

/** Whether the table's style shows its first row as a header; older files say so in bits. */
function saysFirstRow(attributes: Attributes): boolean {
  const said = attributeOf(attributes, "firstRow");
  if (said !== undefined) return isOn(said);
  return (Number.parseInt(attributeOf(attributes, "val") ?? "0", 16) & 0x20) !== 0;
}
