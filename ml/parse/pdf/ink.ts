/**
 * What stands on a page, from the list of its drawing operators: letters with their places, lines, pictures. One pass that also
 * knows colour, visibility and direction, which the library's own text extraction does not tell, and takes a third of its time.
 */
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";
import { tidied } from "../decode.ts";
import { apply, identity, times, toMatrix, type Matrix } from "./matrix.ts";
import { area, shared, type PageImage, type PageInk, type Rect, type Rule, type Run } from "./shape.ts";
import { partsOf, shapesMax, type PathPart } from "./paths.ts";
import { quartersOf, showGlyphs, type Glyphs, type ShownText } from "./glyphs.ts";

/** A page that has more is a drawing made of letters, or of lines. */
const runsMax = 30_000;
const rulesMax = 4_000;
/** Type smaller than this is there for machines, not for people. */
const sizeMin = 2;

export type PdfOps = Readonly<Record<string, number>>;
/** Tells whether a layer is shown. */
export type Layers = { isVisible(group: unknown): boolean };

type State = {
  ctm: Matrix;
  font: string;
  size: number;
  charSpacing: number;
  wordSpacing: number;
  scale: number;
  leading: number;
  rise: number;
  mode: number;
  fill: string;
  alpha: number;
};

type Shade = { readonly rect: Rect; readonly isDark: boolean };

const firstState: Omit<State, "ctm"> = {
  font: "",
  size: 0,
  charSpacing: 0,
  wordSpacing: 0,
  scale: 1,
  leading: 0,
  rise: 0,
  mode: 0,
  fill: "#000000",
  alpha: 1,
};

/** Reads a page. `hasForeignText` says that its letters need the library's own extraction: right-to-left or vertical writing. */
export async function readInk(
  page: PDFPageProxy,
  ops: PdfOps,
  layers: Layers | undefined,
): Promise<PageInk & { readonly hasForeignText: boolean }> {
  const list = await page.getOperatorList();
  const { width, height, transform } = page.getViewport({ scale: 1 });
  const base = toMatrix(transform) ?? [1, 0, 0, -1, 0, height];
  const sheet = new Sheet(width, height, base, (name) => fontOf(page, name));
  const names = nameTable(ops);
  for (let at = 0; at < list.fnArray.length; at += 1) {
    const name = names[list.fnArray[at] as number];
    if (name !== undefined) sheet.take(name, (list.argsArray[at] ?? []) as readonly unknown[], layers);
  }
  return sheet.finish();
}

export type Font = { readonly isBold: boolean; readonly isVertical: boolean; readonly unit: number };

function fontOf(page: PDFPageProxy, name: string): Font {
  try {
    const font = page.commonObjs.get(name) as { bold?: boolean; black?: boolean; vertical?: boolean; fontMatrix?: number[] };
    const unit = font.fontMatrix?.[0];
    return { isBold: Boolean(font.bold || font.black), isVertical: Boolean(font.vertical), unit: unit || 0.001 };
  } catch {
    return { isBold: false, isVertical: false, unit: 0.001 };
  }
}

let table: { readonly ops: PdfOps; readonly names: readonly (string | undefined)[] } | undefined;
function nameTable(ops: PdfOps): readonly (string | undefined)[] {
  if (table?.ops !== ops) {
    const names: string[] = [];
    for (const [name, number] of Object.entries(ops)) names[number] = name;
    table = { ops, names };
  }
  return table.names;
}

class Sheet {
  readonly #width: number;
  readonly #height: number;
  readonly #base: Matrix;
  readonly #findFont: (name: string) => Font;
  readonly #fonts = new Map<string, Font>();
  readonly #stack: State[] = [];
  readonly #texts: (ShownText & { readonly hidden: "no" | "white" | "invisible" })[] = [];
  readonly #rules: Rule[] = [];
  readonly #drawings: Rect[] = [];
  readonly #shades: Shade[] = [];
  readonly #images: PageImage[] = [];
  readonly #marks: boolean[] = [];
  #hiddenLayers = 0;
  #state: State;
  #text: Matrix = identity;
  #line = { x: 0, y: 0 };
  #pen = { x: 0, y: 0 };
  #hasForeignText = false;

  constructor(width: number, height: number, base: Matrix, findFont: (name: string) => Font) {
    this.#width = width;
    this.#height = height;
    this.#base = base;
    this.#findFont = findFont;
    this.#state = { ...firstState, ctm: base };
  }

  take(name: string, args: readonly unknown[], layers: Layers | undefined): void {
    const state = this.#state;
    const number = (at: number): number => (typeof args[at] === "number" ? args[at] : 0);
    switch (name) {
      case "showText":
      case "showSpacedText":
        return this.#show(args[0]);
      case "setFont":
        state.font = String(args[0]);
        state.size = number(1);
        return;
      case "moveText":
        return this.#move(number(0), number(1));
      case "setTextMatrix":
        this.#text = toMatrix(args[0]) ?? toMatrix(args) ?? identity;
        this.#line = { x: 0, y: 0 };
        this.#pen = { x: 0, y: 0 };
        return;
      case "beginText":
        this.#text = identity;
        this.#line = { x: 0, y: 0 };
        this.#pen = { x: 0, y: 0 };
        return;
      case "nextLine":
        return this.#move(0, state.leading);
      case "setLeading":
        state.leading = -number(0);
        return;
      case "setLeadingMoveText":
        state.leading = number(1);
        return this.#move(number(0), number(1));
      case "setCharSpacing":
        state.charSpacing = number(0);
        return;
      case "setWordSpacing":
        state.wordSpacing = number(0);
        return;
      case "setHScale":
        state.scale = number(0) / 100;
        return;
      case "setTextRise":
        state.rise = number(0);
        return;
      case "setTextRenderingMode":
        state.mode = number(0);
        return;
      case "setFillRGBColor":
        state.fill = typeof args[0] === "string" ? args[0] : "#000000";
        return;
      case "setFillTransparent":
        state.fill = "transparent";
        return;
      case "setFillColorN":
      case "setFillColor":
      case "setFillGray":
      case "setFillCMYKColor":
        state.fill = "#808080";
        return;
      case "setGState":
        return this.#setState(args[0]);
      case "save":
      case "beginGroup":
        this.#stack.push({ ...state });
        return;
      case "restore":
      case "endGroup":
      case "paintFormXObjectEnd":
      case "endAnnotation":
        this.#state = this.#stack.pop() ?? state;
        return;
      case "transform":
        state.ctm = times(state.ctm, toMatrix(args) ?? identity);
        return;
      case "paintFormXObjectBegin":
        this.#stack.push({ ...state });
        state.ctm = times(state.ctm, toMatrix(args[0]) ?? identity);
        return;
      case "beginAnnotation":
        this.#stack.push({ ...state });
        this.#state = {
          ...firstState,
          ctm: times(times(this.#base, toMatrix(args[2]) ?? identity), toMatrix(args[3]) ?? identity),
        };
        return;
      case "beginMarkedContent":
      case "beginMarkedContentProps": {
        const isHidden = args[0] === "OC" && layers !== undefined && !layers.isVisible(args[1]);
        this.#marks.push(isHidden);
        if (isHidden) this.#hiddenLayers += 1;
        return;
      }
      case "endMarkedContent":
        if (this.#marks.pop()) this.#hiddenLayers -= 1;
        return;
      case "constructPath":
        return this.#path(args);
      case "paintImageXObject":
      case "paintImageXObjectRepeat":
        return this.#image(String(args[0]), { width: number(1), height: number(2) }, {});
      case "paintImageMaskXObject":
      case "paintInlineImageXObject": {
        const image = args[0] as { data?: unknown; width?: number; height?: number } | undefined;
        const isMask = name === "paintImageMaskXObject";
        const key = typeof image?.data === "string" ? image.data : `${name}${image?.width}x${image?.height}`;
        return this.#image(
          key,
          { width: image?.width ?? 0, height: image?.height ?? 0 },
          { isMask, inline: isMask ? undefined : image },
        );
      }
    }
  }

  #move(x: number, y: number): void {
    this.#line = { x: this.#line.x + x, y: this.#line.y + y };
    this.#pen = { ...this.#line };
  }

  #setState(entries: unknown): void {
    if (!Array.isArray(entries)) return;
    for (const [key, value] of entries as [string, unknown][]) {
      if (key === "ca" && typeof value === "number") this.#state.alpha = value;
      if (key === "Font" && Array.isArray(value)) {
        this.#state.font = String(value[0]);
        this.#state.size = Number(value[1]) || 0;
      }
    }
  }

  #show(glyphs: unknown): void {
    if (!Array.isArray(glyphs) || this.#texts.length >= runsMax) return;
    const state = this.#state;
    let font = this.#fonts.get(state.font);
    if (!font) this.#fonts.set(state.font, (font = this.#findFont(state.font)));
    if (font.isVertical) this.#hasForeignText = true;
    const matrix = times(state.ctm, this.#text);
    const { texts, advance } = showGlyphs(glyphs as Glyphs, {
      ...state,
      isBold: font.isBold,
      unit: font.unit,
      matrix,
      pen: { x: this.#pen.x, y: this.#pen.y + state.rise },
    });
    this.#pen = { x: this.#pen.x + advance, y: this.#pen.y };
    if (this.#hiddenLayers > 0) return;
    const isInvisible = state.mode === 3 || state.mode === 7 || state.fill === "transparent" || state.alpha === 0;
    for (const text of texts) {
      if (text.size < sizeMin || !this.#isOnPage(text)) continue;
      const isWhite = (state.mode === 0 || state.mode === 4) && isPale(state.fill) && !this.#isOnShade(text);
      this.#texts.push({ ...text, hidden: isInvisible ? "invisible" : isWhite ? "white" : "no" });
    }
  }

  #isOnPage({ x, y }: ShownText): boolean {
    return x > -2 && y > -2 && x < this.#width + 2 && y < this.#height + 2;
  }

  /** Pale letters can be read where something darker was painted below them last. */
  #isOnShade({ x, y, size }: ShownText): boolean {
    const spot = { x: x + size * 0.1, top: y - size * 0.5, right: x + size * 0.2, bottom: y - size * 0.4 };
    return this.#shades.findLast(({ rect }) => shared(rect, spot) > 0)?.isDark ?? false;
  }

  #path(args: readonly unknown[]): void {
    const operation = Number(args[0]);
    const points = (args[1] as readonly unknown[] | undefined)?.[0];
    if (!(points instanceof Float32Array) || this.#hiddenLayers > 0) return;
    const isStroked = strokes.has(operation);
    const isFilled = fills.has(operation);
    if (!isStroked && !isFilled) return;
    for (const part of partsOf(points, this.#state.ctm)) {
      if (isFilled) this.#fill(part.rect);
      if (isStroked) this.#stroke(part);
    }
  }

  #fill(rect: Rect): void {
    const [width, height] = [rect.right - rect.x, rect.bottom - rect.top];
    if (width <= 2.6 && height >= 7) this.#rule({ isHorizontal: false, at: rect.x + width / 2, from: rect.top, to: rect.bottom });
    else if (height <= 2.6 && width >= 7) {
      this.#rule({ isHorizontal: true, at: rect.top + height / 2, from: rect.x, to: rect.right });
    } else if (this.#shades.length < shapesMax) {
      this.#shades.push({ rect, isDark: !isPale(this.#state.fill) });
      if (!isPale(this.#state.fill)) this.#draw(rect);
    }
  }

  #stroke({ rect, segments, isCurved }: PathPart): void {
    for (const segment of segments) this.#rule(segment);
    if (isCurved || segments.length === 0) this.#draw(rect);
  }

  #rule(rule: Rule): void {
    if (this.#rules.length < rulesMax && rule.to - rule.from >= 3) this.#rules.push(rule);
  }

  #draw(rect: Rect): void {
    if (this.#drawings.length < shapesMax && area(rect) < this.#width * this.#height * 0.9) this.#drawings.push(rect);
  }

  #image(
    key: string,
    size: { width: number; height: number },
    { isMask = false, inline }: { isMask?: boolean; inline?: unknown },
  ): void {
    if (this.#hiddenLayers > 0 || this.#images.length >= shapesMax) return;
    const [a, b, c, d] = this.#state.ctm;
    const rect = unitSquare(this.#state.ctm);
    this.#images.push({
      ...rect,
      key,
      pixels: Math.min(size.width, size.height),
      isMask,
      quarters: quartersOf(a, b) ?? 0,
      isMirrored: a * d - b * c > 0,
      ...(inline !== undefined && { inline }),
    });
    if (!isMask) this.#shades.push({ rect, isDark: true });
  }

  finish(): PageInk & { readonly hasForeignText: boolean } {
    const sheet = this.#width * this.#height;
    // Scanners lay the recognised text invisibly under the picture of the page: there it is the text.
    const isScan = this.#images.some((image) => area(image) > sheet * 0.4);
    const shown = this.#texts.filter(({ hidden }) => hidden === "no" || (hidden === "invisible" && isScan));
    const foreign = shown.filter(({ text }) => /[\u0590-\u08ff\ufb1d-\ufefc]/u.test(text)).length;
    const upright: Run[] = [];
    const turned: Record<1 | 2 | 3, Run[]> = { 1: [], 2: [], 3: [] };
    for (const text of shown) {
      const run = this.#turned(text);
      if (text.quarters === 0) upright.push(run);
      else turned[text.quarters].push(run);
    }
    return {
      width: this.#width,
      height: this.#height,
      runs: upright,
      turned: ([1, 2, 3] as const)
        .filter((quarters) => turned[quarters].length > 0)
        .map((quarters) => ({ quarters, runs: turned[quarters] })),
      rules: this.#rules,
      images: this.#images,
      drawings: this.#drawings,
      hasForeignText: this.#hasForeignText || foreign > shown.length * 0.1,
    };
  }

  #turned({ text, x, y, width, size, isBold, quarters }: ShownText): Run {
    const [px, py] =
      quarters === 0
        ? [x, y]
        : quarters === 1
          ? [y, this.#width - x]
          : quarters === 2
            ? [this.#width - x, this.#height - y]
            : [this.#height - y, x];
    return {
      text: tidied(text.replaceAll(/[\ufb00-\ufb06]/gu, (letters) => letters.normalize("NFKC"))),
      x: px,
      right: px + width,
      y: py,
      size,
      isBold,
    };
  }
}

/** Numbers of the operators that draw along a path, as the library has them since its first version. */
const strokes = new Set([20, 21, 24, 25, 26, 27]);
const fills = new Set([22, 23, 24, 25, 26, 27]);

function isPale(fill: string): boolean {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/iu.exec(fill);
  return found !== null && found.slice(1).every((part) => Number.parseInt(part, 16) >= 0xf4);
}

/** Where the ctm puts a picture: pictures are painted into the unit square. */
function unitSquare(ctm: Matrix): Rect {
  const corners = [apply(ctm, 0, 0), apply(ctm, 1, 0), apply(ctm, 0, 1), apply(ctm, 1, 1)];
  const xs = corners.map(([x]) => x);
  const ys = corners.map(([, y]) => y);
  return { x: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}
