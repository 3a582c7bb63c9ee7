import type { Block, Facts } from "../block.ts";
import { tidied } from "../decode.ts";
import { gridBlocks, merged, type OpenCell } from "../grid.ts";
import type { SourceBlock } from "../pictures.ts";
import { Flow } from "./flow.ts";
import { factsOf } from "./package.ts";

/** What becomes of text in a group. */
type Target = "text" | "nothing" | "styles" | "fonts" | "title" | "author" | "note" | "picture";
type Group = { target: Target; hidden: boolean; skipBytes: number; font: number };
type Defined = { down?: "restart" | "continue"; across?: "restart" | "continue" };
type Style = { readonly level?: number; readonly isTitle?: boolean; readonly isCaption?: boolean };

/** Groups whose text is not of the document, beside all that are marked as optional. */
const skippedGroups = new Set(
  (
    "colortbl filetbl listtable listoverridetable rsidtbl generator revtbl header headerl headerr headerf footer footerl footerr footerf " +
    "themedata colorschememapping latentstyles datastore xmlnstbl fldinst pntext listtext nonshppict objdata subject keywords doccomm operator " +
    "company category manager hlinkbase comment creatim revtim printim buptim annotation atnid atnauthor pgdsctbl bkmkstart bkmkend"
  ).split(" "),
);
const characters: Readonly<Record<string, string>> = {
  tab: "\t",
  line: "\n",
  emdash: "—",
  endash: "–",
  bullet: "•",
  lquote: "‘",
  rquote: "’",
  ldblquote: "“",
  rdblquote: "”",
  emspace: " ",
  enspace: " ",
  "~": "\u00a0",
  _: "-",
  "{": "{",
  "}": "}",
  "\\": "\\",
};
/** Code pages of fonts by their character set, where they differ from the document's. */
const charsetPages: Readonly<Record<number, number>> = {
  161: 1253,
  162: 1254,
  163: 1258,
  177: 1255,
  178: 1256,
  186: 1257,
  204: 1251,
  222: 874,
  238: 1250,
};
const cellsPerRowMax = 2_000;
const pictureCharsMax = 32 * 1024 * 1024;

/** Turns the tokens of an RTF file into blocks. */
export class RtfReader {
  title: string | undefined;
  facts: Facts | undefined;
  /** Bytes of pictures in hexadecimal, by their key. */
  readonly pictures = new Map<string, string>();
  readonly #flow = new Flow();
  readonly #styles = new Map<number, Style>();
  readonly #fontPages = new Map<number, number>();
  readonly #groups: Group[] = [];
  #group: Group = { target: "text", hidden: false, skipBytes: 1, font: 0 };
  #page = 1252;
  #bytes: number[] = [];
  #unicodeSkip = 0;
  #text = "";
  #name = "";
  #author = "";
  #styleName = "";
  #styleNumber = 0;
  #isOptional = false;
  #paragraph: { style?: number; level?: number; depth?: number; isInTable: boolean; isList: boolean } = {
    isInTable: false,
    isList: false,
  };
  #rows: OpenCell[][] = [];
  #row: OpenCell[] = [];
  #headerRows = 0;
  /** How the cells of the next row hang together with those above and beside them. */
  #defined: Defined[] = [];
  #defining: Defined = {};
  #cell = "";
  #note = "";
  #notes: Block[] = [];
  #noteCount = 0;
  #hex: string[] = [];
  #isShown = false;

  readonly open = (): void => {
    this.#flushBytes();
    this.#groups.push(this.#group);
    this.#group = { ...this.#group };
    this.#isOptional = false;
  };

  readonly close = (): void => {
    this.#flushBytes();
    const ended = this.#group;
    this.#group = this.#groups.pop() ?? ended;
    if (ended.target === "note" && this.#group.target !== "note") this.#closeNote();
    if (ended.target === "picture" && this.#group.target !== "picture") this.#closePicture();
    if (ended.target === "styles" && this.#styleName !== "") this.#closeStyle();
    this.#isOptional = false;
  };

  readonly byte = (code: number): void => {
    if (this.#unicodeSkip > 0) {
      this.#unicodeSkip -= 1;
      return;
    }
    const { target } = this.#group;
    if (target === "nothing" || target === "fonts") return;
    if (target === "picture") {
      if (code > 0x20) this.#hex.push(String.fromCharCode(code));
    } else this.#bytes.push(code);
  };

  readonly word = (name: string, value: number | undefined): void => {
    this.#flushBytes();
    if (name === "*") {
      this.#isOptional = true;
      return;
    }
    this.#openGroup(name);
    this.#isOptional = false;
    const said = characters[name];
    if (said !== undefined) this.#put(said);
    else if (name === "u" && value !== undefined) {
      this.#put(String.fromCharCode(value < 0 ? value + 65_536 : value));
      this.#unicodeSkip = this.#group.skipBytes;
    } else if (name === "uc") this.#group.skipBytes = Math.min(Math.max(value ?? 1, 0), 10);
    else if (name === "ansicpg") this.#page = value ?? 1252;
    else if (name === "f") this.#group.font = value ?? 0;
    else if (name === "fcharset") this.#fontPages.set(this.#group.font, charsetPages[value ?? 0] ?? 0);
    else if (name === "v" || name === "deleted") this.#group.hidden = value !== 0;
    else if (name === "plain") this.#group.hidden = false;
    else this.#readLayout(name, value);
  };

  finish(): SourceBlock[] {
    this.#flushBytes();
    this.#endParagraph();
    this.#endTable();
    if (this.#name.trim() !== "") this.title = tidied(this.#name).trim();
    const author = tidied(this.#author).trim();
    this.facts = author === "" ? undefined : factsOf({ author, people: [author] });
    return this.#flow.finish();
  }

  #openGroup(name: string): void {
    const group = this.#group;
    if (name === "fonttbl") group.target = "fonts";
    else if (name === "stylesheet") group.target = "styles";
    else if (name === "info") group.target = "nothing";
    else if (name === "title" && this.#isIn("nothing")) group.target = "title";
    else if (name === "author" && this.#isIn("nothing")) group.target = "author";
    else if (name === "footnote" && group.target === "text") group.target = "note";
    else if (name === "pict" && group.target === "text") this.#openPicture();
    else if (name === "pngblip" || name === "jpegblip") this.#isShown = true;
    else if (skippedGroups.has(name)) group.target = "nothing";
    else if (this.#isOptional && name !== "shppict" && name !== "footnote" && name !== "shpinst" && name !== "shptxt") {
      if (group.target !== "styles") group.target = "nothing";
    }
    if (name === "listtext" || name === "pntext") this.#paragraph.isList = true;
  }

  #isIn(target: Target): boolean {
    return this.#groups.at(-1)?.target === target;
  }

  #readLayout(name: string, value: number | undefined): void {
    if (this.#group.target === "styles") {
      if (name === "s") this.#styleNumber = value ?? 0;
      return;
    }
    if (this.#group.target === "nothing" || this.#group.target === "fonts") return;
    const paragraph = this.#paragraph;
    if (name === "par" || name === "sect" || name === "page") {
      if (this.#group.target === "note") this.#put(" ");
      else this.#endParagraph();
    } else if (name === "pard") this.#paragraph = { isInTable: false, isList: false };
    else if (name === "intbl") paragraph.isInTable = true;
    else if (name === "s") paragraph.style = value ?? 0;
    else if (name === "outlinelevel") paragraph.level = (value ?? 0) + 1;
    else if (name === "ilvl") paragraph.depth = Math.min(Math.max(value ?? 0, 0), 8);
    else if (name === "ls") paragraph.isList = (value ?? 0) !== 0;
    else if (name === "cell" || name === "nestcell") this.#endCell();
    else if (name === "row" || name === "nestrow") this.#endRow();
    else this.#readTable(name);
    if (name === "chftn" && this.#group.target === "text") this.#put(`[${this.#noteCount + 1}]`);
  }

  #readTable(name: string): void {
    if (name === "trowd") {
      this.#defined = [];
      this.#defining = {};
    } else if (name === "clvmgf") this.#defining.down = "restart";
    else if (name === "clvmrg") this.#defining.down = "continue";
    else if (name === "clmgf") this.#defining.across = "restart";
    else if (name === "clmrg") this.#defining.across = "continue";
    else if (name === "cellx") {
      if (this.#defined.length < cellsPerRowMax) this.#defined.push(this.#defining);
      this.#defining = {};
    } else if (name === "trhdr") this.#headerRows = this.#rows.length + 1;
  }

  #put(text: string): void {
    const group = this.#group;
    if (group.hidden) return;
    switch (group.target) {
      case "text":
        this.#text += text;
        break;
      case "note":
        this.#note += text;
        break;
      case "title":
        this.#name += text;
        break;
      case "author":
        this.#author += text;
        break;
      case "styles":
        this.#styleName += text;
        break;
      case "nothing":
      case "fonts":
      case "picture":
    }
  }

  #flushBytes(): void {
    if (this.#bytes.length === 0) return;
    const page = this.#fontPages.get(this.#group.font) || this.#page;
    this.#put(decoderOf(page).decode(Uint8Array.from(this.#bytes)));
    this.#bytes = [];
  }

  #closeStyle(): void {
    const name = this.#styleName.replace(/;.*$/su, "").trim();
    const level = /^(?:heading|titre)\s?([1-9])$/iu.exec(name)?.[1];
    if (level !== undefined) this.#styles.set(this.#styleNumber, { level: Number(level) });
    else if (/^(?:title|titre)$/iu.test(name)) this.#styles.set(this.#styleNumber, { level: 1, isTitle: true });
    else if (/^(?:caption|légende)$/iu.test(name)) this.#styles.set(this.#styleNumber, { isCaption: true });
    this.#styleName = "";
    this.#styleNumber = 0;
  }

  #closeNote(): void {
    const text = tidied(this.#note).replaceAll(/\s+/gu, " ").trim();
    this.#note = "";
    if (text === "") return;
    this.#noteCount += 1;
    // Writers put the mark before the note or leave it to the note's own group.
    if (!this.#text.endsWith(`[${this.#noteCount}]`)) this.#text += `[${this.#noteCount}]`;
    this.#notes.push({ type: "footnote", label: String(this.#noteCount), text, place: {} });
  }

  #openPicture(): void {
    this.#group.target = "picture";
    this.#hex = [];
    this.#isShown = false;
  }

  #closePicture(): void {
    const hex = this.#hex.join("");
    this.#hex = [];
    if (!this.#isShown || hex.length === 0 || hex.length > pictureCharsMax) return;
    if (!this.#paragraph.isInTable) this.#endTable();
    const key = `picture${this.pictures.size}`;
    this.pictures.set(key, hex);
    this.#flow.add({ type: "figure", source: key, place: {} });
  }

  #takeText(): string {
    const text = tidied(this.#text)
      .replaceAll(/[ \t\u00a0]+/gu, " ")
      .trim();
    this.#text = "";
    return text;
  }

  #endCell(): void {
    const text = this.#takeText();
    if (this.#row.length < cellsPerRowMax) this.#row.push({ text: [this.#cell, text].filter(Boolean).join(" "), columns: 1 });
    this.#cell = "";
  }

  #endRow(): void {
    const row: OpenCell[] = [];
    for (const [at, cell] of this.#row.entries()) {
      const { down, across } = this.#defined[at] ?? {};
      const last = row.at(-1);
      if (across === "continue" && last) last.columns += 1;
      else row.push({ ...cell, ...(down && { merge: down }) });
    }
    if (row.length > 0) this.#rows.push(row);
    this.#row = [];
  }

  #endTable(): void {
    if (this.#row.length > 0) this.#endRow();
    const rows = this.#rows;
    const headerRows = this.#headerRows > 0 ? this.#headerRows : undefined;
    this.#rows = [];
    this.#headerRows = 0;
    if (rows.length > 0) for (const block of gridBlocks(merged(rows), { place: {}, headerRows })) this.#flow.add(block);
  }

  #endParagraph(): void {
    const { isInTable, style, level, depth, isList } = this.#paragraph;
    const text = this.#takeText();
    if (isInTable) {
      if (text !== "") this.#cell = [this.#cell, text].filter(Boolean).join(" ");
      return;
    }
    this.#endTable();
    const meaning = style === undefined ? undefined : this.#styles.get(style);
    const rank = level !== undefined && level <= 9 ? level : meaning?.level;
    if (text === "") return;
    if (meaning?.isTitle) this.title ??= text;
    if (rank !== undefined && text.length < 400)
      this.#flow.add({ type: "heading", level: rank, text: text.replaceAll("\n", " "), place: {} });
    else if (meaning?.isCaption) this.#flow.addCaption(text);
    else if (isList) this.#flow.addItem({ text, depth: depth ?? 0, isOrdered: false });
    else this.#flow.add({ type: "paragraph", text, place: {} });
    this.#flow.addNotes(this.#notes.splice(0));
  }
}

const decoders = new Map<number, { decode: (bytes: Uint8Array) => string }>();

function decoderOf(page: number): { decode: (bytes: Uint8Array) => string } {
  let decoder = decoders.get(page);
  if (!decoder) {
    const name =
      page === 65001
        ? "utf-8"
        : page === 932
          ? "shift_jis"
          : page === 936
            ? "gbk"
            : page === 949
              ? "euc-kr"
              : page === 950
                ? "big5"
                : page === 10000
                  ? "macintosh"
                  : `windows-${page}`;
    try {
      decoder = new TextDecoder(name);
    } catch {
      decoder = new TextDecoder("windows-1252");
    }
    if (decoders.size < 50) decoders.set(page, decoder);
  }
  return decoder;
}
