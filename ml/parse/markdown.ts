import type { Token, Tokens } from "marked";
import type { Block, Facts } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";
import { gridBlocks } from "./grid.ts";
import { factsOf, toTime } from "./office/package.ts";
import { textBlocks } from "./text.ts";

/** Deeper quotes and lists are attacks or accidents; below this their text is kept as it stands. */
const nestingMax = 20;
/** marked's block rules look far ahead; beyond this size a text is read as plain paragraphs with `#` headings. */
const markedCharsMax = 4_000_000;

/**
 * Markdown as blocks with their lines. Only the block rules of marked are used: its inline rules backtrack on hostile input, and
 * passages want plain words, so links, emphasis and images are undone here in one pass.
 */
export async function markdownBlocks(source: string): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const { front, body, skippedLines } = splitFrontMatter(source);
  const blocks = await readBlocks(body, skippedLines);
  const heading = blocks.find((block) => block.type === "heading");
  const said = (key: string): string | undefined => new RegExp(`^${key}:\\s*["']?(.+?)["']?\\s*$`, "imu").exec(front)?.[1];
  const title = said("title") ?? (heading?.type === "heading" ? heading.text : undefined);
  const author = said("author")
    ?.replaceAll(/^\[|\]$/gu, "")
    .slice(0, 200);
  const facts = factsOf({ author, writtenAt: toTime(said("date")), people: author === undefined ? [] : [author] });
  return { blocks, ...(title !== undefined && { title }), ...(facts && { facts }) };
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
      blocks.push(toCode(token as Tokens.Code, place));
      return;
    case "table":
      // Rows say where in a table one is; lines would only say it twice.
      blocks.push(...toTable(token as Tokens.Table, {}));
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

function toCode({ text, lang }: Tokens.Code, place: Place): Block {
  const language = /^[\w+#-]{1,30}/u.exec(lang ?? "")?.[0].toLowerCase();
  return { type: "code", text, ...(language !== undefined && { language }), place };
}

/** A list of more items than this is handed on in parts, so that a passage still knows its lines. */
const itemsPerBlock = 40;

type Item = { text: string; depth: number };

function emitList(list: Tokens.List, place: { lines: { from: number; to: number } }, depth: number, blocks: Block[]): void {
  let line = place.lines.from;
  let held: Item[] = [];
  let first = line;
  const flush = (to: number): void => {
    if (held.length > 0)
      blocks.push({
        type: "list",
        isOrdered: list.ordered,
        items: held,
        place: { lines: { from: first, to: Math.max(first, to) } },
      });
    held = [];
  };
  for (const item of list.items) {
    if (held.length >= itemsPerBlock) flush(line - 1);
    if (held.length === 0) first = line;
    const others = addItem(item, { depth, level: 0 }, held);
    const end = line + newlines(item.raw.trimEnd());
    if (others.length > 0) {
      flush(end);
      for (const token of others) emit(token, { lines: { from: line, to: end } }, depth + 1, blocks);
    }
    line += newlines(item.raw);
  }
  flush(line);
}

/** Adds an item with those below it; returns what stands in it and is no text: code and tables. */
function addItem(item: Tokens.ListItem, { depth, level }: { depth: number; level: number }, items: Item[]): Token[] {
  if (depth + level >= nestingMax) {
    items.push({ text: item.raw.trim(), depth: level });
    return [];
  }
  const others: Token[] = [];
  const texts: string[] = [];
  const inner: Tokens.List[] = [];
  for (const token of item.tokens) {
    if (token.type === "list") inner.push(token as Tokens.List);
    else if (token.type === "code" || token.type === "table") others.push(token);
    else if (token.type !== "space")
      texts.push(plainLines("text" in token && typeof token.text === "string" ? token.text : token.raw));
  }
  const text = texts.filter((line) => line !== "").join("\n");
  if (text !== "") items.push({ text, depth: level });
  for (const list of inner) for (const below of list.items) others.push(...addItem(below, { depth, level: level + 1 }, items));
  return others;
}

function toTable(table: Tokens.Table, place: Place): Block[] {
  const header = table.header.map((cell) => ({ text: plainInline(cell.text) }));
  const rows = table.rows.map((row) => row.map((cell) => ({ text: plainInline(cell.text) })));
  const isNamed = header.some((cell) => cell.text !== "");
  return gridBlocks(isNamed ? [header, ...rows] : rows, { place, headerRows: isNamed ? 1 : 0 });
}

function pushText(text: string, place: Place, blocks: Block[]): void {
  const note = /^\[\^([^\]\s]{1,60})\]:\s+([\s\S]+)$/u.exec(text.trim());
  if (note) {
    for (const part of text.trim().split(/\n(?=\[\^[^\]\s]{1,60}\]:)/u)) {
      const [, label = "", body = ""] = /^\[\^([^\]\s]{1,60})\]:\s+([\s\S]+)$/u.exec(part) ?? [];
      if (body !== "") blocks.push({ type: "footnote", label, text: plainInline(body.replaceAll(/\s*\n\s*/gu, " ")), place });
    }
    return;
  }
  const image = /^!\[([^\][]{1,500})\]\([^()\n]{0,2000}\)$/u.exec(text.trim());
  if (image) return void blocks.push({ type: "figure", caption: plainInline(image[1] ?? ""), place });
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
