/** Bar codes and QR codes in pictures. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Element } from "../../../convex/model/document.ts";
import type { readBarcodes as ReadBarcodes } from "zxing-wasm/reader";
import { open, toPixels, type Pixels } from "./pixels.ts";

const codesMax = 12;
const sideMax = 1_800;
const valueCharsMax = 2_000;

type Reader = { readonly readBarcodes: typeof ReadBarcodes };
let library: Promise<Reader> | undefined;

/** The library with its WebAssembly from disk: it would fetch it from the network otherwise. */
async function codeReader(): Promise<Reader> {
  library ??= import("zxing-wasm/reader").then((reader) => {
    const file = fileURLToPath(import.meta.resolve("zxing-wasm/reader/zxing_reader.wasm"));
    const wasmBinary = new Uint8Array(readFileSync(file)).buffer;
    reader.prepareZXingModule({ overrides: { wasmBinary } });
    return reader;
  });
  return await library;
}

/** The codes in a picture, each value once. Their own check digits held, or they would not have been read. */
export async function codesIn(pixels: Pixels): Promise<Element[]> {
  const { readBarcodes } = await codeReader();
  const small = (await open(pixels))
    .greyscale()
    .resize({ width: sideMax, height: sideMax, fit: "inside", withoutEnlargement: true });
  const { data, width, height } = await toPixels(small.toColourspace("b-w"));
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let at = 0; at < width * height; at += 1) rgba.fill(data[at] ?? 255, at * 4, at * 4 + 3).fill(255, at * 4 + 3, at * 4 + 4);
  const found = await readBarcodes(
    { data: rgba, width, height, colorSpace: "srgb" },
    {
      maxNumberOfSymbols: codesMax,
      tryHarder: true,
    },
  );
  const elements = new Map<string, Element>();
  for (const { isValid, text, format } of found) {
    const value = text
      .replaceAll(/[\p{Cc}]+/gu, " ")
      .trim()
      .slice(0, valueCharsMax);
    if (!isValid || value === "") continue;
    elements.set(value, {
      type: /qr/iu.test(format) ? "qrcode" : "barcode",
      text: `${format}: ${value}`.slice(0, valueCharsMax),
      value,
      isValid: true,
    });
  }
  return [...elements.values()];
}
