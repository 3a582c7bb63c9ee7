/** Reading a picture of text: set upright, made even, recognised, and its places told in the picture as it is kept. */
import type { Box } from "../../../convex/model/place.ts";
import { open, toPixels, toWebp, type Pixels } from "./pixels.ts";
import type { Recognise, Recognised, RecognisedLine } from "./recognise.ts";
import { findSkew } from "./skew.ts";

/** Recognisers need letters of some 20 to 30 pixels; small pictures are enlarged up to this. */
const sideWanted = 2_000;
const sideMax = 3_400;
const skewSide = 900;
/** Below this mean confidence the page may stand on its head or its side, and other ways are tried. */
const doubtful = 62;
const wordsEnough = 3;
/** Words lower than this in what was recognised (7 points at 200 dpi) are read better enlarged, or drawn finer where that can be had. */
const glyphsSmall = 15;
const glyphsWanted = 26;
const closerSideMax = 4_800;
/** Who is this sure has read it. */
const sureEnough = 94;

export type ScannedPicture = {
  /** As it is kept: upright, straight. */
  readonly kept: { readonly bytes: Uint8Array; readonly width: number; readonly height: number };
  /** What was read, with boxes as fractions of the picture as it was given (its own orientation mark applied). */
  readonly found?: Recognised;
  readonly pixels: Pixels;
};

/** A turn that was made: clockwise degrees, and the size before it. */
type Turn = { readonly degrees: number; readonly width: number; readonly height: number };
type View = { readonly pixels: Pixels; readonly turns: readonly Turn[] };

type ScanOptions = {
  readonly recognise: Recognise | undefined;
  readonly type: "page" | "figure";
  /** The same picture with more pixels, if it can be had: for small print. */
  readonly finer?: (() => Promise<Pixels>) | undefined;
};

/**
 * Reads a picture with `recognise`: straightened, tried upside down and lying when it makes little sense as it stands, and looked at
 * a second time, closer, when its print is small.
 */
export async function scan(image: Uint8Array | Pixels, { recognise, type, finer }: ScanOptions): Promise<ScannedPicture> {
  const given: View = { pixels: await plain(image), turns: [] };
  if (!recognise) return { kept: await toWebp(await open(given.pixels)), pixels: given.pixels };
  const straight = type === "page" ? await straightened(given) : given;
  let best = { view: straight, found: await recogniseOne(straight.pixels, recognise, { type }) };
  if (type === "page" && isDoubtful(best.found)) {
    for (const degrees of [180, 90, 270]) {
      const turned = await turnedBy(straight, degrees);
      // Lying pages lean as well, and only show it once they stand.
      const view = degrees === 180 ? turned : await straightened(turned);
      const found = await recogniseOne(view.pixels, recognise, { type });
      if (worth(found) > worth(best.found) * 1.15) best = { view, found };
      if (!isDoubtful(best.found)) break;
    }
  }
  const kept = await toWebp(await open(best.view.pixels));
  const found = type === "page" && best.found ? await closer(best.view, best.found, { recognise, finer }) : best.found;
  return { kept, pixels: given.pixels, ...(found && { found: turnedBack(found, best.view.turns) }) };
}

async function plain(image: Uint8Array | Pixels): Promise<Pixels> {
  return await toPixels((await open(image)).rotate().flatten({ background: "#ffffff" }).removeAlpha());
}

/** What a second look at small print finds, if that is more. Its places are shares of the same page, so they hold as they are. */
async function closer(
  view: View,
  found: Recognised,
  { recognise, finer }: { recognise: Recognise; finer: ScanOptions["finer"] },
): Promise<Recognised> {
  const height = wordHeight(found);
  const { width, height: rows } = view.pixels;
  if (height === undefined || found.confidence >= sureEnough || height * rows * scaleOf(view.pixels, "page") >= glyphsSmall)
    return found;
  let pixels = view.pixels;
  if (finer) {
    let fine: View = { pixels: await plain(await finer()), turns: [] };
    for (const { degrees } of view.turns) fine = await turnedBy(fine, degrees);
    pixels = fine.pixels;
  }
  const most = closerSideMax / Math.max(pixels.width, pixels.height);
  const scale = Math.min(3, most, glyphsWanted / (height * pixels.height));
  // Nothing would be seen that was not before.
  if (pixels.width * scale < width * scaleOf(view.pixels, "page") * 1.15) return found;
  const again = await recogniseOne(pixels, recognise, { type: "page", scale });
  return again && worth(again) > worth(found) ? again : found;
}

/** Of the middle one, as a share of the page; undefined when there are too few to tell, or a model read it without places. */
function wordHeight({ lines, markdown }: Recognised): number | undefined {
  const heights = lines.flatMap(({ words }) =>
    words.filter(({ text }) => /[\p{L}\d]{2}/u.test(text)).map(({ box }) => box.height),
  );
  if (markdown !== undefined || heights.length < wordsEnough) return undefined;
  return heights.sort((one, other) => one - other)[heights.length >> 1];
}

async function turnedBy({ pixels, turns }: View, degrees: number): Promise<View> {
  if (degrees === 0) return { pixels, turns };
  const turned = await toPixels((await open(pixels)).rotate(degrees, { background: "#ffffff" }));
  return { pixels: turned, turns: [...turns, { degrees, width: pixels.width, height: pixels.height }] };
}

async function straightened(view: View): Promise<View> {
  const chain = await open(view.pixels);
  const small = chain.greyscale().resize({ width: skewSide, height: skewSide, fit: "inside", withoutEnlargement: true });
  return await turnedBy(view, findSkew(await toPixels(small.toColourspace("b-w"))));
}

/** By how much a picture is enlarged for the first look. */
function scaleOf({ width, height }: Pixels, type: "page" | "figure"): number {
  const long = Math.max(width, height);
  return Math.min(long < sideWanted && type === "page" ? Math.min(3, sideWanted / long) : long < 800 ? 2 : 1, sideMax / long);
}

async function recogniseOne(
  pixels: Pixels,
  recognise: Recognise,
  { type, scale = scaleOf(pixels, type) }: { type: "page" | "figure"; scale?: number },
): Promise<Recognised | undefined> {
  const { data, info } = await (
    await open(pixels)
  )
    .greyscale()
    .resize({ width: Math.round(pixels.width * scale), kernel: "cubic" })
    // From the darkest to the paper: a share cut off at the dark end would be the grain of a page with little on it.
    .normalise({ lower: 0, upper: 90 })
    .toColourspace("b-w")
    .png({ compressionLevel: 1 })
    .toBuffer({ resolveWithObject: true });
  return await recognise({ bytes: new Uint8Array(data), mediaType: "image/png", width: info.width, height: info.height, type });
}

function isDoubtful(found: Recognised | undefined): boolean {
  if (!found || found.markdown !== undefined) return false;
  return found.confidence < doubtful || wordCount(found) < wordsEnough;
}

/** Confident words of two letters and more: noise gives few. */
function worth(found: Recognised | undefined): number {
  if (!found) return 0;
  let sum = 0;
  for (const { words } of found.lines)
    for (const { text, confidence } of words) if (confidence > 50 && /[\p{L}\d]{2}/u.test(text)) sum += confidence * text.length;
  return sum;
}

function wordCount(found: Recognised): number {
  return found.lines.reduce((sum, line) => sum + line.words.length, 0);
}

function turnedBack(found: Recognised, turns: readonly Turn[]): Recognised {
  if (turns.length === 0) return found;
  const back = (box: Box): Box => turns.reduceRight(boxTurnedBack, box);
  const lines: RecognisedLine[] = found.lines.map((line) => ({
    ...line,
    box: back(line.box),
    words: line.words.map((word) => ({ ...word, box: back(word.box) })),
  }));
  const blocks = found.blocks?.map((block) => ({ ...block, box: back(block.box) }));
  return { ...found, lines, ...(blocks && { blocks }) };
}

/** Where a box stood before its picture was turned about its middle onto paper large enough for it. */
export function boxTurnedBack(box: Box, { degrees, width, height }: Turn): Box {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const wide = width * Math.abs(cos) + height * Math.abs(sin);
  const high = width * Math.abs(sin) + height * Math.abs(cos);
  const corners = [
    [box.left, box.top],
    [box.left + box.width, box.top],
    [box.left, box.top + box.height],
    [box.left + box.width, box.top + box.height],
  ].map(([x = 0, y = 0]) => {
    const [dx, dy] = [x * wide - wide / 2, y * high - high / 2];
    return [(dx * cos + dy * sin + width / 2) / width, (-dx * sin + dy * cos + height / 2) / height] as const;
  });
  const rounded = (value: number): number => Math.round(value * 10_000) / 10_000;
  const within = (value: number): number => rounded(Math.min(1, Math.max(0, value)));
  const left = within(Math.min(...corners.map(([x]) => x)));
  const top = within(Math.min(...corners.map(([, y]) => y)));
  const right = within(Math.max(...corners.map(([x]) => x)));
  const bottom = within(Math.max(...corners.map(([, y]) => y)));
  return { left, top, width: rounded(right - left), height: rounded(bottom - top) };
}
