import type { Place } from "../../convex/model/place.ts";
import type { Block, PassageKind } from "../parse/block.ts";
import { sentences } from "../retrieve/sentences.ts";
import type { Cutting } from "./cutting.ts";
import { describe } from "./describe.ts";

/** The smallest thing a passage is packed from: some sentences, a list, a row, a record, a stretch of code. */
export type Piece = {
  readonly kind: PassageKind;
  /** Pieces of one flow share passages; "alone" with a number of its own shares with none. */
  readonly flow: "prose" | "rows" | "records" | `alone ${string}`;
  readonly text: string;
  readonly tokens: number;
  readonly place: Place;
  /** What stands between it and the piece before. */
  readonly joiner: string;
  readonly isHeading?: boolean;
};

type Cut = Pick<Piece, "text" | "place"> & { readonly joiner?: string };

/** Code this short belongs to the text around it. */
const inlineCodeTokens = 60;
/** A sentence longer than this is not repeated: the two halves would say the same. */
const overlapCharsMax = 240;
const captionCharsMax = 160;

/** A block as pieces within the budgets. Blank ones are left out. */
export function piecesOf(block: Exclude<Block, { type: "heading" }>, cutting: Cutting): Piece[] {
  const { budgets } = cutting;
  const made = (kind: PassageKind, flow: Piece["flow"], joiner: string, cuts: readonly Cut[]): Piece[] =>
    cuts.map((cut) => ({ kind, flow, joiner, tokens: cutting.measure(cut.text), ...cut }));
  const text = (text: string): Cut[] => proseCuts(text, block.place, charsFor(text, budgets.target, cutting));
  switch (block.type) {
    case "paragraph":
      return made("prose", "prose", "\n\n", text(block.text));
    case "list": {
      const lines = block.items
        .map(({ text, depth }, at) => `${"  ".repeat(depth)}${block.isOrdered ? `${at + 1}.` : "-"} ${text}`)
        .join("\n");
      return made("list", "prose", "\n\n", lineCuts(lines, block.place, charsFor(lines, budgets.whole, cutting)));
    }
    case "code": {
      const isInline = cutting.measure(block.text) <= inlineCodeTokens;
      const cuts = lineCuts(block.text, block.place, charsFor(block.text, budgets.whole, cutting));
      return made("code", isInline ? "prose" : `alone ${JSON.stringify(block.place)}`, "\n\n", cuts);
    }
    case "record":
      return made("record", "records", "\n\n", lineCuts(block.text, block.place, charsFor(block.text, budgets.whole, cutting)));
    case "table":
      return [
        ...made("table", `alone ${JSON.stringify(block.place)}`, "\n", descriptionOf(block, cutting)),
        ...made("table", "rows", "\n", rowCuts(block, cutting)),
      ];
    case "figure": {
      const said = [block.caption, block.text].filter((part) => part !== undefined && part.trim() !== "").join("\n");
      return made("figure", `alone ${JSON.stringify(block.place)} ${block.picture ?? ""}`, "\n\n", text(said));
    }
    case "footnote":
      return made("footnote", "prose", "\n\n", text([block.label, block.text].filter(Boolean).join(" ")));
  }
}

/** About how many characters of this text are `tokens` tokens. */
function charsFor(text: string, tokens: number, { measure }: Cutting): number {
  const all = measure(text);
  return all <= tokens ? text.length : Math.max(40, Math.floor((text.length * tokens) / all));
}

function proseCuts(text: string, place: Place, charsMax: number): Cut[] {
  if (text.trim() === "") return [];
  if (text.length <= charsMax) return [{ text, place }];
  const spans = sentences(text).flatMap(({ from, to }) => hardCut(text, from, to, charsMax));
  const groups = grouped(spans, charsMax);
  return groups.map(({ from, to }, at) => {
    const start = at === 0 ? from : overlapStart(spans, groups[at - 1]!, from);
    const first = lineBreaks(text, 0, start);
    return {
      text: text.slice(start, to),
      place: onLines(place, first, first + lineBreaks(text, start, to)),
      ...(at > 0 && { joiner: " " }),
    };
  });
}

/** Where a group begins that repeats the last sentence of the one before, so that what refers back is understood. */
function overlapStart(
  spans: readonly { from: number; to: number }[],
  before: { from: number; to: number },
  from: number,
): number {
  const last = spans.findLast((span) => span.to <= from);
  const isShort = last !== undefined && last.to - last.from <= overlapCharsMax;
  return isShort && last.from > before.from ? last.from : from;
}

/** Lines kept together up to `charsMax`; one that is longer is cut. */
function lineCuts(text: string, place: Place, charsMax: number): Cut[] {
  const body = text.replace(/^\n+|\s+$/gu, "");
  if (body === "") return [];
  if (body.length <= charsMax) return [{ text: body, place }];
  const pieces: Cut[] = [];
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

/** What a table is about, as a passage of its own; nothing for one that is seen at a glance. */
function descriptionOf(table: Extract<Block, { type: "table" }>, { language }: Cutting): Cut[] {
  const text = describe(table, language);
  if (text === undefined) return [];
  return [{ text, place: table.rows.length > 0 ? { ...table.place, rows: { from: 1, to: table.rows.length } } : table.place }];
}

/** Each row says its column names, so that it can be understood, and found, on its own. */
function rowCuts({ columns, rows, caption, place }: Extract<Block, { type: "table" }>, cutting: Cutting): Cut[] {
  const pieces: Cut[] = [];
  const title = caption === undefined || caption.trim() === "" ? "" : `${caption.trim().slice(0, captionCharsMax)} · `;
  for (const [at, row] of rows.entries()) {
    const cells = row.map((cell, column) => toCell(columns[column] ?? "", cell)).filter((cell) => cell !== "");
    const where = { ...place, rows: { from: at + 1, to: at + 1 } };
    const charsMax = charsFor(cells.join(" · "), cutting.budgets.target, cutting);
    let held = at === 0 ? title : "";
    let isEmpty = true;
    const flush = (): void => {
      if (!isEmpty) pieces.push({ text: held, place: where });
      held = "";
      isEmpty = true;
    };
    for (const cell of cells) {
      if (!isEmpty && held.length + cell.length + 3 > charsMax + title.length) flush();
      if (cell.length > charsMax) {
        for (const { from, to } of hardCut(cell, 0, cell.length, charsMax))
          pieces.push({ text: cell.slice(from, to), place: where });
      } else {
        held = isEmpty ? held + cell : `${held} · ${cell}`;
        isEmpty = false;
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
