import type { Block, Picture } from "./block.ts";
import { keptPixelsMax, open, toWebp } from "./picture/pixels.ts";

/** Pictures kept of one document, and their bytes together: enough for a thick manual, bounded for a made-up one. */
const picturesMax = 200;
const bytesMax = 48 * 1024 * 1024;
/** A smaller one is a bullet, a rule or a logo's corner. */
const sideMin = 24;
/** A larger one is encoded anew. */
const keptBytesMax = 512 * 1024;

type Size = { readonly mediaType: Picture["mediaType"]; readonly width: number; readonly height: number };

/** Gathers the pictures of a document: each kept once, however often it is shown, in a form a browser can show. */
export class PictureKeeper {
  readonly pictures: Picture[] = [];
  readonly #known = new Map<string, number>();
  #bytes = 0;

  /** To be put into a parsed document: nothing when nothing was kept. */
  get kept(): { pictures?: readonly Picture[] } {
    return this.pictures.length === 0 ? {} : { pictures: this.pictures };
  }

  /** Its index among `pictures`, or undefined when it is not kept. `key` says which it is within the document. */
  async add(
    bytes: Uint8Array,
    { key, page, caption }: { key: string; page?: number | undefined; caption?: string | undefined },
  ): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.pictures.length >= picturesMax || this.#bytes > bytesMax) return undefined;
    const kept = await toKept(bytes);
    if (!kept || Math.min(kept.width, kept.height) < sideMin || this.#bytes + kept.bytes.length > bytesMax) return undefined;
    this.#bytes += kept.bytes.length;
    const index = this.pictures.length;
    this.#known.set(key, index);
    this.pictures.push({
      type: "figure",
      ...kept,
      ...(page !== undefined && { page }),
      ...(caption !== undefined && caption !== "" && { caption }),
    });
    return index;
  }
}

type Kept = Pick<Picture, "bytes" | "mediaType" | "width" | "height">;

/** As it is when a browser shows it well and it is small; else made smaller, or into something that a browser shows. */
async function toKept(bytes: Uint8Array): Promise<Kept | undefined> {
  const size = sizeOf(bytes);
  const isSmall = size && Math.max(size.width, size.height) <= keptPixelsMax && bytes.length <= keptBytesMax;
  // A copy of its own: a view would carry the whole file along.
  if (isSmall) return { ...size, bytes: new Uint8Array(bytes) };
  if (!size && !isConvertible(bytes)) return undefined;
  try {
    return { ...(await toWebp((await open(bytes)).rotate())), mediaType: "image/webp" };
  } catch {
    // Broken, or of more pixels than are decoded: the document is worth reading without it.
    return undefined;
  }
}

/** gif and tiff. Metafiles and bitmaps of Windows are not read by the library. */
function isConvertible(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 4)).toString("latin1");
  return head === "GIF8" || head === "II*\0" || head === "MM\0*";
}

/** Blocks whose figures still name their picture by an id of the source. */
export type SourceBlock = Block | (Extract<Block, { type: "figure" }> & { readonly source: string });

/** Figures with the number of their picture in place of its id; those without picture and words are dropped. */
export async function withPictures(
  blocks: readonly SourceBlock[],
  keep: (source: string, caption: string | undefined) => Promise<number | undefined>,
): Promise<Block[]> {
  const done: Block[] = [];
  for (const block of blocks) {
    if (block.type !== "figure" || !("source" in block)) {
      done.push(block);
      continue;
    }
    const { source, ...figure } = block;
    const picture = await keep(source, figure.caption);
    if (picture !== undefined) done.push({ ...figure, picture });
    else if (figure.caption !== undefined && figure.caption !== "") done.push(figure);
  }
  return done;
}

/** What an image says of its own size, from its first bytes; undefined when it is none of those a browser shows well. */
export function sizeOf(bytes: Uint8Array): Size | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24 && view.getUint32(0) === 0x89504e47)
    return { mediaType: "image/png", width: view.getUint32(16), height: view.getUint32(20) };
  if (bytes.length >= 4 && view.getUint16(0) === 0xffd8) return jpegSize(view);
  if (bytes.length >= 30 && view.getUint32(0) === 0x52494646 && view.getUint32(8) === 0x57454250) return webpSize(view);
  return undefined;
}

function jpegSize(view: DataView): Size | undefined {
  for (let at = 2; at + 9 < view.byteLength;) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { mediaType: "image/jpeg", height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return undefined;
}

function webpSize(view: DataView): Size | undefined {
  const chunk = view.getUint32(12);
  const mediaType = "image/webp";
  if (chunk === 0x56503858) {
    const three = (at: number): number => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1;
    return { mediaType, width: three(24), height: three(27) };
  }
  if (chunk === 0x56503820)
    return { mediaType, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (chunk !== 0x5650384c) return undefined;
  const bits = view.getUint32(21, true);
  return { mediaType, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}
