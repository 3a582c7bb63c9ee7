import type { Box } from "../../convex/model/place.ts";
import type { OcrLine, OcrText, OcrWord } from "../../functions/ports/ocr.ts";

const wordsMax = 20_000;

/**
 * Tesseract's table of words: level, page, block, paragraph, line, word, left, top, width, height (pixels), confidence, text. Words are
 * level 5; a confidence of -1 says that there is none.
 */
export function readTsv(tsv: string, { width, height }: { width: number; height: number }): OcrText {
  const lines = new Map<string, { words: OcrWord[]; box: Box; paragraph: string }>();
  let box: Box = { left: 0, top: 0, width: 1, height: 1 };
  let words = 0;
  for (const row of tsv.split("\n")) {
    const cells = row.split("\t");
    const level = cells[0];
    if (level !== "4" && level !== "5") continue;
    const [, page, block, paragraph, line] = cells;
    const [left, top, wide, high] = cells.slice(6, 10).map(Number) as [number, number, number, number];
    const own = { left: share(left, width), top: share(top, height), width: share(wide, width), height: share(high, height) };
    if (level === "4") {
      box = own;
      continue;
    }
    const text = (cells[11] ?? "").trim();
    if (text === "" || words >= wordsMax) continue;
    words += 1;
    const key = `${page}.${block}.${paragraph}.${line}`;
    const found = lines.get(key) ?? { words: [], box, paragraph: `${page}.${block}.${paragraph}` };
    found.words.push({ text, confidence: Math.round(Math.max(0, Number(cells[10]) || 0)), box: own });
    lines.set(key, found);
  }
  const paragraphs = new Map<string, number>();
  for (const { paragraph } of lines.values()) if (!paragraphs.has(paragraph)) paragraphs.set(paragraph, paragraphs.size);
  const numbered: OcrLine[] = [...lines.values()].map(({ words, box, paragraph }) => ({
    words,
    box,
    paragraph: paragraphs.get(paragraph) ?? 0,
  }));
  return { lines: numbered, confidence: meanConfidence(numbered) };
}

function share(pixels: number, of: number): number {
  return Math.round(Math.min(1, Math.max(0, pixels / Math.max(1, of))) * 10_000) / 10_000;
}

/** Longer words weigh more: a stray dot says little about a page. */
export function meanConfidence(lines: readonly OcrLine[]): number {
  let sum = 0;
  let chars = 0;
  for (const { words } of lines)
    for (const { text, confidence } of words) {
      sum += confidence * text.length;
      chars += text.length;
    }
  return chars === 0 ? 0 : Math.round(sum / chars);
}
