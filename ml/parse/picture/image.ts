/** A picture as a document: kept upright, read, each page of it when it has several. */
import type { Block, Facts, ParsedDocument, Picture } from "../block.ts";
import { isHeic } from "../sniff.ts";
import { UnreadableError } from "../unreadable.ts";
import { codesIn } from "./codes.ts";
import { exifDate } from "./exif.ts";
import { decodesHeic, open, pixelsMax, toPixels } from "./pixels.ts";
import type { Eyes } from "./recognise.ts";
import { recognisedBlocks, recognisedText } from "./recognisedBlocks.ts";
import { scan } from "./scan.ts";

/** Pages of a tiff; a fax has fewer. */
const pagesMax = 200;
/** More is not read better, and a camera's fifty megapixels would take the memory of the whole reader. */
const sideMax = 3_400;

export type ParsedImage = Pick<ParsedDocument, "facts" | "pictures" | "recognised" | "elements"> & {
  readonly blocks: Block[];
  readonly pages?: number;
};

/** Fails with `UnreadableError`: `damaged`, `unknownType` or `photo` when the library cannot decode it, `bomb` for too many pixels. */
export async function imageBlocks(bytes: Uint8Array, eyes: Eyes = {}): Promise<ParsedImage> {
  const about = await describe(bytes);
  const blocks: Block[] = [];
  const pictures: Picture[] = [];
  const confidences: number[] = [];
  const elements: NonNullable<ParsedDocument["elements"]>[number][] = [];
  const pages = Math.min(about.pages, pagesMax);
  for (let page = 0; page < pages; page += 1) {
    const number = pages > 1 ? page + 1 : undefined;
    const one = await readOne(bytes, page, eyes).catch((error: unknown) => {
      // One broken page does not take the others with it.
      if (pages === 1) throw toUnreadable(error);
      return undefined;
    });
    if (!one) continue;
    const { found, kept, pixels } = one;
    const text = found && recognisedText(found);
    const place = { ...(number !== undefined && { page: number }), box: { left: 0, top: 0, width: 1, height: 1 } };
    blocks.push({ type: "figure", picture: pictures.length, place });
    if (found) {
      blocks.push(...(await recognisedBlocks(found, number)));
      if (found.lines.length > 0 || found.markdown !== undefined) confidences.push(found.confidence);
    }
    for (const element of await codesIn(pixels)) elements.push({ ...element, ...(number !== undefined && { page: number }) });
    pictures.push({
      type: "image",
      ...kept,
      mediaType: "image/webp",
      ...(number !== undefined && { page: number }),
      ...(text && { text, confidence: found.confidence }),
    });
  }
  if (pictures.length === 0) throw new UnreadableError("damaged");
  const confidence = Math.round(confidences.reduce((sum, value) => sum + value, 0) / Math.max(1, confidences.length));
  return {
    blocks,
    pictures,
    ...(pages > 1 && { pages }),
    ...(about.facts && { facts: about.facts }),
    ...(elements.length > 0 && { elements }),
    ...(confidences.length > 0 && { recognised: { pages: confidences.length, confidence } }),
  };
}

/** A page of a picture as it looks, upright, at most `widthMax` wide, as webp; undefined when there is no such page. */
export async function imagePage(bytes: Uint8Array, page: number, widthMax: number): Promise<Uint8Array | undefined> {
  const { pages } = await describe(bytes);
  if (page < 1 || page > pages) return undefined;
  const chain = await open(bytes, { page: page - 1, pages: 1 });
  const data = await chain
    .rotate()
    .resize({ width: widthMax, withoutEnlargement: true })
    .webp({ quality: 80, effort: 2 })
    .toBuffer();
  return new Uint8Array(data);
}

async function describe(bytes: Uint8Array): Promise<{ pages: number; facts?: Facts }> {
  if (isHeic(bytes) && !(await decodesHeic())) throw new UnreadableError("photo");
  try {
    const { width, height, pages, format, exif } = await (await open(bytes)).metadata();
    if (width * height > pixelsMax) throw new UnreadableError("bomb");
    const writtenAt = exif && exifDate(exif);
    // Frames of an animation are not pages: the first stands for all.
    const count = format === "tiff" || format === "heif" ? (pages ?? 1) : 1;
    return { pages: count, ...(writtenAt !== undefined && { facts: { writtenAt } }) };
  } catch (error) {
    throw toUnreadable(error);
  }
}

async function readOne(bytes: Uint8Array, page: number, { recognise }: Eyes): ReturnType<typeof scan> {
  const chain = (await open(bytes, { page, pages: 1 })).rotate().flatten({ background: "#ffffff" }).removeAlpha();
  const pixels = await toPixels(chain.resize({ width: sideMax, height: sideMax, fit: "inside", withoutEnlargement: true }));
  return await scan(pixels, { recognise, type: "page" });
}

function toUnreadable(error: unknown): unknown {
  if (error instanceof UnreadableError || !(error instanceof Error)) return error;
  if (/pixel limit|too large/iu.test(error.message)) return new UnreadableError("bomb", { cause: error });
  if (/unsupported (?:image )?(?:format|codec)|no decoding plugin|compression format has not been built/iu.test(error.message))
    return new UnreadableError("unknownType", { cause: error });
  if (/^(?:Input |Vips|heif|jpeg|png|webp|tiff|gif|pngload|.*load.*:)/iu.test(error.message))
    return new UnreadableError("damaged", { cause: error });
  return error;
}
