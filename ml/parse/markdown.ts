import type { Token, Tokens } from "marked";
import type { Block } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";
import { textBlocks } from "./text.ts";

/** Deeper quotes and lists are attacks or accidents; below this their text is kept as it stands. */
const nestingMax = 20;
/** marked's block rules look far ahead; beyond this size a text is read as plain paragraphs with `#` headings. */
const markedCharsMax = 4_000_000;

/**
 * Markdown as blocks with their lines. Only the block rules of marked are used: its inline rules backtrack on hostile input, and
 * passages want plain words, so links, emphasis and images are undone here in one pass.
 */
export async function markdownBlocks(source: string): Promise<{ blocks: Block[]; title?: string }> {
  const { front, body, skippedLines } = splitFrontMatter(source);
  const blocks = await readBlocks(body, skippedLines);
  const heading = blocks.find((block) => block.type === "heading");
  const title = /^title:\s*["']?(.+?)["']?\s*$/mu.exec(front)?.[1] ?? (heading?.type === "heading" ? heading.text : undefined);
  return title === undefined ? { blocks } : { blocks, title };
}

async function readBlocks(body: string, skippedLines: number): Promise<Block[]> {
  if (body.length > markedCharsMax || isNestedTooDeep(body)) return plainBlocks(body, skippedLines);
  const { Lexer } = await import("marked");
  try {
    const tokens = new Lexer({ gfm: true }).blockTokens(body.replaceAll("\t", "    "), []);
    const blocks: Block[] = [];
    walk(tokens, skippedLines + 1, 0, blocks);
    return blocks;
  } catch (error) {
    // Nesting too deep for a recursive reader: the words are still worth having.
    if (error instanceof RangeError) return plainBlocks(body, skippedLines);
    throw error;
  }
}

/** A line that opens more quotes and lists than anyone would: marked takes time and memory for each of them, squared. */
function isNestedTooDeep(body: string): boolean {
  return /^[ \t]*(?:(?:>|(?:[-*+]|\d{1,9}[.)])[ \t])[ \t]*){50}/mu.test(body);
}

function plainBlocks(body: string, skippedLines: number): Block[] {
  return textBlocks(body).map((block) => {
    const lines = block.place.lines ?? { from: 1, to: 1 };
    const place = { lines: { from: lines.from + skippedLines, to: lines.to + skippedLines } };
    const heading = block.type === "paragraph" ? /^(#{1,6})\s+(.*)$/u.exec(block.text) : null;
    if (heading) return { type: "heading", level: heading[1]?.length ?? 1, text: plainInline(heading[2] ?? ""), place };
    return { ...block, place };
  });
}

function splitFrontMatter(source: string): { front: string; body: string; skippedLines: number } {
  const match = /^---\n([\s\S]{0,10000}?)\n---(?:\n|$)/u.exec(source);
  if (!match) return { front: "", body: source, skippedLines: 0 };
  return { front: match[1] ?? "", body: source.slice(match[0].length), skippedLines: match[0].split("\n").length - 1 };
}

/** Emits the blocks of `tokens`, whose first raw character stands on `line`. */
function walk(tokens: readonly Token[], line: number, depth: number, blocks: Block[]): void {
  let at = line;
  for (const token of tokens) {
    const raw = token.raw;
    const breaks = newlines(raw);
    const lead = newlines(/^\n*/u.exec(raw)?.[0] ?? "");
    const trail = newlines(/\n*$/u.exec(raw)?.[0] ?? "");
    const place = { lines: { from: at + lead, to: Math.max(at + lead, at + breaks - trail) } };
    emit(token, place, depth, blocks);
    at += breaks;
  }
}

function emit(token: Token, place: { lines: { from: number; to: number } }, depth: number, blocks: Block[]): void {
  switch (token.type) {
    case "heading":
      blocks.push({
        type: "heading",
        level: (token as Tokens.Heading).depth,
        text: plainInline((token as Tokens.Heading).text),
        place,
      });
      return;
    case "code":
      blocks.push({ type: "code", text: (token as Tokens.Code).text, place });
      return;
    case "table":
      blocks.push(toTable(token as Tokens.Table));
      return;
    case "blockquote":
      if (depth < nestingMax) walk((token as Tokens.Blockquote).tokens, place.lines.from, depth + 1, blocks);
      else pushText(token.raw, place, blocks);
      return;
    case "list":
      emitList(token as Tokens.List, place, depth, blocks);
      return;
    case "html":
      pushText(token.raw.replaceAll(/<!--[\s\S]*?-->|<[^>]{0,2000}>/gu, " "), place, blocks);
      return;
    case "space":
    case "hr":
    case "def":
      return;
    default:
      pushText("text" in token && typeof token.text === "string" ? token.text : token.raw, place, blocks);
  }
}

/** A list reads as one paragraph, an item a line; a very long one is handed on item by item so that lines stay true. */
function emitList(list: Tokens.List, place: { lines: { from: number; to: number } }, depth: number, blocks: Block[]): void {
  let line = place.lines.from;
  for (const item of list.items) {
    const to = line + newlines(item.raw.trimEnd());
    const text = depth < nestingMax ? plainLines(item.text) : item.raw;
    const bullet = list.ordered ? (/^\s*\d+[.)]/u.exec(item.raw)?.[0].trim() ?? "-") : "-";
    pushItem(`${bullet} ${text}`, { lines: { from: line, to } }, blocks, item !== list.items[0]);
    line += newlines(item.raw);
  }
}

function pushItem(text: string, place: Place, blocks: Block[], follows: boolean): void {
  const last = blocks.at(-1);
  const clean = text.trim();
  if (follows && last?.type === "paragraph" && last.text.length + clean.length < 800 && last.place.lines && place.lines) {
    blocks[blocks.length - 1] = {
      ...last,
      text: `${last.text}\n${clean}`,
      place: { lines: { from: last.place.lines.from, to: place.lines.to } },
    };
  } else if (clean !== "") {
    blocks.push({ type: "paragraph", text: clean, place });
  }
}

function toTable(table: Tokens.Table): Block {
  return {
    type: "table",
    columns: table.header.map((cell) => plainInline(cell.text)),
    rows: table.rows.map((row) => row.map((cell) => plainInline(cell.text))),
    place: {},
  };
}

function pushText(text: string, place: Place, blocks: Block[]): void {
  const plain = plainInline(text.replaceAll(/[ \t]*\n[ \t]*/gu, " ")).trim();
  if (plain !== "") blocks.push({ type: "paragraph", text: plain, place });
}

function plainLines(text: string): string {
  return text
    .split("\n")
    .map((line) => plainInline(line))
    .filter((line) => line.trim() !== "")
    .join("\n");
}

/** Link and image texts instead of their addresses, no emphasis marks, no code ticks, entities undone. Linear in its input. */
function plainInline(text: string): string {
  return text
    .replaceAll(/!?\[([^\][]{0,500})\]\([^()\s]{0,2000}(?:\s"[^"]{0,500}")?\)/gu, "$1")
    .replaceAll(/!?\[([^\][]{0,500})\]\[[^\][]{0,200}\]/gu, "$1")
    .replaceAll(/<((?:https?|mailto):[^>\s]{1,2000})>/gu, "$1")
    .replaceAll(/<\/?[a-z][^<>]{0,500}>/giu, "")
    .replaceAll(/(\*\*|__|~~)(?=\S)/gu, "")
    .replaceAll(/(?<=\S)(\*\*|__|~~)/gu, "")
    .replaceAll(/(?<![\w*])[*_](?=[\p{L}\p{N}"'(])|(?<=[\p{L}\p{N}"').,!?])[*_](?![\w*])/gu, "")
    .replaceAll(/`+/gu, "")
    .replaceAll(/\\([!-/:-@[-`{-~])/gu, "$1")
    .replaceAll(/&(amp|lt|gt|quot|nbsp|#39);/gu, (_, name: string) => entities[name] ?? "")
    .trim();
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", "#39": "'" };

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
