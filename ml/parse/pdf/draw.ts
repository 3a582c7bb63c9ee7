/** Draws a page, or a part of it, as pixels. */
import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import { open, type Pixels } from "../picture/pixels.ts";
import { openPdf } from "./open.ts";
import type { Rect } from "./shape.ts";

/** A drawn page has at most this many pixels: four bytes each, twice for a moment. */
const drawnPixelsMax = 12_000_000;

/** Draws page `number` (from 1) `widthWanted` pixels wide, or at `dpi`; `part` in points of the page as it is shown. */
export async function drawPage(
  document: PDFDocumentProxy,
  number: number,
  { dpi, widthWanted, part }: { dpi?: number; widthWanted?: number; part?: Rect },
): Promise<Pixels> {
  const page = await document.getPage(number);
  const whole = page.getViewport({ scale: 1 });
  const [width, height] = part ? [part.right - part.x, part.bottom - part.top] : [whole.width, whole.height];
  const wanted = dpi !== undefined ? dpi / 72 : (widthWanted ?? width) / width;
  const scale = Math.min(wanted, Math.sqrt(drawnPixelsMax / Math.max(1, width * height)));
  const viewport = page.getViewport({ scale, ...(part && { offsetX: -part.x * scale, offsetY: -part.top * scale }) });
  const { createCanvas } = await import("@napi-rs/canvas");
  const [pixelsWide, pixelsHigh] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const canvas = createCanvas(pixelsWide, pixelsHigh);
  const canvasContext = canvas.getContext("2d") as never;
  await page.render({ canvas: null, canvasContext, viewport, background: "#ffffff" }).promise;
  page.cleanup();
  const data = canvas.data();
  return { data: new Uint8Array(data), width: pixelsWide, height: pixelsHigh, channels: 4 };
}

/** A page of a PDF as webp; undefined when it has no such page. */
export async function pdfPage(bytes: Uint8Array, number: number, widthMax: number): Promise<Uint8Array | undefined> {
  const { document } = await openPdf(bytes, { isDrawn: true });
  try {
    if (number < 1 || number > document.numPages) return undefined;
    const pixels = await drawPage(document, number, { widthWanted: widthMax });
    const data = await (await open(pixels)).flatten({ background: "#ffffff" }).webp({ quality: 80, effort: 2 }).toBuffer();
    return new Uint8Array(data);
  } finally {
    await document.loadingTask.destroy();
  }
}
