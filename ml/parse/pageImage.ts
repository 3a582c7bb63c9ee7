import { sniffBinary } from "./sniff.ts";

/**
 * A page (from 1) of a document as it looks, at most `widthMax` pixels wide, as webp; undefined when its format has no pages that can be
 * drawn, or there is no such page. Fails with `UnreadableError` for damaged files.
 */
export async function pageImage(bytes: Uint8Array, page: number, widthMax: number): Promise<Uint8Array | undefined> {
  const kind = sniffBinary(bytes);
  if (kind === "pdf") {
    const { pdfPage } = await import("./pdf/draw.ts");
    return await pdfPage(bytes, page, widthMax);
  }
  if (kind === "image") {
    const { imagePage } = await import("./picture/image.ts");
    return await imagePage(bytes, page, widthMax);
  }
  return undefined;
}
