import { passagesPerDocumentMax } from "../../convex/model/document.ts";
import type { Place } from "../../convex/model/place.ts";
import type { Block, ParsedDocument, Passage } from "../parse/block.ts";
import { UnreadableError } from "../parse/unreadable.ts";
import { openPassage, type OpenPassage } from "./openPassage.ts";
import { piecesOf, type Piece } from "./pieces.ts";

/** About 300 tokens of running text: enough to answer from, short enough to be read on a phone and to mean one thing. */
const targetChars = 1_200;
/** A shorter rest joins the passage before it when it is of the same section and kind. */
const runtChars = 240;

/**
 * Cuts a document into passages of about 1,200 characters. None crosses a level-1 or level-2 heading, a page, or a part of a mail,
 * and rows, records and running text do not mix, so that each passage has one place. Fails with `tooManyPassages`.
 */
export function chunk(document: ParsedDocument): Passage[] {
  const packer = new Packer();
  for (const block of document.blocks) packer.add(block);
  return packer.finish();
}

type Heading = { readonly level: number; readonly text: string };

class Packer {
  readonly #passages: Passage[] = [];
  #path: Heading[] = [];
  /** The part of the mail the path belongs to. */
  #part: string | undefined;
  #open: OpenPassage | undefined;
  /** The passage closed last, while a runt of the same section may still join it. */
  #previous: OpenPassage | undefined;
  /** A heading that has had no text yet; it becomes a passage of its own when nothing follows. */
  #bare: { readonly text: string; readonly place: Place; readonly headings: readonly string[] } | undefined;

  add(block: Block): void {
    if (block.place.part !== this.#part) this.#startPart(block.place.part);
    if (block.type === "heading") this.#addHeading(block);
    else for (const piece of piecesOf(block, targetChars)) this.#addPiece(piece);
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
      this.#addInnerHeading({ kind: "prose", text, place, joiner: "\n\n" });
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
    if (open.kind !== piece.kind || open.place.page !== piece.place.page) return false;
    return open.length + piece.text.length <= targetChars;
  }

  #begin(piece: Piece, orphan: string | undefined): void {
    const headings = this.#headings();
    // The deepest heading is already in the path of this passage, so it is not repeated in its text.
    const isNamed = orphan === undefined || headings.includes(orphan);
    this.#open = openPassage(isNamed ? piece : { ...piece, text: `${orphan}\n\n${piece.text}` }, headings);
  }

  #headings(): string[] {
    return this.#path.map((heading) => heading.text);
  }

  #close(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const previous = this.#previous;
    if (previous && open.length < runtChars && isSameSection(previous, open)) {
      previous.join(open);
      this.#passages[this.#passages.length - 1] = previous.toPassage();
      return;
    }
    this.#push(open.toPassage());
    this.#previous = open;
  }

  #endSection(nextLevel = 1): void {
    this.#close();
    this.#previous = undefined;
    this.#endBare(nextLevel);
  }

  #endBare(nextLevel: number): void {
    const bare = this.#bare;
    this.#bare = undefined;
    // A heading with deeper ones below it is in their path already.
    const isCovered = nextLevel > (this.#path.at(-1)?.level ?? 0);
    if (bare && !isCovered) this.#push({ text: bare.text, place: withHeadings(bare.place, bare.headings.slice(0, -1)) });
  }

  #push(passage: Passage): void {
    if (this.#passages.length >= passagesPerDocumentMax) throw new UnreadableError("tooManyPassages");
    this.#passages.push(passage);
  }
}

function isSameSection(one: OpenPassage, other: OpenPassage): boolean {
  const isAlike = one.headings.length === other.headings.length && one.headings.every((name, at) => other.headings[at] === name);
  return isAlike && one.kind === other.kind && one.place.page === other.place.page;
}

function withHeadings(place: Place, headings: readonly string[]): Place {
  return headings.length === 0 ? place : { ...place, headings: [...headings] };
}
