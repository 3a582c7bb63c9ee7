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

/** Reads a picture with `recognise`: straightened, and tried upside down and lying when it makes little sense as it stands. */
export async function scan(
  image: Uint8Array | Pixels,
  { recognise, type }: { recognise: Recognise | undefined; type: "page" | "figure" },
): Promise<ScannedPicture> {
  const given: View = {
    pixels: await toPixels((await open(image)).rotate().flatten({ background: "#ffffff" }).removeAlpha()),
    turns: [],
  };
  if (!recognise) return { kept: await toWebp(await open(given.pixels)), pixels: given.pixels };
  const straight = type === "page" ? await straightened(given) : given;
  let best = { view: straight, found: await recogniseOne(straight.pixels, recognise, type) };
  if (type === "page" && isDoubtful(best.found)) {
    for (const degrees of [180, 90, 270]) {
      const turned = await turnedBy(straight, degrees);
      // Lying pages lean as well, and only show it once they stand.
      const view = degrees === 180 ? turned : await straightened(turned);
      const found = await recogniseOne(view.pixels, recognise, type);
      if (worth(found) > worth(best.found) * 1.15) best = { view, found };
      if (!isDoubtful(best.found)) break;
    }
  }
  const kept = await toWebp(await open(best.view.pixels));
  return { kept, pixels: given.pixels, ...(best.found && { found: turnedBack(best.found, best.view.turns) }) };
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

async function recogniseOne(pixels: Pixels, recognise: Recognise, type: "page" | "figure"): Promise<Recognised | undefined> {
  const long = Math.max(pixels.width, pixels.height);
  const scale = Math.min(
    long < sideWanted && type === "page" ? Math.min(3, sideWanted / long) : long < 800 ? 2 : 1,
    sideMax / long,
  );
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
