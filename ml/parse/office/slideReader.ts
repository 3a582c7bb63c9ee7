import { tidied } from "../decode.ts";
import { gridBlocks, type Cell } from "../grid.ts";
import type { SourceBlock } from "../pictures.ts";
import { attributeOf, numberOf, type Attributes, type XmlHandler } from "../xml.ts";

type Line = { text: string; depth: number; bullet?: "none" | "mark" | "number" };
type Shape = { placeholder: string | undefined; readonly lines: Line[] };
type OpenCell = { text: string; columns: number; rows: number; isCovered: boolean };

/** What a master repeats on every slide. */
const repeated = new Set(["sldNum", "dt", "ftr", "hdr", "sldImg"]);
const skipped = new Set(["Fallback", "extLst", "timing", "transition"]);

/** Turns the events of a slide (or of its notes) into blocks, the title first. */
export class SlideReader implements XmlHandler {
  readonly charts: string[] = [];
  readonly diagrams: string[] = [];
  readonly #page: number;
  readonly #isNotes: boolean;
  readonly #blocks: SourceBlock[] = [];
  #titles: SourceBlock[] = [];
  #skip = 0;
  #shape: Shape | undefined;
  #line: Line | undefined;
  #isText = false;
  #rows: OpenCell[][] | undefined;
  #firstRow = false;
  #cell: OpenCell | undefined;
  #alt = "";

  constructor({ page, isNotes = false }: { page: number; isNotes?: boolean }) {
    this.#page = page;
    this.#isNotes = isNotes;
  }

  readonly open = (name: string, attributes: Attributes): void => {
    if (this.#skip > 0 || skipped.has(name)) {
      this.#skip += 1;
      return;
    }
    if (name === "t") this.#isText = true;
    else if (name === "p") this.#line = { text: "", depth: 0 };
    else if (name === "pPr" && this.#line) this.#line.depth = Math.min(numberOf(attributes, "lvl") ?? 0, 8);
    else if (name === "buNone" && this.#line) this.#line.bullet = "none";
    else if (name === "buChar" && this.#line) this.#line.bullet = "mark";
    else if (name === "buAutoNum" && this.#line) this.#line.bullet = "number";
    else if (name === "br" && this.#line) this.#line.text += "\n";
    else if (name === "sp") this.#shape = { placeholder: undefined, lines: [] };
    else if (name === "ph" && this.#shape) this.#shape.placeholder = attributes["type"] ?? "body";
    else if (name === "cNvPr") this.#alt = attributes["descr"] ?? "";
    else if (name === "blip") this.#addPicture(attributes["r:embed"]);
    else if (name === "chart") this.#addReference(this.charts, attributes["r:id"]);
    else if (name === "relIds") this.#addReference(this.diagrams, attributes["r:dm"]);
    else this.#openTable(name, attributes);
  };

  readonly close = (name: string): void => {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (name === "t") this.#isText = false;
    else if (name === "p") this.#closeLine();
    else if (name === "sp") this.#closeShape();
    else if (name === "tc") this.#closeCell();
    else if (name === "tbl") this.#closeTable();
  };

  readonly text = (text: string): void => {
    if (this.#isText && this.#skip === 0 && this.#line) this.#line.text += text;
  };

  finish(): SourceBlock[] {
    this.#closeShape();
    this.#closeTable();
    return [...this.#titles, ...this.#blocks];
  }

  #openTable(name: string, attributes: Attributes): void {
    if (name === "tbl") {
      this.#rows = [];
      this.#firstRow = false;
    } else if (name === "tblPr") this.#firstRow = attributes["firstRow"] === "1" || attributes["firstRow"] === "true";
    else if (name === "tr") this.#rows?.push([]);
    else if (name === "tc" && this.#rows) {
      const isOn = (key: string): boolean => /^(?:1|true)$/u.test(attributeOf(attributes, key) ?? "");
      this.#cell = {
        text: "",
        columns: numberOf(attributes, "gridSpan") ?? 1,
        rows: numberOf(attributes, "rowSpan") ?? 1,
        isCovered: isOn("hMerge") || isOn("vMerge"),
      };
    }
  }

  #addPicture(id: string | undefined): void {
    // A blip in a shape is its background.
    if (id === undefined || this.#isNotes || this.#shape || this.#rows) return;
    const caption = tidied(this.#alt).replaceAll(/\s+/gu, " ").trim();
    this.#blocks.push({ type: "figure", ...(caption !== "" && { caption }), source: id, place: { page: this.#page } });
  }

  #addReference(list: string[], id: string | undefined): void {
    if (id !== undefined && list.length < 50) list.push(id);
  }

  #closeLine(): void {
    const line = this.#line;
    this.#line = undefined;
    if (!line) return;
    line.text = tidied(line.text)
      .replaceAll(/[ \t\u00a0\v]+/gu, " ")
      .trim();
    if (line.text === "") return;
    if (this.#cell) this.#cell.text = this.#cell.text === "" ? line.text : `${this.#cell.text}\n${line.text}`;
    else this.#shape?.lines.push(line);
  }

  #closeShape(): void {
    const shape = this.#shape;
    this.#shape = undefined;
    if (!shape || shape.lines.length === 0) return;
    const kind = shape.placeholder;
    if (kind !== undefined && repeated.has(kind)) return;
    const place = { page: this.#page };
    const texts = shape.lines.map((line) => line.text);
    if (!this.#isNotes && (kind === "title" || kind === "ctrTitle")) {
      this.#titles.push({ type: "heading", level: 1, text: texts.join(" ").replaceAll("\n", " "), place });
      return;
    }
    // The points of a body are marked by its master; elsewhere a mark has to be asked for.
    const isBody = kind === "body" || kind === "obj";
    const isItem = ({ bullet, depth }: Line): boolean =>
      bullet === undefined ? isBody && (shape.lines.length > 1 || depth > 0) : bullet !== "none";
    let items: Line[] = [];
    const flush = (): void => {
      if (items.length > 0)
        this.#blocks.push({
          type: "list",
          isOrdered: items[0]?.bullet === "number",
          items: items.map(({ text, depth }) => ({ text, depth })),
          place,
        });
      items = [];
    };
    for (const line of shape.lines) {
      if (isItem(line)) items.push(line);
      else {
        flush();
        this.#blocks.push({ type: "paragraph", text: line.text, place });
      }
    }
    flush();
  }

  #closeCell(): void {
    if (this.#cell) this.#rows?.at(-1)?.push(this.#cell);
    this.#cell = undefined;
  }

  #closeTable(): void {
    const rows = this.#rows;
    this.#rows = undefined;
    if (!rows) return;
    const cells = rows.map((row) =>
      row.filter((cell) => !cell.isCovered).map(({ text, columns, rows }): Cell => ({ text, columns, rows })),
    );
    const headerRows = this.#firstRow ? 1 : undefined;
    this.#blocks.push(...gridBlocks(cells, { place: { page: this.#page }, headerRows }));
  }
}
