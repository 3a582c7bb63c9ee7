import type { Box, Place } from "../../convex/model/place.ts";
import type { Passage, PassageKind } from "../parse/block.ts";
import type { Piece } from "./pieces.ts";
import type { Measure } from "./tokens.ts";

type Range = { from: number; to: number };

/** A passage that is still growing. */
export type OpenPassage = {
  /** What sort of piece may join it. */
  readonly flow: Piece["flow"];
  /** Place of all pieces so far, without headings. */
  readonly place: Place;
  readonly tokens: number;
  /** Outermost first; what all of the passage stands under. */
  readonly headings: readonly string[];
  add(piece: Piece): void;
  /** Adds a heading that stands inside the passage: from here on its own path is what `path` has in common with it. */
  addHeading(heading: Piece, path: readonly string[]): void;
  /** Appends a whole other passage of the same flow. */
  join(other: OpenPassage): void;
  /** Takes back a heading that was added last, if one was. */
  takeTrailingHeading(): string | undefined;
  pieces(): readonly Piece[];
  toPassage(section: number): Passage;
};

export function openPassage(first: Piece, path: readonly string[], measure: Measure): OpenPassage {
  let headings = path;
  const pieces: Piece[] = [];
  let tokens = 0;
  let { place } = first;
  const add = (piece: Piece): void => {
    place = spanning(place, piece.place);
    pieces.push(piece);
    tokens += piece.tokens;
  };
  const addHeading = (heading: Piece, path: readonly string[]): void => {
    const differing = headings.findIndex((name, at) => path[at] !== name);
    const lost = differing === -1 ? [] : headings.slice(differing);
    const top = pieces[0];
    // What the path no longer says, the text has to.
    if (lost.length > 0 && top) {
      const title = lost.join(" › ");
      pieces[0] = { ...top, text: `${title}\n\n${top.text}` };
      tokens += measure(title);
      headings = headings.slice(0, differing);
    }
    add({ ...heading, isHeading: true });
  };
  add(first);
  return {
    flow: first.flow,
    get place() {
      return place;
    },
    get tokens() {
      return tokens;
    },
    get headings() {
      return headings;
    },
    add,
    addHeading,
    join: (other) => other.pieces().forEach(add),
    takeTrailingHeading: () => {
      if (pieces.length < 2 || !pieces.at(-1)?.isHeading) return undefined;
      const last = pieces.pop();
      tokens -= last?.tokens ?? 0;
      place = pieces.map((piece) => piece.place).reduce(spanning);
      return last?.text;
    },
    pieces: () => pieces,
    toPassage: (section) => {
      const { headings: _, ...rest } = place;
      const text = pieces.map((piece, at) => (at === 0 ? piece.text : piece.joiner + piece.text)).join("");
      return {
        text,
        place: headings.length === 0 ? rest : { ...rest, headings: [...headings] },
        kind: kindOf(pieces),
        section,
      };
    },
  };
}

/** What all of it is; running text with a list or note in it is running text. */
function kindOf(pieces: readonly Piece[]): PassageKind {
  const kinds = new Set(pieces.filter((piece) => !piece.isHeading).map((piece) => piece.kind));
  const [kind = "prose"] = kinds;
  return kinds.size > 1 ? "prose" : kind;
}

/** Both places as one: page and part are equal by construction, ranges and boxes are widened. */
export function spanning(left: Place, right: Place): Place {
  const lines = widened(left.lines, right.lines);
  const rows = widened(left.rows, right.rows);
  const records = widened(left.records, right.records);
  const box = left.page === right.page ? around(left.box, right.box) : undefined;
  const { box: _, ...rest } = left;
  return { ...rest, ...(lines && { lines }), ...(rows && { rows }), ...(records && { records }), ...(box && { box }) };
}

function widened(left: Range | undefined, right: Range | undefined): Range | undefined {
  if (!left || !right) return left ?? right;
  return { from: Math.min(left.from, right.from), to: Math.max(left.to, right.to) };
}

function around(one: Box | undefined, other: Box | undefined): Box | undefined {
  if (!one || !other) return one ?? other;
  const [left, top] = [Math.min(one.left, other.left), Math.min(one.top, other.top)];
  const right = Math.max(one.left + one.width, other.left + other.width);
  const bottom = Math.max(one.top + one.height, other.top + other.height);
  return { left, top, width: right - left, height: bottom - top };
}
