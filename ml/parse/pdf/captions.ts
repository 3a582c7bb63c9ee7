/** Which caption belongs to which figure or table, and what is written inside a figure. */
import type { Piece } from "./blocks.ts";
import { area, overlap, shared, union, type Rect } from "./shape.ts";

export type Tied = {
  readonly piece: Piece;
  /** No picture of it exists: its part of the page has to be drawn. */ readonly isDrawn: boolean;
};

const figureWords =
  "fig(?:ure|\\.)?|abb(?:ildung|\\.)?|schéma|graph(?:ique|e)?|photo(?:graphie)?|illustration|image|chart|plan|drawing";
const tableWords = "tab(?:leau|le|elle|\\.)?";
const figureCaption = new RegExp(
  `^(?:${figureWords})\\s*(?:n[°o]\\s*)?\\d{1,3}(?:[.-]\\d{1,3})?\\s*(?:[.:–—-]|\\s\\p{Lu}|$)`,
  "iu",
);
const tableCaption = new RegExp(
  `^(?:${tableWords})\\s*(?:n[°o]\\s*)?\\d{1,3}(?:[.-]\\d{1,3})?\\s*(?:[.:–—-]|\\s\\p{Lu}|$)`,
  "iu",
);

/** A caption stands at most this far from what it names. */
const farPoints = 60;
const captionCharsMax = 600;
/** A drawing under a caption is at most this tall, and at least this share of its page. */
const drawnPoints = 420;
const drawnShare = 0.02;

export function tieCaptions(
  pieces: readonly Piece[],
  drawings: readonly Rect[],
  page: { width: number; height: number },
): Tied[] {
  const gone = new Set<Piece>();
  const captions = new Map<Piece, string>();
  const drawn = new Map<Piece, Piece>();
  for (const piece of pieces) {
    const text = captionText(piece);
    if (text === undefined) continue;
    const isTable = tableCaption.test(text);
    const target = nearest(piece, pieces, (other) => other.block.type === (isTable ? "table" : "figure") && !captions.has(other));
    if (target) {
      captions.set(target, text);
      gone.add(piece);
    } else if (!isTable) {
      const rect = drawingAbove(piece.rect, drawings, page);
      if (rect) drawn.set(piece, { rect, size: 0, block: { type: "figure", caption: text } });
    }
  }
  const result = pieces
    .filter((piece) => !gone.has(piece))
    .map((piece) => withCaption(drawn.get(piece) ?? piece, captions.get(piece)));
  return withInnerText(result.map((piece) => ({ piece, isDrawn: [...drawn.values()].includes(piece) })));
}

/** The text of a piece that opens like a caption. */
function captionText({ block }: Piece): string | undefined {
  const text = block.type === "paragraph" || block.type === "heading" ? block.text.replaceAll(/\s+/gu, " ") : undefined;
  if (text === undefined || text.length > captionCharsMax) return undefined;
  return figureCaption.test(text) || tableCaption.test(text) ? text : undefined;
}

function nearest(caption: Piece, pieces: readonly Piece[], isWanted: (piece: Piece) => boolean): Piece | undefined {
  let best: { readonly piece: Piece; readonly gap: number } | undefined;
  for (const piece of pieces.filter(isWanted)) {
    const { rect } = piece;
    if (overlap(rect.x, rect.right, caption.rect.x, caption.rect.right) <= 0) continue;
    const below = caption.rect.top - rect.bottom;
    const above = rect.top - caption.rect.bottom;
    const gap = Math.max(below, above, 0);
    if (gap <= farPoints && gap < (best?.gap ?? Infinity)) best = { piece, gap };
  }
  return best?.piece;
}

function drawingAbove(caption: Rect, drawings: readonly Rect[], page: { width: number; height: number }): Rect | undefined {
  const near = drawings.filter(
    (rect) =>
      rect.bottom <= caption.top + 6 &&
      rect.top >= caption.top - drawnPoints &&
      overlap(rect.x, rect.right, caption.x - 40, caption.right + 40) > 0,
  );
  if (near.length < 2) return undefined;
  const rect = union(near);
  const isTied = caption.top - rect.bottom <= farPoints;
  return isTied && area(rect) >= page.width * page.height * drawnShare ? rect : undefined;
}

function withCaption(piece: Piece, caption: string | undefined): Piece {
  if (caption === undefined) return piece;
  if (piece.block.type !== "table" && piece.block.type !== "figure") return piece;
  return { ...piece, block: { ...piece.block, caption } };
}

/** Labels that stand inside a figure are its text, not the page's. */
function withInnerText(tied: readonly Tied[]): Tied[] {
  const figures = tied.filter(({ piece }) => piece.block.type === "figure");
  if (figures.length === 0) return [...tied];
  const inner = new Map<Tied, string[]>();
  const rest = tied.filter((one) => {
    const { block, rect } = one.piece;
    if (block.type === "figure" || block.type === "table") return true;
    const owner = figures.find(({ piece }) => shared(piece.rect, rect) > area(rect) * 0.7);
    if (!owner) return true;
    const text = block.type === "list" ? block.items.map((item) => item.text).join("\n") : block.text;
    inner.set(owner, [...(inner.get(owner) ?? []), text]);
    return false;
  });
  return rest.map((one) => {
    const texts = inner.get(one);
    const { piece } = one;
    if (!texts || piece.block.type !== "figure") return one;
    return { ...one, piece: { ...piece, block: { ...piece.block, text: texts.join("\n") } } };
  });
}
