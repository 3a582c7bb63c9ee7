import type { Place } from "../../convex/model/place.ts";
import type { Passage } from "../parse/block.ts";
import type { Piece } from "./pieces.ts";

type Range = { from: number; to: number };

/** A passage that is still growing. */
export type OpenPassage = {
  readonly kind: Piece["kind"];
  /** Place of all pieces so far, without headings. */
  readonly place: Place;
  readonly length: number;
  /** Outermost first; what all of the passage stands under. */
  readonly headings: readonly string[];
  add(piece: Piece): void;
  /** Adds a heading that stands inside the passage: from here on its own path is what `path` has in common with it. */
  addHeading(heading: Piece, path: readonly string[]): void;
  /** Appends a whole other passage of the same kind. */
  join(other: OpenPassage): void;
  /** Takes back a heading that was added last, if one was. */
  takeTrailingHeading(): string | undefined;
  toPassage(): Passage;
};

export function openPassage(first: Piece, path: readonly string[]): OpenPassage {
  let headings = path;
  const parts: { text: string; joiner: string; isHeading: boolean; place: Place }[] = [];
  let length = 0;
  let place = first.place;
  const add = (piece: Piece): void => {
    place = spanning(place, piece.place);
    parts.push({ text: piece.text, joiner: piece.joiner, isHeading: piece.isHeading ?? false, place: piece.place });
    length += piece.text.length + piece.joiner.length;
  };
  const text = (): string => parts.map((part, at) => (at === 0 ? part.text : part.joiner + part.text)).join("");
  const addHeading = (heading: Piece, path: readonly string[]): void => {
    const differing = headings.findIndex((name, at) => path[at] !== name);
    const lost = differing === -1 ? [] : headings.slice(differing);
    const top = parts[0];
    // What the path no longer says, the text has to.
    if (lost.length > 0 && top) {
      parts[0] = { ...top, text: `${lost.join(" › ")}\n\n${top.text}` };
      length += lost.join(" › ").length + 2;
      headings = headings.slice(0, differing);
    }
    add({ ...heading, isHeading: true });
  };
  add(first);
  return {
    kind: first.kind,
    get place() {
      return place;
    },
    get length() {
      return length;
    },
    get headings() {
      return headings;
    },
    add,
    addHeading,
    join: (other) => {
      const { text, place } = other.toPassage();
      add({ kind: first.kind, text, place, joiner: first.kind === "prose" ? "\n\n" : "\n" });
    },
    takeTrailingHeading: () => {
      if (parts.length < 2 || !parts.at(-1)?.isHeading) return undefined;
      const last = parts.pop();
      length -= (last?.text.length ?? 0) + (last?.joiner.length ?? 0);
      place = parts.map((part) => part.place).reduce(spanning);
      return last?.text;
    },
    toPassage: () => {
      const { headings: _, ...rest } = place;
      return { text: text(), place: headings.length === 0 ? rest : { ...rest, headings: [...headings] } };
    },
  };
}

/** Both places as one: page and part are equal by construction, ranges are widened. */
function spanning(left: Place, right: Place): Place {
  const lines = widened(left.lines, right.lines);
  const rows = widened(left.rows, right.rows);
  const records = widened(left.records, right.records);
  return { ...left, ...(lines && { lines }), ...(rows && { rows }), ...(records && { records }) };
}

function widened(left: Range | undefined, right: Range | undefined): Range | undefined {
  if (!left || !right) return left ?? right;
  return { from: Math.min(left.from, right.from), to: Math.max(left.to, right.to) };
}
