import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import type { Block } from "./block.ts";
import { UnreadableError } from "./unreadable.ts";
import { tidied } from "./decode.ts";
import { pdfLayout, type PageItem } from "./pdfLayout.ts";

/** A book has fewer; the time limit of the reading thread would end longer ones half-way. */
const pagesMax = 3_000;
/** Text runs of one page; a page that has more is a drawing made of letters. */
const itemsPerPageMax = 30_000;

/** The text of a PDF in reading order, with pages. Nothing in the file is run: no scripts, no forms, no fonts, no network. */
export async function pdfBlocks(bytes: Uint8Array): Promise<{ blocks: Block[]; title?: string; pages: number }> {
  const document = await open(bytes);
  try {
    if (document.numPages > pagesMax) throw new UnreadableError("tooLarge");
    const pages: PageItem[][] = [];
    let failed: unknown;
    for (let page = 1; page <= document.numPages; page += 1) {
      try {
        pages.push(await pageItems(document, page));
      } catch (error) {
        // One broken page does not take the others with it.
        failed = error;
        pages.push([]);
      }
    }
    if (failed !== undefined && pages.every((items) => items.length === 0))
      throw new UnreadableError("damaged", { cause: failed });
    const blocks = pdfLayout(pages);
    return { blocks, pages: document.numPages, ...(await titleOf(document, blocks)) };
  } finally {
    await document.loadingTask.destroy();
  }
}

async function open(bytes: Uint8Array): Promise<PDFDocumentProxy> {
  const { getDocument, VerbosityLevel } = await import("pdfjs-dist/legacy/build/pdf.mjs");
  const folder = (name: string): string => new URL(`${name}/`, import.meta.resolve("pdfjs-dist/package.json")).href;
  try {
    return await getDocument({
      // pdf.js detaches what it is given; a part of something larger has to be copied out.
      data: bytes.byteLength === bytes.buffer.byteLength && !Buffer.isBuffer(bytes) ? bytes : new Uint8Array(bytes),
      cMapUrl: folder("cmaps"),
      cMapPacked: true,
      useWorkerFetch: false,
      disableFontFace: true,
      useSystemFonts: false,
      enableXfa: false,
      stopAtErrors: false,
      isOffscreenCanvasSupported: false,
      isImageDecoderSupported: false,
      maxImageSize: 1024,
      verbosity: VerbosityLevel.ERRORS,
    }).promise;
  } catch (error) {
    const isLocked = error instanceof Error && error.name === "PasswordException";
    throw new UnreadableError(isLocked ? "encrypted" : "damaged", { cause: error });
  }
}

async function pageItems(document: PDFDocumentProxy, number: number): Promise<PageItem[]> {
  const page = await document.getPage(number);
  const [left = 0, bottom = 0, right = 0, top = 0] = page.view;
  const { items } = await page.getTextContent({ includeMarkedContent: false });
  page.cleanup();
  const found: PageItem[] = [];
  for (const item of items) {
    if (!("str" in item) || item.str === "") continue;
    const [a = 0, b = 0, c = 0, d = 0, x = 0, y = 0] = item.transform as number[];
    // Only upright text: stamps and axis labels turned on their side belong to no line.
    if (Math.abs(b) > Math.abs(a) || Math.abs(c) > Math.abs(d)) continue;
    const size = Math.hypot(c, d) || item.height || 10;
    found.push({
      text: tidied(item.str),
      x: x - left,
      y: top - y,
      width: item.width,
      size,
      pageHeight: top - bottom,
      pageWidth: right - left,
    });
    if (found.length >= itemsPerPageMax) break;
  }
  return found;
}

/** What the file says it is called, unless that is a file name or a program's leftover; else its largest early heading. */
async function titleOf(document: PDFDocumentProxy, blocks: readonly Block[]): Promise<{ title?: string }> {
  const metadata = await document.getMetadata().catch(() => undefined);
  const info: unknown = metadata?.info;
  const said = typeof info === "object" && info !== null && "Title" in info ? info.Title : undefined;
  if (
    typeof said === "string" &&
    said.trim().length > 2 &&
    !/\.(?:docx?|pdf|indd|tex|xlsx?|pptx?)$|^(?:untitled|microsoft word)/iu.test(said.trim())
  ) {
    return { title: tidied(said) };
  }
  const heading = blocks.slice(0, 5).find((block) => block.type === "heading");
  return heading?.type === "heading" ? { title: heading.text } : {};
}
