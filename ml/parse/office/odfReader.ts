import type { Block } from "../block.ts";
import { tidied } from "../decode.ts";
import { gridBlocks, type Cell } from "../grid.ts";
import type { SourceBlock } from "../pictures.ts";
import { attributeOf, numberOf, type Attributes, type XmlHandler } from "../xml.ts";
import { Flow } from "./flow.ts";

type Style = { readonly parent: string };
type Paragraph = {
  text: string;
  readonly level: number | undefined;
  readonly style: string;
  readonly after: SourceBlock[];
  readonly notes: Block[];
};
type OpenCell = { text: string; readonly columns: number; readonly rows: number };
type OpenTable = { readonly rows: Cell[][]; row: Cell[]; cell: OpenCell | undefined; headerRows: number; isHeader: boolean };
type Frame = { presentation: string; caption: string; source?: string };

const skipped = new Set([
  "annotation",
  "tracked-changes",
  "table-of-content",
  "alphabetical-index",
  "illustration-index",
  "table-index",
  "forms",
  "settings",
  "note-citation",
]);
/** What a master repeats on every slide. */
const repeated = new Set(["page-number", "footer", "header", "date-time"]);
/** Cells repeated in the file's short hand, of one row. */
const repeatMax = 500;

/** Turns the events of content.xml of a text or a presentation into blocks. */
export class OdfReader implements XmlHandler {
  title: string | undefined;
  pages = 0;
  readonly #isSlides: boolean;
  readonly #flow = new Flow();
  readonly #styles = new Map<string, Style>();
  readonly #numbered = new Set<string>();
  readonly #paragraphs: Paragraph[] = [];
  readonly #tables: OpenTable[] = [];
  readonly #frames: Frame[] = [];
  #lists: string[] = [];
  #listStyle = "";
  #skip = 0;
  #note: { text: string } | undefined;
  #noteCount = 0;
  #speaker: string[] | undefined;
  #label: "title" | "desc" | undefined;

  constructor({ isSlides }: { isSlides: boolean }) {
    this.#isSlides = isSlides;
  }

  readonly openStyle = (name: string, attributes: Attributes): void => {
    if (name === "style")
      this.#styles.set(attributeOf(attributes, "name") ?? "", { parent: attributeOf(attributes, "parent-style-name") ?? "" });
    else if (name === "list-style") this.#listStyle = attributeOf(attributes, "name") ?? "";
    else if (name === "list-level-style-number" && attributeOf(attributes, "level") === "1") this.#numbered.add(this.#listStyle);
  };

  readonly open = (name: string, attributes: Attributes): void => {
    if (this.#skip > 0 || skipped.has(name)) {
      this.#skip += 1;
      return;
    }
    const paragraph = this.#paragraphs.at(-1);
    switch (name) {
      case "p":
      case "h": {
        const level = name === "h" ? (numberOf(attributes, "outline-level") ?? 1) : undefined;
        this.#paragraphs.push({ text: "", level, style: attributeOf(attributes, "style-name") ?? "", after: [], notes: [] });
        break;
      }
      case "s":
        if (paragraph) paragraph.text += " ".repeat(Math.min(numberOf(attributes, "c") ?? 1, 200));
        break;
      case "tab":
        if (paragraph) paragraph.text += "\t";
        break;
      case "line-break":
        if (paragraph) paragraph.text += "\n";
        break;
      case "list":
        this.#lists.push(attributeOf(attributes, "style-name") ?? this.#lists.at(-1) ?? "");
        break;
      case "note":
        this.#note = { text: "" };
        break;
      case "notes":
        this.#speaker = [];
        break;
      case "page":
        this.pages += 1;
        break;
      default:
        this.#openOther(name, attributes);
    }
  };

  readonly close = (name: string): void => {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (name === "p" || name === "h") this.#closeParagraph();
    else if (name === "list") this.#lists.pop();
    else if (name === "note") this.#closeNote();
    else if (name === "notes") this.#closeSpeaker();
    else if (name === "title" || name === "desc") this.#label = undefined;
    else if (name === "frame") this.#closeFrame();
    else this.#closeTablePart(name);
  };

  readonly text = (text: string): void => {
    if (this.#skip > 0) return;
    const frame = this.#frames.at(-1);
    if (this.#label && frame) frame.caption += text;
    const paragraph = this.#paragraphs.at(-1);
    // Line breaks in the file are white space; those of the text are elements.
    if (!this.#label && paragraph) paragraph.text += text.replaceAll(/\s+/gu, " ");
  };

  finish(): SourceBlock[] {
    return this.#flow.finish();
  }

  #openOther(name: string, attributes: Attributes): void {
    const table = this.#tables.at(-1);
    if (name === "frame") this.#frames.push({ presentation: attributeOf(attributes, "class") ?? "", caption: "" });
    else if (name === "image") this.#openImage(attributeOf(attributes, "href"));
    else if ((name === "title" || name === "desc") && this.#frames.length > 0) {
      this.#label = name;
      const frame = this.#frames.at(-1);
      if (frame && frame.caption !== "") frame.caption += " ";
    } else if (name === "table") this.#tables.push({ rows: [], row: [], cell: undefined, headerRows: 0, isHeader: false });
    else if (name === "table-header-rows" && table) table.isHeader = true;
    else if (name === "table-row" && table) table.row = [];
    else if (name === "table-cell" && table)
      table.cell = {
        text: "",
        columns: Math.max(
          numberOf(attributes, "number-columns-spanned") ?? 1,
          Math.min(numberOf(attributes, "number-columns-repeated") ?? 1, repeatMax),
        ),
        rows: numberOf(attributes, "number-rows-spanned") ?? 1,
      };
    else this.openStyle(name, attributes);
  }

  #openImage(source: string | undefined): void {
    const frame = this.#frames.at(-1);
    // An object carries a picture of itself after its own; the first is the better.
    if (frame && source !== undefined && !/^[a-z]+:/iu.test(source)) frame.source ??= source;
  }

  #closeTablePart(name: string): void {
    const table = this.#tables.at(-1);
    if (!table) return;
    if (name === "table-header-rows") {
      table.isHeader = false;
      table.headerRows = table.rows.length;
    } else if (name === "table-cell" && table.cell) {
      table.row.push({ ...table.cell, text: table.cell.text.replaceAll(/\s+/gu, " ").trim() });
      table.cell = undefined;
    } else if (name === "table-row") table.rows.push(table.row);
    else if (name === "table") this.#closeTable();
  }

  #closeTable(): void {
    const table = this.#tables.pop();
    if (!table) return;
    const outer = this.#tables.at(-1)?.cell;
    if (outer) {
      outer.text = [outer.text, ...table.rows.map((row) => row.map((cell) => cell.text).join(" "))].filter(Boolean).join(" ");
      return;
    }
    const headerRows = table.headerRows > 0 ? table.headerRows : undefined;
    for (const block of gridBlocks(table.rows, { place: this.#place(), headerRows })) this.#flow.add(block);
    this.#flow.addHeldLater();
  }

  #closeFrame(): void {
    const frame = this.#frames.pop();
    if (frame?.source === undefined || this.#speaker || this.#skip > 0) return;
    const caption = tidied(frame.caption).replaceAll(/\s+/gu, " ").trim();
    const figure = { type: "figure" as const, ...(caption !== "" && { caption }), source: frame.source, place: this.#place() };
    const paragraph = this.#paragraphs.at(-1);
    if (paragraph) paragraph.after.push(figure);
    else this.#flow.add(figure);
  }

  #closeNote(): void {
    const note = this.#note;
    this.#note = undefined;
    const paragraph = this.#paragraphs.at(-1);
    if (!note || !paragraph) return;
    this.#noteCount += 1;
    paragraph.text += `[${this.#noteCount}]`;
    paragraph.notes.push({ type: "footnote", label: String(this.#noteCount), text: note.text.trim(), place: this.#place() });
  }

  #closeSpeaker(): void {
    const lines = this.#speaker ?? [];
    this.#speaker = undefined;
    if (lines.length > 0) this.#flow.add({ type: "footnote", label: "Notes", text: lines.join("\n"), place: this.#place() });
  }

  #closeParagraph(): void {
    const paragraph = this.#paragraphs.pop();
    if (!paragraph) return;
    const text = tidied(paragraph.text)
      .replaceAll(/[ \t\u00a0]+/gu, " ")
      .trim();
    const cell = this.#tables.at(-1)?.cell;
    const outer = this.#paragraphs.at(-1);
    if (repeated.has(this.#frames.at(-1)?.presentation ?? "")) return;
    if (this.#note) this.#note.text += `${text} `;
    else if (this.#speaker) this.#speaker.push(...(text === "" ? [] : [text]));
    else if (cell) {
      cell.text = `${cell.text} ${text}`;
      this.#flow.addNotes(paragraph.notes);
      for (const block of paragraph.after) this.#flow.addLater(block);
    } else if (outer) {
      // A picture with its caption is a text box that holds both.
      const [figure, ...others] = paragraph.after;
      if (text !== "" && figure?.type === "figure") outer.after.push({ ...figure, caption: text }, ...others);
      else
        outer.after.push(
          ...paragraph.after,
          ...(text === "" ? [] : [{ type: "paragraph" as const, text, place: this.#place() }]),
        );
      outer.notes.push(...paragraph.notes);
    } else {
      this.#emit(paragraph, text);
      for (const block of paragraph.after) this.#flow.add(block);
      this.#flow.addNotes(paragraph.notes);
    }
  }

  #emit(paragraph: Paragraph, text: string): void {
    if (text === "") return;
    const place = this.#place();
    const { use, level: styled } = this.#meaningOf(paragraph.style);
    const level = paragraph.level ?? styled;
    const isTitle = this.#isSlides ? this.#frames.at(-1)?.presentation === "title" : use === "title";
    if (use === "title") this.title ??= text;
    if (isTitle || level !== undefined)
      this.#flow.add({ type: "heading", level: Math.min(level ?? 1, 9), text: text.replaceAll("\n", " "), place });
    else if (use === "caption") this.#flow.addCaption(text);
    else if (use === "code") this.#flow.addCode(tidied(paragraph.text));
    else if (this.#lists.length > 0) {
      const isOrdered = this.#numbered.has(this.#lists[0] ?? "");
      this.#flow.addItem({ text, depth: Math.min(this.#lists.length - 1, 8), isOrdered, place });
    } else this.#flow.add({ type: "paragraph", text, place });
  }

  /** What a style says, or what it is based on says. Spaces in names are written as "_20_". */
  #meaningOf(style: string): { use?: "title" | "caption" | "code"; level?: number } {
    let name = style;
    for (let steps = 0; steps < 8 && name !== ""; steps += 1) {
      if (name === "Title") return { use: "title" };
      if (/^(?:Caption|Illustration|Table|Figure|Drawing)$/iu.test(name)) return { use: "caption" };
      if (/^(?:Preformatted_20_Text|Source_20_(?:Text|Code))$/u.test(name)) return { use: "code" };
      const level = /^Heading_20_([1-9])$/u.exec(name)?.[1];
      if (level !== undefined) return { level: Number(level) };
      name = this.#styles.get(name)?.parent ?? "";
    }
    return {};
  }

  #place(): { page?: number } {
    return this.#isSlides && this.pages > 0 ? { page: this.pages } : {};
  }
}
