import type { Token } from "parse5";
import type { Block } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";

/**
 * HTML as blocks, from parse5's tokenizer alone. No tree is built: text, headings and tables need none, a hundred thousand nested
 * elements cost no stack, and a page takes memory for its text only. Scripts, styles, navigation and hidden parts are left out.
 */
export async function htmlBlocks(source: string, place: Place = {}): Promise<{ blocks: Block[]; title?: string }> {
  const { Tokenizer, TokenizerMode } = await import("parse5");
  const run = (skipsHidden: boolean): HtmlReader => {
    const reader = new HtmlReader(place, skipsHidden);
    const tokenizer = new Tokenizer(
      { sourceCodeLocationInfo: false },
      {
        onComment: () => {},
        onDoctype: () => {},
        onEof: () => reader.finish(),
        onCharacter: ({ chars }) => reader.addText(chars),
        onNullCharacter: () => {},
        onWhitespaceCharacter: ({ chars }) => reader.addText(chars),
        onEndTag: ({ tagName }) => reader.closeTag(tagName),
        onStartTag: (tag) => {
          // The tree builder would tell the tokenizer what kind of text follows; without one this is our duty.
          if (tag.tagName === "title" || tag.tagName === "textarea") tokenizer.state = TokenizerMode.RCDATA;
          else if (tag.tagName === "script") tokenizer.state = TokenizerMode.SCRIPT_DATA;
          else if (rawText.has(tag.tagName)) tokenizer.state = TokenizerMode.RAWTEXT;
          reader.openTag(tag);
        },
      },
    );
    // In slices: the tokenizer's preprocessor copies what it is given.
    for (let at = 0; at < source.length; at += sliceChars)
      tokenizer.write(source.slice(at, at + sliceChars), at + sliceChars >= source.length);
    if (source.length === 0) reader.finish();
    return reader;
  };
  const reader = run(true);
  // An element that never ends would hide the rest of the page; then hidden parts are shown rather than the page lost.
  const { blocks, title } = reader.isStuck ? run(false) : reader;
  return title === "" ? { blocks } : { blocks, title };
}

const sliceChars = 1 << 16;
const rawText = new Set(["style", "xmp", "iframe", "noembed", "noframes"]);
const dropped = new Set([
  "script",
  "style",
  "template",
  "noscript",
  "svg",
  "math",
  "nav",
  "iframe",
  "object",
  "select",
  "button",
  "xmp",
  "noembed",
  "noframes",
]);
const blockTags = new Set(
  (
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form header hgroup hr html li main " +
    "ol p pre section summary table tbody td tfoot th thead title tr ul h1 h2 h3 h4 h5 h6"
  ).split(" "),
);
const voidTags = new Set("area base br col embed hr img input link meta source track wbr".split(" "));
/** May be left open by well-formed pages, so hiding one must not wait for its end. */
const endOptional = new Set("p li dt dd tr td th option body html".split(" "));

/** More columns or rows than any page shows; bounds what a made-up table can cost. */
const tableCellsMax = 1_000_000;

type Row = { cells: string[]; isHeader: boolean };

class HtmlReader {
  readonly blocks: Block[] = [];
  title = "";
  readonly #place: Place;
  readonly #skipsHidden: boolean;
  #text: string[] = [];
  #inTitle = false;
  #skipped: { tag: string; depth: number } | undefined;
  #heading = 0;
  #pre = 0;
  #rows: Row[] = [];
  #row: Row | undefined;
  #cells = 0;
  #tableDepth = 0;

  constructor(place: Place, skipsHidden: boolean) {
    this.#place = place;
    this.#skipsHidden = skipsHidden;
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
    if (name === "img") this.#text.push(` ${tag.attrs.find((attribute) => attribute.name === "alt")?.value ?? ""} `);
    if (!blockTags.has(name)) return;
    if (name === "title") this.#inTitle = this.title === "";
    else if (name === "table") this.#openTable();
    else if (name === "tr") this.#openRow();
    else if (name === "td" || name === "th") this.#openCell(name === "th");
    else if (this.#tableDepth > 0) this.#text.push(" ");
    else this.#openBlock(name);
  }

  closeTag(name: string): void {
    if (this.#skipped) {
      if (name === this.#skipped.tag) this.#skipped.depth -= 1;
      if (this.#skipped.depth === 0) this.#skipped = undefined;
      return;
    }
    if (name === "title") this.#inTitle = false;
    else if (name === "table") this.#closeTable();
    else if (name === "tr") this.#closeRow();
    else if (name === "td" || name === "th") this.#closeCell();
    else if (this.#tableDepth > 0) this.#text.push(blockTags.has(name) ? " " : "");
    else if (blockTags.has(name)) this.#flush();
    if (name === "pre" && this.#pre > 0) this.#pre -= 1;
    if (/^h[1-6]$/u.test(name)) this.#heading = 0;
  }

  finish(): void {
    this.#tableDepth = Math.min(this.#tableDepth, 1);
    if (this.#tableDepth > 0) this.#closeTable();
    this.#flush();
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

  #openBlock(name: string): void {
    this.#flush();
    if (name === "li") this.#text.push("- ");
    if (name === "pre") this.#pre += 1;
    if (/^h[1-6]$/u.test(name)) this.#heading = Number(name[1]);
  }

  #openTable(): void {
    this.#tableDepth += 1;
    if (this.#tableDepth === 1) this.#flush();
    else this.#text.push(" ");
  }

  #openRow(): void {
    if (this.#tableDepth !== 1) return void this.#text.push(" ");
    this.#closeRow();
    this.#row = { cells: [], isHeader: true };
  }

  #openCell(isHeader: boolean): void {
    if (this.#tableDepth !== 1) return void this.#text.push(" ");
    this.#row ??= { cells: [], isHeader: true };
    this.#closeCell();
    this.#text = [];
    this.#row.cells.push("");
    this.#row.isHeader &&= isHeader;
  }

  #closeCell(): void {
    const row = this.#row;
    if (this.#tableDepth !== 1 || !row || row.cells.length === 0) return;
    const text = collapsed(this.#text.join(""));
    this.#text = [];
    const last = row.cells.length - 1;
    row.cells[last] = `${row.cells[last] ?? ""} ${text}`.trim();
    this.#cells += 1;
  }

  #closeRow(): void {
    if (this.#tableDepth !== 1) return;
    this.#closeCell();
    const row = this.#row;
    this.#row = undefined;
    if (row && row.cells.some((cell) => cell !== "") && this.#cells < tableCellsMax) this.#rows.push(row);
  }

  #closeTable(): void {
    if (this.#tableDepth === 0) return;
    this.#closeRow();
    this.#tableDepth -= 1;
    if (this.#tableDepth > 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#row = undefined;
    this.#flush();
    const header = rows[0]?.isHeader && rows.length > 1 ? rows.shift() : undefined;
    const widest = Math.max(0, ...rows.slice(0, 1000).map((row) => row.cells.length));
    // One column lays a page out; it is no table.
    if (widest <= 1) for (const row of rows) this.#push({ type: "paragraph", text: row.cells.join(" "), place: this.#place });
    else this.#push({ type: "table", columns: header?.cells ?? [], rows: rows.map((row) => row.cells), place: this.#place });
  }

  #flush(): void {
    if (this.#text.length === 0) return;
    const raw = this.#text.join("");
    this.#text = [];
    if (raw.trim() === "" || raw.trim() === "-") return;
    if (this.#heading > 0)
      this.#push({ type: "heading", level: this.#heading, text: collapsed(raw).replaceAll("\n", " "), place: this.#place });
    else if (this.#pre > 0) this.#push({ type: "code", text: raw.replace(/^\n+|\s+$/gu, ""), place: this.#place });
    else this.#push({ type: "paragraph", text: collapsed(raw), place: this.#place });
  }

  /** Items of a list follow each other on lines of one paragraph. */
  #push(block: Block): void {
    const last = this.blocks.at(-1);
    const isItem = block.type === "paragraph" && block.text.startsWith("- ");
    if (isItem && last?.type === "paragraph" && last.text.startsWith("- ") && last.text.length + block.text.length < 800) {
      this.blocks[this.blocks.length - 1] = { ...last, text: `${last.text}\n${block.text}` };
    } else {
      this.blocks.push(block);
    }
  }
}

/** White space as a browser shows it; line breaks that were asked for stay. */
function collapsed(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replaceAll(/[\s\u00a0]+/gu, " ").trim())
    .filter((line) => line !== "")
    .join("\n");
}
