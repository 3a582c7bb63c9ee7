import type { Token } from "parse5";
import type { Block } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";
import { gridBlocks, type Cell } from "./grid.ts";
import type { SourceBlock } from "./pictures.ts";

/** Elements whose content the tokenizer has to take as text. */
export const rawText = new Set(["style", "xmp", "iframe", "noembed", "noframes"]);
const dropped = new Set(
  "script style template noscript svg math nav iframe object select button xmp noembed noframes".split(" "),
);
const blockTags = new Set(
  (
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form header hgroup hr html li main " +
    "ol p pre section summary table caption thead tbody td tfoot th title tr ul h1 h2 h3 h4 h5 h6"
  ).split(" "),
);
const voidTags = new Set("area base br col embed hr img input link meta source track wbr".split(" "));
/** May be left open by well-formed pages, so hiding one must not wait for its end. */
const endOptional = new Set("p li dt dd tr td th option body html".split(" "));

/** More cells than any page shows; bounds what a made-up table can cost. */
const tableCellsMax = 800_000;
const depthMax = 20;

type List = { readonly isOrdered: boolean };
type Table = {
  rows: Cell[][];
  row: Cell[] | undefined;
  cell: { rows: number; columns: number; isHeader: boolean } | undefined;
  caption: string;
  headRows: number;
};
type Figure = { source?: string; alt: string; caption: string };

/** Turns the tokens of a page into blocks. */
export class HtmlReader {
  readonly blocks: SourceBlock[] = [];
  readonly meta: { author?: string; date?: string } = {};
  title = "";
  readonly #place: Place;
  readonly #skipsHidden: boolean;
  readonly #keepsPictures: boolean;
  #text: string[] = [];
  #inTitle = false;
  #skipped: { tag: string; depth: number } | undefined;
  #heading = 0;
  #pre = 0;
  #language = "";
  #lists: List[] = [];
  #items: { text: string; depth: number }[] = [];
  #isOrdered = false;
  /** Whether text goes on with the last item; its depth, or -1 outside lists. */
  #itemDepth = -1;
  #isFresh = false;
  #table: Table | undefined;
  #tableDepth = 0;
  #cells = 0;
  #figure: Figure | undefined;
  #inCaption = false;
  #inReference = false;
  #note: { tag: string; depth: number; label: string; from: number } | undefined;

  constructor(place: Place, { skipsHidden, keepsPictures }: { skipsHidden: boolean; keepsPictures: boolean }) {
    this.#place = place;
    this.#skipsHidden = skipsHidden;
    this.#keepsPictures = keepsPictures;
  }

  get isStuck(): boolean {
    return this.#skipsHidden && this.#skipped !== undefined;
  }

  addText(chars: string): void {
    if (this.#skipped) return;
    if (this.#inTitle) this.title += chars;
    else this.#text.push(this.#pre > 0 ? chars : chars.replaceAll(/\s+/gu, " "));
  }

  openTag(tag: Token.TagToken): void {
    const name = tag.tagName;
    if (this.#skipped) {
      if (name === this.#skipped.tag && !tag.selfClosing) this.#skipped.depth += 1;
      return;
    }
    if (this.#isSkipped(tag)) {
      if (!tag.selfClosing && !voidTags.has(name)) this.#skipped = { tag: name, depth: 1 };
      return;
    }
    if (name === "br") this.#text.push("\n");
    else if (name === "img" || name === "image") this.#openImage(tag);
    else if (name === "meta") this.#readMeta(tag);
    else if (name === "a" && isReference(tag)) {
      this.#text.push("[");
      this.#inReference = true;
    } else if (name === "code" && this.#pre > 0) this.#language ||= languageOf(tag);
    if (!blockTags.has(name)) return;
    if (this.#note && name === this.#note.tag) this.#note.depth += 1;
    else if (!this.#note && this.#tableDepth === 0 && isNote(tag)) this.#openNote(tag);
    if (name === "title") this.#inTitle = this.title === "";
    else if (name === "table") this.#openTable();
    else if (name === "caption" && this.#tableDepth === 1) this.#text = [];
    else if (name === "tr") this.#openRow();
    else if (name === "td" || name === "th") this.#openCell(tag);
    else if (this.#tableDepth > 0) this.#text.push(name === "thead" || name === "tbody" || name === "tfoot" ? "" : " ");
    else this.#openBlock(tag);
  }

  closeTag(name: string): void {
    if (this.#skipped) {
      if (name === this.#skipped.tag) this.#skipped.depth -= 1;
      if (this.#skipped.depth === 0) this.#skipped = undefined;
      return;
    }
    if (name === "a" && this.#inReference) {
      this.#text.push("]");
      this.#inReference = false;
    }
    if (name === "title") this.#inTitle = false;
    else if (name === "table") this.#closeTable();
    else if (name === "caption" && this.#tableDepth === 1) this.#closeCaption();
    else if (name === "thead" && this.#tableDepth === 1 && this.#table) {
      this.#closeRow();
      this.#table.headRows = this.#table.rows.length;
    } else if (name === "tr") this.#closeRow();
    else if (name === "td" || name === "th") this.#closeCell();
    else if (this.#tableDepth > 0) this.#text.push(blockTags.has(name) ? " " : "");
    else if (blockTags.has(name)) this.#closeBlock(name);
    if (this.#note && name === this.#note.tag) {
      this.#note.depth -= 1;
      if (this.#note.depth === 0) this.#closeNote();
    }
  }

  finish(): void {
    this.#tableDepth = Math.min(this.#tableDepth, 1);
    if (this.#tableDepth > 0) this.#closeTable();
    this.#flush();
    this.#lists = [];
    this.#flushItems();
    this.#closeFigure();
    if (this.#note) this.#closeNote();
    this.title = this.title.replaceAll(/\s+/gu, " ").trim();
  }

  #isSkipped(tag: Token.TagToken): boolean {
    if (rawText.has(tag.tagName) || tag.tagName === "script") return true;
    if (!this.#skipsHidden) return false;
    if (dropped.has(tag.tagName)) return true;
    if (endOptional.has(tag.tagName) || tag.attrs.length === 0) return false;
    return tag.attrs.some(
      ({ name, value }) =>
        name === "hidden" ||
        (name === "style" && /display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:px|pt)?\s*(?:;|$)/iu.test(value)),
    );
  }

  #readMeta(tag: Token.TagToken): void {
    const name = (valueOf(tag, "name") ?? valueOf(tag, "property") ?? "").toLowerCase();
    const content = valueOf(tag, "content")?.trim().slice(0, 300) ?? "";
    if (content === "") return;
    if (/^(?:author|dc\.creator|dcterms\.creator|article:author)$/u.test(name) && !/^https?:/u.test(content))
      this.meta.author ??= content;
    if (/^(?:date|dc\.date|dcterms\.(?:created|date|modified)|article:published_time|last-modified)$/u.test(name))
      this.meta.date ??= content;
  }

  #openImage(tag: Token.TagToken): void {
    const alt = collapsed(valueOf(tag, "alt") ?? "");
    const source = valueOf(tag, "src") ?? valueOf(tag, "xlink:href") ?? "";
    if (this.#figure && this.#figure.source === undefined) {
      this.#figure.source = source;
      this.#figure.alt = alt;
    } else if (this.#keepsPictures && source !== "" && this.#tableDepth === 0 && this.#heading === 0) {
      this.#flush();
      this.#flushItems();
      this.blocks.push({ type: "figure", ...(alt !== "" && { caption: alt }), source, place: this.#place });
    } else this.#text.push(` ${alt} `);
  }

  #openBlock(tag: Token.TagToken): void {
    const name = tag.tagName;
    this.#flush();
    if (name === "ul" || name === "ol") {
      if (this.#lists.length === 0) {
        this.#flushItems();
        this.#isOrdered = name === "ol";
      }
      this.#lists.push({ isOrdered: name === "ol" });
    } else if (name === "li") {
      this.#itemDepth = Math.min(Math.max(this.#lists.length - 1, 0), depthMax);
      this.#isFresh = true;
    } else if (name === "pre") {
      this.#flushItems();
      this.#pre += 1;
      this.#language = languageOf(tag);
    } else if (name === "figure") this.#figure = { alt: "", caption: "" };
    else if (name === "figcaption") this.#inCaption = true;
    else if (/^h[1-6]$/u.test(name)) this.#heading = Number(name[1]);
  }

  #closeBlock(name: string): void {
    this.#flush();
    if ((name === "ul" || name === "ol") && this.#lists.length > 0) {
      this.#lists.pop();
      this.#itemDepth = this.#lists.length - 1;
      if (this.#lists.length === 0) this.#flushItems();
    } else if (name === "li") {
      this.#isFresh = false;
      if (this.#lists.length === 0) this.#itemDepth = -1;
    } else if (name === "pre" && this.#pre > 0) this.#pre -= 1;
    else if (name === "figcaption") this.#inCaption = false;
    else if (name === "figure") this.#closeFigure();
    else if (/^h[1-6]$/u.test(name)) this.#heading = 0;
  }

  #closeFigure(): void {
    const figure = this.#figure;
    this.#figure = undefined;
    if (!figure) return;
    const { source, alt, caption } = figure;
    const words = caption === "" ? alt : alt === "" || alt === caption ? caption : `${caption} (${alt})`;
    if (source === undefined) {
      // Not a picture but a table or code with a caption.
      if (caption === "") return;
      const last = this.blocks.at(-1);
      if (last?.type === "table" && last.caption === undefined) this.blocks[this.blocks.length - 1] = { ...last, caption };
      else this.blocks.push({ type: "paragraph", text: caption, place: this.#place });
      return;
    }
    this.blocks.push({ type: "figure", ...(words !== "" && { caption: words }), source, place: this.#place });
  }

  #openNote(tag: Token.TagToken): void {
    this.#flush();
    this.#flushItems();
    const label = /(\d+)$/u.exec(valueOf(tag, "id") ?? "")?.[1] ?? "";
    this.#note = { tag: tag.tagName, depth: 1, label, from: this.blocks.length };
  }

  /** What stood in the note becomes one block; the arrows back to the text are no part of it. */
  #closeNote(): void {
    const note = this.#note;
    this.#note = undefined;
    if (!note) return;
    this.#flush();
    this.#flushItems();
    const texts = this.blocks.splice(note.from).map((block) => {
      if (block.type === "list") return block.items.map((item) => item.text).join("\n");
      return "text" in block ? (block.text ?? "") : "";
    });
    const text = texts
      .join("\n")
      .replaceAll(/[↩↑⏎]\uFE0E?/gu, "")
      .trim();
    if (text !== "")
      this.blocks.push({ type: "footnote", ...(note.label !== "" && { label: note.label }), text, place: this.#place });
  }

  #openTable(): void {
    this.#tableDepth += 1;
    if (this.#tableDepth > 1) return void this.#text.push(" ");
    this.#flush();
    this.#flushItems();
    this.#table = { rows: [], row: undefined, cell: undefined, caption: "", headRows: 0 };
  }

  #closeCaption(): void {
    if (this.#table) this.#table.caption = collapsed(this.#text.join("")).replaceAll("\n", " ");
    this.#text = [];
  }

  #openRow(): void {
    if (this.#tableDepth !== 1 || !this.#table) return void this.#text.push(" ");
    this.#closeRow();
    this.#table.row = [];
  }

  #openCell(tag: Token.TagToken): void {
    if (this.#tableDepth !== 1 || !this.#table) return void this.#text.push(" ");
    this.#table.row ??= [];
    this.#closeCell();
    this.#text = [];
    const count = (name: string): number => Math.min(Math.max(Number.parseInt(valueOf(tag, name) ?? "1", 10) || 1, 1), 1_000);
    this.#table.cell = { rows: count("rowspan"), columns: count("colspan"), isHeader: tag.tagName === "th" };
  }

  #closeCell(): void {
    const table = this.#table;
    if (this.#tableDepth !== 1 || !table?.row) return;
    const text = collapsed(this.#text.join(""));
    this.#text = [];
    if (table.cell) {
      table.row.push({ ...table.cell, text });
      this.#cells += table.cell.columns;
    } else if (text !== "") {
      // Text beside the cells belongs to the last of them.
      const last = table.row.pop() ?? { text: "" };
      table.row.push({ ...last, text: `${last.text} ${text}`.trim() });
    }
    table.cell = undefined;
  }

  #closeRow(): void {
    const table = this.#table;
    if (this.#tableDepth !== 1 || !table) return;
    this.#closeCell();
    if (table.row && table.row.length > 0 && this.#cells < tableCellsMax) table.rows.push(table.row);
    table.row = undefined;
  }

  #closeTable(): void {
    if (this.#tableDepth === 0) return;
    this.#closeRow();
    this.#tableDepth -= 1;
    const table = this.#table;
    if (this.#tableDepth > 0 || !table) return;
    this.#table = undefined;
    this.#flush();
    const { rows, caption, headRows } = table;
    const isMarked = rows.some((row) => row.some((cell) => cell.isHeader === true));
    // A page that marks headers elsewhere means what it leaves unmarked; one that marks none may still have them.
    const headerRows = headRows > 0 && headRows < rows.length ? headRows : isMarked ? undefined : 0;
    this.blocks.push(...gridBlocks(rows, { place: this.#place, caption, headerRows }));
  }

  #flush(): void {
    if (this.#text.length === 0) return;
    const raw = this.#text.join("");
    this.#text = [];
    if (raw.trim() === "") return;
    if (this.#pre > 0) {
      const text = raw.replace(/^\n+|\s+$/gu, "");
      this.blocks.push({ type: "code", text, ...(this.#language !== "" && { language: this.#language }), place: this.#place });
    } else if (this.#inCaption && this.#figure)
      this.#figure.caption = `${this.#figure.caption} ${collapsed(raw).replaceAll("\n", " ")}`.trim();
    else if (this.#heading > 0)
      this.#push({ type: "heading", level: this.#heading, text: collapsed(raw).replaceAll("\n", " "), place: this.#place });
    else if (this.#itemDepth >= 0) this.#addToItem(collapsed(raw));
    else this.#push({ type: "paragraph", text: collapsed(raw), place: this.#place });
  }

  #addToItem(text: string): void {
    const last = this.#items.at(-1);
    if (this.#isFresh || !last) this.#items.push({ text, depth: this.#itemDepth });
    else this.#items[this.#items.length - 1] = { ...last, text: `${last.text}\n${text}` };
    this.#isFresh = false;
  }

  #flushItems(): void {
    const items = this.#items;
    this.#items = [];
    if (items.length > 0) this.blocks.push({ type: "list", isOrdered: this.#isOrdered, items, place: this.#place });
  }

  #push(block: Block): void {
    this.#flushItems();
    this.blocks.push(block);
  }
}

function valueOf(tag: Token.TagToken, name: string): string | undefined {
  return tag.attrs.find((attribute) => attribute.name === name)?.value;
}

function languageOf(tag: Token.TagToken): string {
  return (
    /(?:^|\s)(?:language|lang|highlight-source)-([\w+#-]{1,30})/u.exec(valueOf(tag, "class") ?? "")?.[1]?.toLowerCase() ?? ""
  );
}

/** Footnotes as the roles of the web and of e-books say them, and as the common writers of Markdown leave them. */
function isNote(tag: Token.TagToken): boolean {
  return tag.attrs.some(
    ({ name, value }) =>
      (name === "role" && /^doc-(?:footnote|endnote)$/u.test(value)) ||
      (name === "epub:type" && /\b(?:footnote|endnote|rearnote)\b/u.test(value)) ||
      (name === "id" && tag.tagName === "li" && /^(?:user-content-)?(?:fn|footnote|cite_note)[-:_]?\w*\d+$/u.test(value)),
  );
}

/** The mark in the text that leads to a note. */
function isReference(tag: Token.TagToken): boolean {
  return tag.attrs.some(
    ({ name, value }) => (name === "role" && value === "doc-noteref") || (name === "epub:type" && value === "noteref"),
  );
}

/** White space as a browser shows it; line breaks that were asked for stay. */
function collapsed(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replaceAll(/[\s\u00a0]+/gu, " ").trim())
    .filter((line) => line !== "")
    .join("\n");
}
