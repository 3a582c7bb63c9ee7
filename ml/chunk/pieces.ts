import type { Place } from "../../convex/model/place.ts";
import type { Block } from "../parse/block.ts";
import { sentences } from "../retrieve/sentences.ts";

/** The smallest thing a passage is packed from: some sentences, a row, a record, a stretch of code. */
export type Piece = {
  readonly kind: "prose" | "rows" | "records";
  readonly text: string;
  readonly place: Place;
  /** What stands between it and the piece before. */
  readonly joiner: string;
  readonly isHeading?: boolean;
};

/** Code is worth more whole; this is about 600 tokens, what readers and embedders still take in. */
const codeCharsMax = 2_400;

/** A block as pieces of at most about `charsMax` characters (code: twice that). Blank ones are left out. */
export function piecesOf(block: Exclude<Block, { type: "heading" }>, charsMax: number): Piece[] {
  switch (block.type) {
    case "paragraph":
      return prosePieces(block.text, block.place, charsMax);
    case "code":
      return linePieces(block.text, block.place, codeCharsMax).map((piece) => ({ ...piece, kind: "prose", joiner: "\n\n" }));
    case "record":
      return linePieces(block.text, block.place, charsMax).map((piece) => ({ ...piece, kind: "records", joiner: "\n\n" }));
    case "table":
      return rowPieces(block, charsMax);
    case "list": {
      const lines = block.items.map(({ text, depth }) => `${"  ".repeat(depth)}- ${text}`).join("\n");
      return linePieces(lines, block.place, charsMax).map((piece) => ({ ...piece, kind: "prose", joiner: "\n\n" }));
    }
    case "figure":
      return prosePieces([block.caption, block.text].filter(Boolean).join("\n"), block.place, charsMax);
    case "footnote":
      return prosePieces([block.label, block.text].filter(Boolean).join(" "), block.place, charsMax);
  }
}

function prosePieces(text: string, place: Place, charsMax: number): Piece[] {
  if (text.trim() === "") return [];
  if (text.length <= charsMax) return [{ kind: "prose", text, place, joiner: "\n\n" }];
  const groups = grouped(
    sentences(text).flatMap(({ from, to }) => hardCut(text, from, to, charsMax)),
    charsMax,
  );
  let line = 0;
  let seen = 0;
  return groups.map(({ from, to }, at) => {
    line += lineBreaks(text, seen, from);
    const first = line;
    line += lineBreaks(text, from, to);
    seen = to;
    return {
      kind: "prose" as const,
      text: text.slice(from, to),
      place: onLines(place, first, line),
      joiner: at === 0 ? "\n\n" : " ",
    };
  });
}

/** Lines kept together up to `charsMax`; one that is longer is cut. */
function linePieces(text: string, place: Place, charsMax: number): { text: string; place: Place }[] {
  const body = text.replace(/^\n+|\s+$/gu, "");
  if (body === "") return [];
  if (body.length <= charsMax) return [{ text: body, place }];
  const pieces: { text: string; place: Place }[] = [];
  const lines = body.split("\n");
  let held: string[] = [];
  let chars = 0;
  let first = 0;
  const flush = (end: number): void => {
    const piece = held.join("\n");
    if (piece.trim() !== "") pieces.push({ text: piece, place: onLines(place, first, end) });
    held = [];
    chars = 0;
  };
  for (const [at, line] of lines.entries()) {
    if (chars > 0 && chars + line.length > charsMax) flush(at - 1);
    if (held.length === 0) first = at;
    if (line.length > charsMax) {
      for (const { from, to } of hardCut(line, 0, line.length, charsMax))
        pieces.push({ text: line.slice(from, to), place: onLines(place, at, at) });
    } else {
      held.push(line);
      chars += line.length + 1;
    }
  }
  flush(lines.length - 1);
  return pieces;
}

/** Each row says its column names, so that it can be understood, and found, on its own. */
function rowPieces({ columns, rows, place }: Extract<Block, { type: "table" }>, charsMax: number): Piece[] {
  const pieces: Piece[] = [];
  for (const [at, row] of rows.entries()) {
    const cells = row.map((cell, column) => toCell(columns[column] ?? "", cell)).filter((cell) => cell !== "");
    const where = { ...place, rows: { from: at + 1, to: at + 1 } };
    let held = "";
    const flush = (): void => {
      if (held !== "") pieces.push({ kind: "rows", text: held, place: where, joiner: "\n" });
      held = "";
    };
    for (const cell of cells) {
      if (held !== "" && held.length + cell.length + 3 > charsMax) flush();
      if (cell.length > charsMax) {
        for (const { from, to } of hardCut(cell, 0, cell.length, charsMax))
          pieces.push({ kind: "rows", text: cell.slice(from, to), place: where, joiner: "\n" });
      } else {
        held = held === "" ? cell : `${held} · ${cell}`;
      }
    }
    flush();
  }
  return pieces;
}

function toCell(column: string, cell: string): string {
  const value = cell.replaceAll(/\s+/gu, " ").trim();
  if (value === "") return "";
  return column === "" ? value : `${column}: ${value}`;
}

/** Neighbouring spans joined into groups of about equal length, none above `charsMax`, so that the last is not a crumb. */
function grouped(spans: readonly { from: number; to: number }[], charsMax: number): { from: number; to: number }[] {
  const start = spans[0]?.from ?? 0;
  const whole = (spans.at(-1)?.to ?? 0) - start;
  const even = whole / Math.ceil(whole / charsMax);
  const groups: { from: number; to: number }[] = [];
  let share = -1;
  for (const span of spans) {
    // The group in whose share of the text the middle of the span lies.
    const next = Math.floor(((span.from + span.to) / 2 - start) / even);
    const last = groups.at(-1);
    if (last && next === share && span.to - last.from <= charsMax) last.to = span.to;
    else groups.push({ ...span });
    share = next;
  }
  return groups;
}

/** Text without sentence or line ends, cut at white space where there is some, never inside a surrogate pair. */
function hardCut(text: string, from: number, to: number, charsMax: number): { from: number; to: number }[] {
  const cuts: { from: number; to: number }[] = [];
  let start = from;
  while (to - start > charsMax) {
    // Looked for in a window, because in a text without any the search would run back to the beginning each time.
    const half = Math.floor(charsMax / 2);
    const space = text.slice(start + half, start + charsMax + 1).lastIndexOf(" ");
    let end = space > 0 ? start + half + space : start + charsMax;
    if (isLowSurrogate(text.charCodeAt(end))) end -= 1;
    cuts.push({ from: start, to: end });
    start = text[end] === " " ? end + 1 : end;
  }
  if (to > start) cuts.push({ from: start, to });
  return cuts;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

function lineBreaks(text: string, from: number, to: number): number {
  return text.slice(from, to).split("\n").length - 1;
}

/** Narrows a block's lines to some of them, counted from its first. Blocks without lines stay as they are. */
function onLines(place: Place, first: number, last: number): Place {
  if (!place.lines) return place;
  const clamp = (line: number): number => Math.min(place.lines?.to ?? line, line);
  return { ...place, lines: { from: clamp(place.lines.from + first), to: clamp(place.lines.from + last) } };
}
