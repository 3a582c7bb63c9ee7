import { apply, type Matrix } from "./matrix.ts";

/** What the library hands to the operator that shows text: glyphs, and numbers that move the pen by thousandths of the size. */
export type Glyphs = readonly (number | { readonly unicode?: string; readonly width?: number; readonly isSpace?: boolean })[];

export type Pen = {
  readonly size: number;
  readonly scale: number;
  readonly charSpacing: number;
  readonly wordSpacing: number;
  /** Size of a glyph's unit of width; 0.001 in all fonts but those drawn by operators. */
  readonly unit: number;
  readonly isBold: boolean;
  readonly matrix: Matrix;
  readonly pen: { readonly x: number; readonly y: number };
};

/** A run as it stands on the page, in the page's own direction. `quarters` clockwise turns of its writing. */
export type ShownText = {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly size: number;
  readonly isBold: boolean;
  readonly quarters: 0 | 1 | 2 | 3;
};

/** A gap this wide, in type sizes, is a space; one that wide is the edge of a cell. */
const spaceSizes = 0.17;
const cellSizes = 0.9;

/** The texts of one operator and how far it moves the pen. Cut where cells may meet; text at odd angles is left out. */
export function showGlyphs(
  glyphs: Glyphs,
  { size, scale, charSpacing, wordSpacing, unit, isBold, matrix, pen }: Pen,
): {
  texts: ShownText[];
  advance: number;
} {
  const [a, b, c, d] = matrix;
  const quarters = quartersOf(a * Math.sign(size || 1), b * Math.sign(size || 1));
  const along = Math.hypot(a, b);
  const height = Math.abs(size) * Math.hypot(c, d);
  const em = Math.abs(size) * scale;
  const texts: ShownText[] = [];
  let text = "";
  let start = 0;
  let end = 0;
  let x = 0;
  const flush = (): void => {
    if (text.trim() !== "" && quarters !== undefined) {
      const [px, py] = apply(matrix, pen.x + start, pen.y);
      texts.push({ text, x: px, y: py, width: Math.abs(end - start) * along, size: height, isBold, quarters });
    }
    text = "";
  };
  for (const glyph of glyphs) {
    if (typeof glyph === "number") {
      x -= (glyph / 1000) * size * scale;
      continue;
    }
    const width = (glyph.width ?? 0) * unit * size * scale;
    const letter = glyph.unicode ?? "";
    // `isSpace` says that the code is 32, for word spacing; fonts cut down to a few letters use that code for any of them.
    const isBlank = letter.trim() === "";
    if (!isBlank) {
      const gap = Math.abs(x - end);
      if (text !== "" && gap > em * cellSizes) flush();
      else if (text !== "" && gap > em * spaceSizes && !text.endsWith(" ")) text += " ";
      if (text === "") start = x;
      text += letter;
      end = x + width;
    }
    x += width + ((glyph.isSpace ? wordSpacing : 0) + charSpacing) * scale;
    // Room between letters belongs to the letter before: spaced-out words stay words.
    if (!isBlank) end = x;
  }
  flush();
  return { texts, advance: x };
}

/** Clockwise quarter turns on a page whose y points down; undefined when further than some six degrees from any. */
export function quartersOf(a: number, b: number): 0 | 1 | 2 | 3 | undefined {
  const length = Math.hypot(a, b) || 1;
  const [x, y] = [a / length, b / length];
  if (Math.abs(y) < 0.1) return x > 0 ? 0 : 2;
  if (Math.abs(x) < 0.1) return y > 0 ? 1 : 3;
  return undefined;
}
