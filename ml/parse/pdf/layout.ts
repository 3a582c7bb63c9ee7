/**
 * From what stands on pages to blocks in reading order: tables with rules first, then what the margins repeat goes, then columns, and in
 * each column lines become paragraphs, headings, lists, tables and notes; captions find what they are about. Rules, not learning: dense
 * forms come out in some order, not always the best one.
 */
import type { Block } from "../block.ts";
import { joinedTexts, styleOf, tablePiece, toPieces, type Piece, type Style } from "./blocks.ts";
import { tieCaptions } from "./captions.ts";
import { inReadingOrder, type Atom } from "./columns.ts";
import { toLines, toSegments, type Segment } from "./lines.ts";
import { withoutMargins } from "./margins.ts";
import { ruledTables } from "./ruledTables.ts";
import { toBox, type PageInk, type Rect, type Rule, type Run } from "./shape.ts";
import type { FoundTable } from "./table.ts";

/** A picture on a page that is kept: where it stands, and its number among the pictures of the document. */
export type PlacedFigure = { readonly rect: Rect; readonly picture: number };

export type PageContent = { readonly ink: PageInk; readonly figures: readonly PlacedFigure[] };

/** A drawing that a caption names, to be made a picture by drawing its part of the page. */
export type DrawnFigure = { readonly page: number; readonly rect: Rect; readonly block: number };

export type Layout = { readonly blocks: Block[]; readonly drawn: readonly DrawnFigure[] };

type Sheet = {
  readonly page: number;
  readonly ink: PageInk;
  readonly quarters: 0 | 1 | 2 | 3;
  readonly width: number;
  readonly height: number;
  readonly tables: readonly FoundTable[];
  readonly segments: Segment[];
  readonly figures: readonly PlacedFigure[];
};

export function layoutPages(pages: readonly (PageContent | undefined)[]): Layout {
  const sheets = pages.flatMap((content, at) => (content ? toSheets(content, at + 1) : []));
  const kept = withoutMargins(sheets);
  const flows = sheets.map((sheet, at) => flowsOf(sheet, kept[at] ?? []));
  const style = styleOf(flows.flat(2).flatMap(({ what }) => (isSegment(what) ? toLines([what]) : [])));
  const blocks: Block[] = [];
  const drawn: DrawnFigure[] = [];
  for (const [at, sheet] of sheets.entries()) {
    const pieces = tieCaptions(
      piecesOf(flows[at] ?? [], style, sheet.height),
      sheet.quarters === 0 ? sheet.ink.drawings : [],
      sheet,
    );
    for (const { piece, isDrawn } of pieces) {
      const place = { page: sheet.page, box: toBox(piece.rect, sheet.ink, sheet.quarters) };
      if (isDrawn) drawn.push({ page: sheet.page, rect: piece.rect, block: blocks.length });
      blocks.push({ ...piece.block, place });
    }
  }
  return { blocks, drawn };
}

/** A page as it is read, and beside it what is written at other angles. */
function toSheets({ ink, figures }: PageContent, page: number): Sheet[] {
  const chars = (runs: readonly Run[]): number => runs.reduce((sum, run) => sum + run.text.length, 0);
  const main = ink.turned.find(({ runs }) => chars(runs) > chars(ink.runs) * 2);
  const directions = [{ quarters: 0 as const, runs: ink.runs }, ...ink.turned];
  return directions
    .toSorted((one, other) => Number(other.quarters === main?.quarters) - Number(one.quarters === main?.quarters))
    .map(({ quarters, runs }, at) => {
      const isMain = at === 0;
      const [width, height] = quarters % 2 === 1 ? [ink.height, ink.width] : [ink.width, ink.height];
      const found = isMain ? ruledTables(runs, turnedRules(ink, quarters)) : { tables: [], rest: [...runs] };
      const own = isMain && quarters === 0 ? figures : [];
      return { page, ink, quarters, width, height, tables: found.tables, segments: toSegments(found.rest), figures: own };
    });
}

function turnedRules({ rules, width, height }: PageInk, quarters: number): Rule[] {
  if (quarters === 0) return [...rules];
  return rules.map(({ isHorizontal, at, from, to }) => {
    if (quarters === 2) {
      const [side, length] = isHorizontal ? [height, width] : [width, height];
      return { isHorizontal, at: side - at, from: length - to, to: length - from };
    }
    // A quarter turn makes what was down go across, counted from the other side.
    const isCounted = quarters === 1 ? isHorizontal : !isHorizontal;
    const side = quarters === 1 ? width : height;
    return isCounted
      ? { isHorizontal: !isHorizontal, at, from: side - to, to: side - from }
      : { isHorizontal: !isHorizontal, at: side - at, from, to };
  });
}

type Taken = { readonly table: FoundTable } | { readonly figure: PlacedFigure };

function isSegment(what: Segment | Taken): what is Segment {
  return "text" in what;
}

function flowsOf(sheet: Sheet, segments: readonly Segment[]): Atom<Taken>[][] {
  const atoms: Atom<Taken>[] = [
    ...segments.map((segment) => ({ ...segment, what: segment })),
    ...sheet.tables.map((table) => ({ ...table.rect, text: "", what: { table } })),
    ...sheet.figures.map((figure) => ({ ...figure.rect, text: "", what: { figure } })),
  ];
  return inReadingOrder(atoms);
}

function piecesOf(flows: readonly (readonly Atom<Taken>[])[], style: Style, height: number): Piece[] {
  const pieces: Piece[] = [];
  for (const flow of flows) {
    let held: Segment[] = [];
    const flush = (): void => {
      const [first, ...others] = toPieces(toLines(held), style, height);
      const last = pieces.at(-1);
      // A sentence goes on at the head of the next column.
      if (first && last && goesOn(last, first)) pieces[pieces.length - 1] = joined(last, first);
      else if (first) pieces.push(first);
      pieces.push(...others);
      held = [];
    };
    for (const { what } of flow) {
      if (isSegment(what)) held.push(what);
      else {
        flush();
        if ("table" in what) pieces.push(tablePiece(what.table));
        else pieces.push({ rect: what.figure.rect, size: 0, block: { type: "figure", picture: what.figure.picture } });
      }
    }
    flush();
  }
  return pieces;
}

function goesOn(last: Piece, next: Piece): boolean {
  if (last.block.type !== "paragraph" || next.block.type !== "paragraph") return false;
  if (Math.abs(last.size - next.size) > last.size * 0.08) return false;
  return !/[.!?:;]["'”’»)]*$/u.test(last.block.text) && /^[\p{Ll}\d]/u.test(next.block.text);
}

function joined(last: Piece, next: Piece): Piece {
  if (last.block.type !== "paragraph" || next.block.type !== "paragraph") return last;
  const rect = {
    x: Math.min(last.rect.x, next.rect.x),
    right: Math.max(last.rect.right, next.rect.right),
    top: Math.min(last.rect.top, next.rect.top),
    bottom: Math.max(last.rect.bottom, next.rect.bottom),
  };
  return { ...last, rect, block: { type: "paragraph", text: joinedTexts(last.block.text, next.block.text, true) } };
}
