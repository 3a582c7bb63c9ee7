import { passagesPerDocumentMax } from "../../convex/model/document.ts";
import type { Place } from "../../convex/model/place.ts";
import type { Block, ParsedDocument, Passage } from "../parse/block.ts";
import { UnreadableError } from "../parse/unreadable.ts";
import { detectLanguage } from "../retrieve/language.ts";
import type { Budgets, Cutting } from "./cutting.ts";
import { openPassage, type OpenPassage } from "./openPassage.ts";
import { piecesOf, type Piece } from "./pieces.ts";
import { measureOf, type Measure } from "./tokens.ts";

const budgetsDefault: Budgets = { target: 300, whole: 460 };
/** A shorter rest joins the passage before it when it is of the same section and flow. */
const runtTokens = 60;
/** A note may make the passage it belongs to this much longer than others. */
const noteTokensMax = 120;
/** Enough to tell the language by. */
const sampleChars = 4_000;

/**
 * Cuts a document into passages of about 300 tokens, as `measure` counts them (default: an estimate, see tokens.ts). None crosses a
 * level-1 or level-2 heading, a page, or a part of a mail, and rows, records, figures and running text do not mix, so that each passage
 * has one place. Text that had to be cut inside a paragraph repeats one sentence. Passages under one such heading share a `section`.
 * Fails with `tooManyPassages`.
 */
export function chunk(
  document: ParsedDocument,
  options: { readonly measure?: Measure; readonly budgets?: Budgets } = {},
): Passage[] {
  const language = detectLanguage(sampleOf(document.blocks));
  const packer = new Packer({
    measure: options.measure ?? measureOf(language === "en"),
    budgets: options.budgets ?? budgetsDefault,
    language: language === "fr" ? "fr" : "en",
  });
  for (const block of document.blocks) packer.add(block);
  return packer.finish();
}

type Heading = { readonly level: number; readonly text: string };

class Packer {
  readonly #cutting: Cutting;
  readonly #passages: Passage[] = [];
  #path: Heading[] = [];
  #section = 1;
  /** The part of the mail the path belongs to. */
  #part: string | undefined;
  #open: OpenPassage | undefined;
  /** The passage closed last, while a runt of the same section may still join it. */
  #previous: OpenPassage | undefined;
  /** A heading that has had no text yet; it becomes a passage of its own when nothing follows. */
  #bare: { readonly text: string; readonly place: Place; readonly headings: readonly string[] } | undefined;

  constructor(cutting: Cutting) {
    this.#cutting = cutting;
  }

  add(block: Block): void {
    if (block.place.part !== this.#part) this.#startPart(block.place.part);
    if (block.type === "heading") this.#addHeading(block);
    else for (const piece of piecesOf(block, this.#cutting)) this.#addPiece(piece);
  }

  finish(): Passage[] {
    this.#endSection();
    return this.#passages;
  }

  #startPart(part: string | undefined): void {
    this.#endSection();
    this.#part = part;
    this.#path = [];
  }

  #addHeading({ level, text, place }: Extract<Block, { type: "heading" }>): void {
    if (text.trim() === "") return;
    const isMajor = level <= 2;
    if (isMajor) this.#endSection(level);
    else this.#endBare(level);
    this.#path = [...this.#path.filter((heading) => heading.level < level), { level, text }];
    if (this.#open && !isMajor && this.#open.place.page === place.page) {
      const tokens = this.#cutting.measure(text);
      this.#addInnerHeading({ flow: "prose", kind: "prose", text, tokens, place, joiner: "\n\n" });
    } else {
      this.#bare = { text, place, headings: this.#headings() };
    }
  }

  #addInnerHeading(piece: Piece): void {
    if (this.#open && this.#fits(this.#open, piece)) {
      this.#open.addHeading(piece, this.#headings());
    } else {
      this.#close();
      this.#bare = { text: piece.text, place: piece.place, headings: this.#headings() };
    }
  }

  #addPiece(piece: Piece): void {
    this.#bare = undefined;
    const open = this.#open;
    if (open && !this.#fits(open, piece)) {
      // A heading left at the foot of a passage belongs over what follows it.
      const orphan = open.takeTrailingHeading();
      this.#close();
      this.#begin(piece, orphan);
    } else if (open) {
      open.add(piece);
    } else {
      this.#begin(piece, undefined);
    }
  }

  #fits(open: OpenPassage, piece: Piece): boolean {
    if (open.flow !== piece.flow || open.place.page !== piece.place.page || open.place.sheet !== piece.place.sheet) return false;
    const room = this.#cutting.budgets.target + (piece.kind === "footnote" ? noteTokensMax : 0);
    return open.tokens + piece.tokens <= room;
  }

  #begin(piece: Piece, orphan: string | undefined): void {
    const headings = this.#headings();
    // The deepest heading is already in the path of this passage, so it is not repeated in its text.
    const isNamed = orphan === undefined || headings.includes(orphan);
    const first = isNamed ? piece : { ...piece, text: `${orphan}\n\n${piece.text}` };
    this.#open = openPassage(first, headings, this.#cutting.measure);
  }

  #headings(): string[] {
    return this.#path.map((heading) => heading.text);
  }

  #close(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const previous = this.#previous;
    if (previous && open.tokens < runtTokens && isAlike(previous, open)) {
      previous.join(open);
      this.#passages[this.#passages.length - 1] = previous.toPassage(this.#section);
      return;
    }
    this.#push(open.toPassage(this.#section));
    this.#previous = open;
  }

  #endSection(nextLevel = 1): void {
    this.#close();
    this.#previous = undefined;
    this.#endBare(nextLevel);
    if (this.#passages.at(-1)?.section === this.#section) this.#section += 1;
  }

  #endBare(nextLevel: number): void {
    const bare = this.#bare;
    this.#bare = undefined;
    // A heading with deeper ones below it is in their path already.
    const isCovered = nextLevel > (this.#path.at(-1)?.level ?? 0);
    if (!bare || isCovered) return;
    this.#push({
      text: bare.text,
      place: withHeadings(bare.place, bare.headings.slice(0, -1)),
      kind: "prose",
      section: this.#section,
    });
  }

  #push(passage: Passage): void {
    if (this.#passages.length >= passagesPerDocumentMax) throw new UnreadableError("tooManyPassages");
    this.#passages.push(passage);
  }
}

/** Whether a short rest may join the passage before it: a table's own summary stays alone, and so does a figure. */
function isAlike(one: OpenPassage, other: OpenPassage): boolean {
  const hasSamePath =
    one.headings.length === other.headings.length && one.headings.every((name, at) => other.headings[at] === name);
  return (
    hasSamePath &&
    one.flow === other.flow &&
    !other.flow.startsWith("alone") &&
    one.place.page === other.place.page &&
    one.place.sheet === other.place.sheet
  );
}

function withHeadings(place: Place, headings: readonly string[]): Place {
  return headings.length === 0 ? place : { ...place, headings: [...headings] };
}

function sampleOf(blocks: readonly Block[]): string {
  let text = "";
  for (const block of blocks) {
    if (text.length > sampleChars) break;
    if (block.type === "list") text += block.items.map((item) => item.text).join("\n");
    else if (block.type === "table")
      text += block.rows
        .slice(0, 20)
        .map((row) => row.join(" "))
        .join("\n");
    else text += block.text ?? "";
    text += "\n";
  }
  return text;
}
