/** A PDF as blocks: its text with places, its figures, and the text of its scanned pages. */
import { createHash } from "node:crypto";
import type { PDFPageProxy, PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import type { Block, Facts, ParsedDocument, Picture } from "../block.ts";
import { tidied } from "../decode.ts";
import type { Element } from "../../../convex/model/document.ts";
import { codesIn } from "../picture/codes.ts";
import type { Eyes } from "../picture/recognise.ts";
import { recognisedBlocks, recognisedText } from "../picture/recognisedBlocks.ts";
import { scan } from "../picture/scan.ts";
import { open, toWebp, type Pixels } from "../picture/pixels.ts";
import { UnreadableError } from "../unreadable.ts";
import { drawPage } from "./draw.ts";
import { foreignRuns } from "./foreign.ts";
import { encodeImage, figureImages, imageShare } from "./images.ts";
import { readInk, type Layers, type PdfOps } from "./ink.ts";
import { layoutPages, type DrawnFigure, type PageContent } from "./layout.ts";
import { openPdf } from "./open.ts";
import { area, toBox, type PageInk, type Rect } from "./shape.ts";
import { isGarbage, wordShare } from "./textQuality.ts";

/** A book has fewer; the time limit of the reading process would end longer ones half-way. */
const pagesMax = 3_000;
/** Pages recognised in one document, at some seconds each. */
const recognisedPagesMax = 500;
const picturesMax = 200;
/** Figures of a document whose own text is read, and drawn ones. */
const figuresReadMax = 24;
const figuresDrawnMax = 24;
/** Pictures and scanned pages that are searched for codes. */
const codePicturesMax = 40;
/** A page with less text than this, more than this covered by pictures, is a scan. */
const scanChars = 20;
const scanShare = 0.4;
const scanDpi = 200;
/** Small print gets a second look at this. */
const finerDpi = 300;
/** Recognised text takes the place of a page's own when this share of it looks like words. */
const readableShare = 0.6;

export type ParsedPdf = {
  readonly blocks: Block[];
  readonly pages: number;
  readonly title?: string;
  readonly facts?: Facts;
  readonly pictures?: readonly Picture[];
  readonly recognised?: NonNullable<ParsedDocument["recognised"]>;
  readonly elements?: readonly Element[];
};

/** Nothing in the file is run. Fails with `UnreadableError`: `encrypted`, `damaged`, `tooLarge`. `bytes` may be detached. */
export async function pdfBlocks(bytes: Uint8Array, eyes: Eyes = {}): Promise<ParsedPdf> {
  const { document, ops } = await openPdf(bytes);
  try {
    if (document.numPages > pagesMax) throw new UnreadableError("tooLarge");
    return await new PdfReading(document, ops, eyes).read();
  } finally {
    await document.loadingTask.destroy();
  }
}

type Candidate = { readonly page: number; readonly rect: Rect; readonly hash: string; readonly picture: Picture };

class PdfReading {
  readonly #document: PDFDocumentProxy;
  readonly #ops: PdfOps;
  readonly #eyes: Eyes;
  readonly #pages: (PageInk | undefined)[] = [];
  readonly #candidates: Candidate[] = [];
  readonly #scanned = new Map<number, Block[]>();
  readonly #pictures: Picture[] = [];
  readonly #confidences: number[] = [];
  readonly #elements: Element[] = [];
  #searched = 0;
  #forDrawing: PDFDocumentProxy | undefined;

  constructor(document: PDFDocumentProxy, ops: PdfOps, eyes: Eyes) {
    this.#document = document;
    this.#ops = ops;
    this.#eyes = eyes;
  }

  async read(): Promise<ParsedPdf> {
    try {
      await this.#readPages();
      const { contents, figures } = this.#contents();
      const layout = layoutPages(contents);
      await this.#drawFigures(layout.blocks, layout.drawn);
      const captioned = this.#captionFigures(layout.blocks, figures);
      const blocks = await this.#readFigures(this.#withScans(captioned));
      const metadata = await this.#metadata();
      const title = titleOf(metadata, blocks);
      const facts = factsOf(metadata);
      return {
        blocks,
        pages: this.#document.numPages,
        ...(title !== undefined && { title }),
        ...(facts && { facts }),
        ...(this.#elements.length > 0 && { elements: this.#elements }),
        ...(this.#pictures.length > 0 && { pictures: this.#pictures }),
        ...(this.#confidences.length > 0 && {
          recognised: { pages: this.#confidences.length, confidence: mean(this.#confidences) },
        }),
      };
    } finally {
      await this.#forDrawing?.loadingTask.destroy();
    }
  }

  async #readPages(): Promise<void> {
    const layers = (await this.#document.getOptionalContentConfig().catch(() => undefined)) as Layers | undefined;
    let failed: unknown;
    for (let number = 1; number <= this.#document.numPages; number += 1) {
      try {
        this.#pages.push(await this.#readPage(number, layers));
      } catch (error) {
        // One broken page does not take the others with it.
        failed = error;
        this.#pages.push(undefined);
      }
    }
    const hasAny = this.#pages.some((ink) => ink && (ink.runs.length > 0 || ink.images.length > 0)) || this.#scanned.size > 0;
    if (failed !== undefined && !hasAny) throw new UnreadableError("damaged", { cause: failed });
  }

  async #readPage(number: number, layers: Layers | undefined): Promise<PageInk> {
    const page = await this.#document.getPage(number);
    try {
      let ink: PageInk & { hasForeignText?: boolean } = await readInk(page, this.#ops, layers);
      if (ink.hasForeignText) ink = { ...ink, ...(await foreignRuns(page)) };
      const isScanned = await this.#scanPage(number, ink);
      if (!isScanned && this.#eyes.keepsPictures !== false) await this.#collectFigures(page, number, ink);
      return ink;
    } finally {
      page.cleanup();
    }
  }

  /** Recognises the page when it is a scan, or its text is not to be believed and what can be seen is better. */
  async #scanPage(number: number, ink: PageInk): Promise<boolean> {
    const { recognise } = this.#eyes;
    if (!recognise || this.#scanned.size >= recognisedPagesMax) return false;
    const text = [...ink.runs, ...ink.turned.flatMap(({ runs }) => runs)].map((run) => run.text).join(" ");
    const isBare = text.replaceAll(/\s/gu, "").length < scanChars && imageShare(ink) > scanShare;
    const isBroken = !isBare && isGarbage(text);
    if (!isBare && !isBroken) return false;
    const source = isBroken ? await this.#drawable() : this.#document;
    const pixels = await drawPage(source, number, { dpi: scanDpi });
    const finer = async (): Promise<Pixels> => await drawPage(source, number, { dpi: finerDpi });
    const { found, kept, pixels: upright } = await scan(pixels, { recognise, type: "page", finer });
    await this.#findCodes(upright, number);
    if (!found) return false;
    const read = recognisedText(found);
    if (isBroken && wordShare(read) < Math.max(readableShare, wordShare(text))) return false;
    this.#scanned.set(number, await recognisedBlocks(found, number));
    this.#confidences.push(found.confidence);
    if (this.#eyes.keepsPictures !== false && this.#pictures.length < picturesMax)
      this.#pictures.push({
        type: "page",
        ...kept,
        mediaType: "image/webp",
        page: number,
        text: read,
        confidence: found.confidence,
      });
    return true;
  }

  /** Codes are read once each, on the page they are first seen on. */
  async #findCodes(pixels: Pixels, page: number): Promise<void> {
    this.#searched += 1;
    if (this.#searched > codePicturesMax) return;
    for (const code of await codesIn(pixels))
      if (this.#elements.every(({ value }) => value !== code.value)) this.#elements.push({ ...code, page });
  }

  /** The document with its fonts prepared for drawing. */
  async #drawable(): Promise<PDFDocumentProxy> {
    this.#forDrawing ??= (await openPdf(await this.#document.getData(), { isDrawn: true })).document;
    return this.#forDrawing;
  }

  async #collectFigures(page: PDFPageProxy, number: number, ink: PageInk): Promise<void> {
    for (const image of figureImages(ink)) {
      if (this.#candidates.length >= picturesMax * 2) return;
      const encoded = await encodeImage(page, image).catch(() => undefined);
      if (!encoded) continue;
      const { bytes, width, height, pixels } = encoded;
      await this.#findCodes(pixels, number);
      const rect = { x: image.x, top: image.top, right: image.right, bottom: image.bottom };
      const hash = createHash("sha256").update(bytes).digest("base64");
      const picture: Picture = {
        type: "figure",
        bytes,
        mediaType: "image/webp",
        width,
        height,
        page: number,
        box: toBox(rect, ink),
      };
      this.#candidates.push({ page: number, rect, hash, picture });
    }
  }

  /** Pages for the layout, with the pictures that are kept; those that come back on most pages are letterheads and logos. */
  #contents(): { contents: (PageContent | undefined)[]; figures: Map<number, Candidate> } {
    const pagesOf = new Map<string, Set<number>>();
    for (const { hash, page } of this.#candidates) pagesOf.set(hash, (pagesOf.get(hash) ?? new Set()).add(page));
    const many = Math.max(3, this.#pages.length / 2);
    const figures = new Map<number, Candidate>();
    const seen = new Set<string>();
    for (const candidate of this.#candidates) {
      if ((pagesOf.get(candidate.hash)?.size ?? 0) >= many || this.#pictures.length >= picturesMax) continue;
      // Shown twice, kept once.
      if (seen.has(candidate.hash)) continue;
      seen.add(candidate.hash);
      figures.set(this.#pictures.length, candidate);
      this.#pictures.push(candidate.picture);
    }
    const contents = this.#pages.map((ink, at) => {
      if (!ink || this.#scanned.has(at + 1)) return undefined;
      const own = [...figures].filter(([, { page }]) => page === at + 1).map(([picture, { rect }]) => ({ picture, rect }));
      return { ink, figures: own };
    });
    return { contents, figures };
  }

  async #drawFigures(blocks: Block[], drawn: readonly DrawnFigure[]): Promise<void> {
    if (this.#eyes.keepsPictures === false) return;
    for (const { page, rect, block } of drawn.slice(0, figuresDrawnMax)) {
      const figure = blocks[block];
      const ink = this.#pages[page - 1];
      if (figure?.type !== "figure" || !ink || this.#pictures.length >= picturesMax) continue;
      const part = { x: Math.max(0, rect.x - 6), top: Math.max(0, rect.top - 6), right: rect.right + 6, bottom: rect.bottom + 6 };
      if (area(part) <= 0) continue;
      const pixels = await drawPage(await this.#drawable(), page, { dpi: 144, part }).catch(() => undefined);
      if (!pixels) continue;
      const kept = await toWebp((await open(pixels)).flatten({ background: "#ffffff" }));
      blocks[block] = { ...figure, picture: this.#pictures.length };
      const box = toBox(part, ink);
      this.#pictures.push({ type: "figure", ...kept, mediaType: "image/webp", page, box, ...textsOf(figure) });
    }
  }

  /** What the layout found out about the pictures goes to the pictures. */
  #captionFigures(blocks: readonly Block[], figures: ReadonlyMap<number, Candidate>): Block[] {
    for (const block of blocks) {
      if (block.type !== "figure" || block.picture === undefined || !figures.has(block.picture)) continue;
      const picture = this.#pictures[block.picture];
      if (picture) this.#pictures[block.picture] = { ...picture, ...textsOf(block) };
    }
    return [...blocks];
  }

  #withScans(blocks: readonly Block[]): Block[] {
    if (this.#scanned.size === 0) return [...blocks];
    const byPage = Map.groupBy(blocks, (block) => block.place.page ?? 0);
    return this.#pages.flatMap((_, at) => this.#scanned.get(at + 1) ?? byPage.get(at + 1) ?? []);
  }

  /** Reads what is written in figures that have no text of their own. */
  async #readFigures(blocks: Block[]): Promise<Block[]> {
    const { recognise } = this.#eyes;
    if (!recognise) return blocks;
    let left = figuresReadMax;
    for (const [at, block] of blocks.entries()) {
      if (block.type !== "figure" || block.picture === undefined || block.text !== undefined || left === 0) continue;
      const picture = this.#pictures[block.picture];
      if (!picture || picture.width < 120 || picture.height < 48) continue;
      left -= 1;
      const { found } = await scan(picture.bytes, { recognise, type: "figure" });
      const text = found && recognisedText(found);
      if (!found || !text || !/[\p{L}\p{N}]{2}/u.test(text) || found.confidence < 40) continue;
      blocks[at] = { ...block, text };
      this.#pictures[block.picture] = { ...picture, text, confidence: found.confidence };
    }
    return blocks;
  }

  async #metadata(): Promise<Readonly<Record<string, unknown>>> {
    const metadata = await this.#document.getMetadata().catch(() => undefined);
    const info: unknown = metadata?.info;
    return typeof info === "object" && info !== null ? (info as Record<string, unknown>) : {};
  }
}

function textsOf({ caption, text }: { caption?: string; text?: string }): { caption?: string; text?: string } {
  return { ...(caption !== undefined && { caption }), ...(text !== undefined && { text }) };
}

function mean(values: readonly number[]): number {
  return Math.round(values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length));
}

/** What the file says it is called, unless that is a file name or a program's leftover; else its largest early heading. */
function titleOf(info: Readonly<Record<string, unknown>>, blocks: readonly Block[]): string | undefined {
  const said = info["Title"];
  if (
    typeof said === "string" &&
    said.trim().length > 2 &&
    !/\.(?:docx?|pdf|indd|tex|xlsx?|pptx?)$|^(?:untitled|microsoft word)/iu.test(said.trim())
  ) {
    return tidied(said);
  }
  const headings = blocks.slice(0, 6).filter((block) => block.type === "heading");
  return headings.toSorted((one, other) => one.level - other.level)[0]?.text;
}

function factsOf(info: Readonly<Record<string, unknown>>): Facts | undefined {
  const author = typeof info["Author"] === "string" ? tidied(info["Author"]).replaceAll(/\s+/gu, " ").trim().slice(0, 200) : "";
  const writtenAt = pdfDate(info["CreationDate"]) ?? pdfDate(info["ModDate"]);
  if (author === "" && writtenAt === undefined) return undefined;
  return { ...(author !== "" && { author }), ...(writtenAt !== undefined && { writtenAt }) };
}

/** "D:20240603093000+02'00'" as milliseconds since 1970; parts from the month on may be missing. */
export function pdfDate(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  const found = /^(?:D:)?(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:([+-])(\d{2})'?(\d{2})?'?|Z)?/u.exec(value.trim());
  if (!found) return undefined;
  const [, year, month = "1", day = "1", hour = "0", minute = "0", second = "0", sign, offsetHours = "0", offsetMinutes = "0"] =
    found;
  if (Number(year) < 1970 || Number(month) > 12 || Number(day) > 31) return undefined;
  const at = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000;
  return sign === "-" ? at + offset : sign === "+" ? at - offset : at;
}
