/** Pictures on pages: which are worth keeping, and their pixels as the library holds them. */
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";
import { open, toPixels, toWebp, type Pixels } from "../picture/pixels.ts";
import { area, type PageImage, type PageInk } from "./shape.ts";

/** Smaller pictures are bullets, rules and icons. Pixels, and points on the page. */
const pixelsMin = 64;
const pointsMin = 24;
/** A picture that covers this much of a page with text of its own is its background. */
const backgroundShare = 0.85;
const perPageMax = 20;
const waitMs = 5_000;

/** The pictures of a page that may be figures, largest first. */
export function figureImages({ images, width, height, runs }: PageInk): PageImage[] {
  const chars = runs.reduce((sum, run) => sum + run.text.length, 0);
  return images
    .filter((image) => {
      if (image.isMask || image.pixels < pixelsMin) return false;
      if (image.right - image.x < pointsMin || image.bottom - image.top < pointsMin) return false;
      return area(image) < width * height * backgroundShare || chars < 20;
    })
    .toSorted((one, other) => area(other) - area(one))
    .slice(0, perPageMax);
}

/** Share of the page that pictures cover, masks included: scanners write pages as one bit a pixel. */
export function imageShare({ images, width, height }: PageInk): number {
  const covered = images.reduce((sum, image) => sum + Math.min(area(image), width * height), 0);
  return Math.min(1, covered / Math.max(1, width * height));
}

/** A picture of the page as webp, upright; undefined when its pixels cannot be had. */
export async function encodeImage(
  page: PDFPageProxy,
  image: PageImage,
): Promise<{ bytes: Uint8Array; width: number; height: number; pixels: Pixels } | undefined> {
  const raw = image.inline ?? (await decoded(page, image.key));
  const pixels = toRaw(raw);
  if (!pixels) return undefined;
  let chain = await open(pixels);
  if (image.isMirrored) chain = await open(await toPixels(chain.flip()));
  const upright = image.quarters === 0 ? await toPixels(chain) : await toPixels(chain.rotate(image.quarters * 90));
  return { ...(await toWebp(await open(upright))), pixels: upright };
}

async function decoded(page: PDFPageProxy, key: string): Promise<unknown> {
  const store = key.startsWith("g_") ? page.commonObjs : page.objs;
  return await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), waitMs);
    try {
      store.get(key, (value: unknown) => {
        clearTimeout(timer);
        resolve(value);
      });
    } catch {
      clearTimeout(timer);
      resolve(undefined);
    }
  });
}

/** The library's kinds: 1 is one bit a pixel, 2 is red, green and blue, 3 has transparency. */
function toRaw(raw: unknown): Pixels | undefined {
  if (typeof raw !== "object" || raw === null || !("data" in raw)) return undefined;
  const { data, width, height, kind } = raw as { data: unknown; width: number; height: number; kind: number };
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray) || !(width > 0) || !(height > 0)) return undefined;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (kind === 2 && bytes.length >= width * height * 3)
    return { data: bytes.subarray(0, width * height * 3), width, height, channels: 3 };
  if (kind === 3 && bytes.length >= width * height * 4)
    return { data: bytes.subarray(0, width * height * 4), width, height, channels: 4 };
  if (kind !== 1) return undefined;
  const stride = Math.ceil(width / 8);
  if (bytes.length < stride * height) return undefined;
  const grey = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) grey[y * width + x] = (bytes[y * stride + (x >> 3)] ?? 0) & (0x80 >> (x & 7)) ? 255 : 0;
  return { data: grey, width, height, channels: 1 };
}
