import type { Block } from "../block.ts";
import type { Place } from "../../../convex/model/place.ts";
import type { SourceBlock } from "../pictures.ts";

type Item = { readonly text: string; readonly depth: number; readonly isOrdered: boolean; readonly place?: Place };

/** Gathers the blocks of a running text: items to lists, lines to code, captions to what they belong to, notes to the end of a list. */
export class Flow {
  readonly #blocks: SourceBlock[] = [];
  #items: Item[] = [];
  #code: string[] = [];
  #notes: Block[] = [];
  #later: SourceBlock[] = [];
  /** Said above what it belongs to, or below: known when the next block comes. */
  #caption: string | undefined;

  add(block: SourceBlock): void {
    this.#settle();
    if (this.#caption !== undefined) this.#placeCaption(block);
    else this.#push(block);
  }

  addItem(item: Item): void {
    this.#flushCode();
    this.#releaseCaption();
    // A list of the other sort at the outermost level is another list.
    const first = this.#items[0];
    if (first && item.depth === 0 && first.isOrdered !== item.isOrdered && first.depth === 0) this.#flushItems();
    this.#items.push(item);
  }

  addCode(line: string): void {
    this.#flushItems();
    this.#releaseCaption();
    this.#code.push(line);
  }

  addNotes(notes: readonly Block[]): void {
    this.#notes.push(...notes);
  }

  /** What stood in a cell of a table comes after the table. */
  addLater(block: SourceBlock): void {
    this.#later.push(block);
  }

  addHeldLater(): void {
    for (const block of this.#later.splice(0)) this.add(block);
  }

  addCaption(text: string): void {
    this.#settle();
    const last = this.#blocks.at(-1);
    if (last?.type === "figure") this.#blocks[this.#blocks.length - 1] = captioned(last, text);
    else {
      this.#releaseCaption();
      this.#caption = text;
    }
  }

  finish(): SourceBlock[] {
    this.addHeldLater();
    this.#settle();
    this.#releaseCaption();
    return this.#blocks;
  }

  #push(block: SourceBlock): void {
    this.#blocks.push(block);
  }

  #settle(): void {
    this.#flushItems();
    this.#flushCode();
    for (const note of this.#notes.splice(0)) this.#push(note);
  }

  #placeCaption(block: SourceBlock): void {
    const caption = this.#caption ?? "";
    if (block.type === "table" || block.type === "figure") {
      this.#caption = undefined;
      this.#push(captioned(block, caption));
    } else {
      this.#releaseCaption();
      this.#push(block);
    }
  }

  /** Nothing to caption came after it, so it belongs to the table before it, or stands for itself. */
  #releaseCaption(): void {
    const caption = this.#caption;
    this.#caption = undefined;
    if (caption === undefined) return;
    const last = this.#blocks.at(-1);
    if (last?.type === "table" && last.caption === undefined) this.#blocks[this.#blocks.length - 1] = { ...last, caption };
    else this.#push({ type: "paragraph", text: caption, place: {} });
  }

  #flushItems(): void {
    const items = this.#items.splice(0);
    const first = items[0];
    if (!first) return;
    const least = Math.min(...items.slice(0, 10_000).map(({ depth }) => depth));
    this.#push({
      type: "list",
      isOrdered: first.isOrdered,
      items: items.map(({ text, depth }) => ({ text, depth: Math.max(0, depth - least) })),
      place: first.place ?? {},
    });
  }

  #flushCode(): void {
    const text = this.#code.splice(0).join("\n");
    if (text.trim() !== "") this.#push({ type: "code", text, place: {} });
  }
}

/** A caption beside the words a picture already carries (its alternative text). */
function captioned<One extends Extract<SourceBlock, { type: "table" | "figure" }>>(block: One, caption: string): One {
  const own = block.caption;
  return { ...block, caption: own === undefined || own === "" || own === caption ? caption : `${caption} (${own})` };
}
