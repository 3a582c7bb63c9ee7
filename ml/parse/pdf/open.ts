import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import { UnreadableError } from "../unreadable.ts";
import { pixelsMax } from "../picture/pixels.ts";

export type OpenedPdf = { readonly document: PDFDocumentProxy; readonly ops: Readonly<Record<string, number>> };

/** Opens a PDF so that nothing in it is run: no scripts, no forms, no network. `isDrawn` also prepares its fonts for drawing. */
export async function openPdf(bytes: Uint8Array, { isDrawn = false } = {}): Promise<OpenedPdf> {
  const { getDocument, OPS, VerbosityLevel } = await import("pdfjs-dist/legacy/build/pdf.mjs");
  const folder = (name: string): string => new URL(`${name}/`, import.meta.resolve("pdfjs-dist/package.json")).href;
  try {
    const document = await getDocument({
      // pdf.js detaches what it is given; a part of something larger has to be copied out.
      data: bytes.byteLength === bytes.buffer.byteLength && !Buffer.isBuffer(bytes) ? bytes : new Uint8Array(bytes),
      cMapUrl: folder("cmaps"),
      cMapPacked: true,
      standardFontDataUrl: folder("standard_fonts"),
      wasmUrl: folder("wasm"),
      useWorkerFetch: false,
      // Outlines of letters are only made when they are drawn; making them doubles the time a text takes.
      disableFontFace: isDrawn,
      useSystemFonts: false,
      enableXfa: false,
      stopAtErrors: false,
      isOffscreenCanvasSupported: false,
      isImageDecoderSupported: false,
      maxImageSize: pixelsMax,
      verbosity: VerbosityLevel.ERRORS,
    }).promise;
    return { document, ops: OPS as unknown as Readonly<Record<string, number>> };
  } catch (error) {
    const isLocked = error instanceof Error && error.name === "PasswordException";
    throw new UnreadableError(isLocked ? "encrypted" : "damaged", { cause: error });
  }
}
