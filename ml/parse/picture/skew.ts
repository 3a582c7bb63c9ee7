/** How far the lines of a scanned page lean, by the sharpness of its row sums: upright lines of text leave white rows between them. */
import type { Pixels } from "./pixels.ts";

const degreesMax = 5;
const coarse = 0.5;
const fine = 0.1;
/** Ink that does not tell one angle from another is no text. */
const gainMin = 1.04;

/** Degrees to turn the page clockwise so that its lines lie flat, -5 to 5; 0 when it cannot be told. Takes one grey channel. */
export function findSkew({ data, width, height, channels }: Pixels): number {
  if (channels !== 1 || width < 50 || height < 50) return 0;
  const ink = inkOf(data, width, height);
  if (ink.length < 200) return 0;
  const score = (degrees: number): number => sharpness(ink, degrees, width, height);
  const flat = score(0);
  let best = { degrees: 0, score: flat };
  const tryAll = (from: number, to: number, step: number): void => {
    for (let degrees = from; degrees <= to + 1e-9; degrees += step) {
      const value = score(degrees);
      if (value > best.score) best = { degrees, score: value };
    }
  };
  tryAll(-degreesMax, degreesMax, coarse);
  tryAll(best.degrees - coarse, best.degrees + coarse, fine);
  if (best.score < flat * gainMin || Math.abs(best.degrees) < 0.15) return 0;
  return -Math.round(best.degrees * 10) / 10;
}

type Ink = readonly { readonly x: number; readonly y: number }[];

/** Places of dark pixels, thinned to what is needed. */
function inkOf(data: Uint8Array, width: number, height: number): Ink {
  const threshold = darkBelow(data);
  const ink: { x: number; y: number }[] = [];
  const step = Math.max(1, Math.floor((width * height) / 400_000));
  for (let y = 2; y < height - 2; y += 1)
    for (let x = 2 + (y % step); x < width - 2; x += step) if ((data[y * width + x] ?? 255) < threshold) ink.push({ x, y });
  return ink.length > 60_000 ? ink.filter((_, at) => at % Math.ceil(ink.length / 60_000) === 0) : ink;
}

/** Otsu's threshold: the grey that best parts ink from paper. */
export function darkBelow(data: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const value of data) counts[value] = (counts[value] ?? 0) + 1;
  let sum = 0;
  for (let grey = 0; grey < 256; grey += 1) sum += grey * (counts[grey] ?? 0);
  let below = 0;
  let sumBelow = 0;
  let best = { grey: 128, between: -1 };
  for (let grey = 0; grey < 256; grey += 1) {
    below += counts[grey] ?? 0;
    const above = data.length - below;
    if (below === 0 || above === 0) continue;
    sumBelow += grey * (counts[grey] ?? 0);
    const between = below * above * (sumBelow / below - (sum - sumBelow) / above) ** 2;
    if (between > best.between) best = { grey, between };
  }
  return best.grey + 1;
}

function sharpness(ink: Ink, degrees: number, width: number, height: number): number {
  const slope = Math.tan((degrees * Math.PI) / 180);
  const room = Math.ceil(Math.abs(slope) * width) + 2;
  const rows = new Float64Array(height + 2 * room);
  for (const { x, y } of ink) {
    const row = Math.round(y - x * slope) + room;
    rows[row] = (rows[row] ?? 0) + 1;
  }
  let total = 0;
  for (let at = 1; at < rows.length; at += 1) total += ((rows[at] ?? 0) - (rows[at - 1] ?? 0)) ** 2;
  return total;
}
