/** The one door to the image library: decoding, turning, scaling and encoding, with bounds. */
import type { Sharp, SharpOptions } from "sharp";

/** Raw pixels, rows from the top, channels interleaved. */
export type Pixels = { readonly data: Uint8Array; readonly width: number; readonly height: number; readonly channels: 1 | 3 | 4 };

/** A picture of more pixels is not decoded: it would take the memory of the whole reader. An A3 scan at 300 dpi has 17 million. */
export const pixelsMax = 50_000_000;
/** Kept pictures are no wider or higher than a screen needs. */
export const keptPixelsMax = 1_600;
const webpQuality = 78;

let library: ((input: Uint8Array | undefined, options?: SharpOptions) => Sharp) | undefined;

/** The library, told to stay small: one thread of its own, no cache. */
export async function imageLibrary(): Promise<NonNullable<typeof library>> {
  if (!library) {
    const { default: sharp } = await import("sharp");
    sharp.concurrency(1);
    sharp.cache(false);
    library = sharp;
  }
  return library;
}

/** Whether the library was built with what HEIC photographs are encoded in; a licence keeps that out of most builds. */
export async function decodesHeic(): Promise<boolean> {
  await imageLibrary();
  const { default: sharp } = await import("sharp");
  // The library's types leave the names of files out.
  const { fileSuffix = [] } = sharp.format.heif.input as { fileSuffix?: readonly string[] };
  return fileSuffix.includes(".heic");
}

/** Encoded or raw pixels, as the library takes them. Fails when they are more than `pixelsMax`. */
export async function open(image: Uint8Array | Pixels, options: { page?: number; pages?: number } = {}): Promise<Sharp> {
  const sharp = await imageLibrary();
  if (image instanceof Uint8Array)
    return sharp(image, { limitInputPixels: pixelsMax, failOn: "error", sequentialRead: true, ...options });
  const { data, width, height, channels } = image;
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: pixelsMax });
}

/** Raw 8-bit pixels of whatever the chain holds. */
export async function toPixels(chain: Sharp): Promise<Pixels> {
  const { data, info } = await chain.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels as 1 | 3 | 4 };
}

/** As webp, no larger than `sideMax`; tells its size. */
export async function toWebp(
  chain: Sharp,
  sideMax = keptPixelsMax,
): Promise<{ bytes: Uint8Array; width: number; height: number }> {
  const { data, info } = await chain
    .resize({ width: sideMax, height: sideMax, fit: "inside", withoutEnlargement: true })
    .webp({ quality: webpQuality, effort: 2 })
    .toBuffer({ resolveWithObject: true });
  return { bytes: new Uint8Array(data), width: info.width, height: info.height };
}
