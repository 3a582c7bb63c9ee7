/**
 * What a picture looks like, in numbers that need no model: where which colours are, which way its edges run, and which parts of it are
 * brighter than the rest. Pictures that look alike are near; what they show plays no part.
 */
import { open, toPixels } from "../parse/picture/pixels.ts";

/** 192 for colours by place, 64 for colours, 512 for edges, 256 for the pattern of light. */
export const looksDimensions = 1_024;
/** The one number of them that is always 0. */
export const looksUnused = 768;

const side = 64;
const layoutCells = 8;
const tones = 4;
const edgeCells = 8;
const edgeDirections = 8;
const patternSide = 16;
/** Each part has length 1 before this: how much it counts. Colours alone tell little of a drawing or a chart. */
const shares = { layout: 0.3, colours: 0.2, edges: 0.3, pattern: 0.2 };

/** A vector of length 1. Fails when the picture cannot be decoded. Same bytes, same vector, on the same version of the image library. */
export async function looksOf(bytes: Uint8Array): Promise<Float32Array> {
  const small = (await open(bytes)).rotate().flatten({ background: "#ffffff" }).removeAlpha().toColourspace("srgb");
  const { data, channels } = await toPixels(small.resize({ width: side, height: side, fit: "fill", kernel: "cubic" }));
  const at = (x: number, y: number, channel: number): number =>
    (data[(y * side + x) * channels + (channels >= 3 ? channel : 0)] ?? 0) / 255;
  const light = Float32Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [i % side, Math.floor(i / side)];
    return 0.299 * at(x, y, 0) + 0.587 * at(x, y, 1) + 0.114 * at(x, y, 2);
  });
  const parts = [
    { values: layoutOf(at), share: shares.layout },
    { values: coloursOf(at), share: shares.colours },
    { values: edgesOf(light), share: shares.edges },
    { values: patternOf(light), share: shares.pattern },
  ];
  const all = parts.flatMap(({ values, share }) => {
    const length = Math.hypot(...values);
    return values.map((value) => (length > 1e-9 ? (value / length) * Math.sqrt(share) : 0));
  });
  const length = Math.hypot(...all) || 1;
  return Float32Array.from(all, (value) => value / length);
}

type Pixel = (x: number, y: number, channel: number) => number;

/** Mean brightness and colour of each cell, about the middle grey: a white sheet and a black one are opposites. */
function layoutOf(at: Pixel): number[] {
  const step = side / layoutCells;
  const values: number[] = [];
  for (let cell = 0; cell < layoutCells * layoutCells; cell += 1) {
    const [left, top] = [(cell % layoutCells) * step, Math.floor(cell / layoutCells) * step];
    const mean = [0, 0, 0];
    for (let y = top; y < top + step; y += 1)
      for (let x = left; x < left + step; x += 1) for (let c = 0; c < 3; c += 1) mean[c]! += at(x, y, c) / (step * step);
    const [red = 0, green = 0, blue = 0] = mean;
    values.push((red + green + blue) / 3 - 0.5, red - green, blue - (red + green) / 2);
  }
  return values;
}

/** How much of the picture has each of 64 colours. The root keeps a large white ground from drowning the rest. */
function coloursOf(at: Pixel): number[] {
  const counts = Array.from({ length: tones ** 3 }, () => 0);
  const tone = (value: number): number => Math.min(tones - 1, Math.floor(value * tones));
  for (let y = 0; y < side; y += 1)
    for (let x = 0; x < side; x += 1) counts[(tone(at(x, y, 0)) * tones + tone(at(x, y, 1))) * tones + tone(at(x, y, 2))]! += 1;
  return counts.map((count) => Math.sqrt(count / (side * side)));
}

/** Per cell, how strongly the brightness changes in each of eight directions, up and down alike. */
function edgesOf(light: Float32Array): number[] {
  const values = Array.from({ length: edgeCells * edgeCells * edgeDirections }, () => 0);
  const step = side / edgeCells;
  const of = (x: number, y: number): number => light[y * side + x] ?? 0;
  for (let y = 1; y < side - 1; y += 1)
    for (let x = 1; x < side - 1; x += 1) {
      const [dx, dy] = [of(x + 1, y) - of(x - 1, y), of(x, y + 1) - of(x, y - 1)];
      const strength = Math.hypot(dx, dy);
      if (strength < 0.02) continue;
      const turn = (Math.atan2(dy, dx) + Math.PI) / Math.PI; // 0 to 2: opposite directions are one.
      const direction = Math.floor((turn % 1) * edgeDirections) % edgeDirections;
      const cell = Math.floor(y / step) * edgeCells + Math.floor(x / step);
      values[cell * edgeDirections + direction]! += strength;
    }
  return values.map(Math.sqrt);
}

/** A perceptual hash: of the lowest 256 frequencies of the brightness, which are above their median. */
function patternOf(light: Float32Array): number[] {
  const cosines = Array.from({ length: patternSide * side }, (_, i) =>
    Math.cos((Math.PI / side) * ((i % side) + 0.5) * Math.floor(i / side)),
  );
  const rows = Array.from({ length: patternSide * side }, (_, i) => {
    const [u, y] = [Math.floor(i / side), i % side];
    let sum = 0;
    for (let x = 0; x < side; x += 1) sum += light[y * side + x]! * cosines[u * side + x]!;
    return sum;
  });
  const values = Array.from({ length: patternSide * patternSide }, (_, i) => {
    const [u, v] = [i % patternSide, Math.floor(i / patternSide)];
    let sum = 0;
    for (let y = 0; y < side; y += 1) sum += rows[u * side + y]! * cosines[v * side + y]!;
    return sum;
  });
  // The first (`looksUnused`) is the mean brightness, which the layout has already.
  const middle = values.slice(1).toSorted((one, other) => one - other)[(values.length - 1) >> 1] ?? 0;
  return values.map((value, i) => (i === 0 || Math.abs(value - middle) < 1e-6 ? 0 : value > middle ? 1 : -1));
}
