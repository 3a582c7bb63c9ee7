/**
 * Recognition of scans against ground truth: `npm run bench -- pdf`. Scans are made here: known text drawn with the fonts of the PDF
 * library, then turned, blurred by its resolution and made noisy. They are easier than a crumpled receipt and say so.
 */
import { findTesseract } from "../../../appliance/ocr/native.ts";
import { openOcr } from "../../../appliance/ocr/ocr.ts";
import { recognisedText } from "../../../ml/parse/picture/recognisedBlocks.ts";
import { scan } from "../../../ml/parse/picture/scan.ts";
import { prose } from "../../../tests/fixtures/makePages.ts";
import { makeScan } from "../../../tests/fixtures/makeScan.ts";

const french =
  "Le gardien des pompes descendit l'escalier avec une lampe et compta les boulons de chaque bride avant d'écrire le nombre 1 482 dans le livre posé sur le bureau. L'eau montait lentement derrière les portes de fer de la galerie nord, où personne n'était entré depuis l'été dernier.";
const english =
  "The keeper wrote 640 euros in the book and closed the gate. Water rose slowly behind the iron doors of the northern gallery, and the lamp went out twice before morning.";
const text = `${french} ${english}`;
const marks = prose(text, { y: 70, chars: 62, step: 20, size: 12 });
const conditions = [
  { name: "clean, 200 dpi", dpi: 200, degrees: 0, noise: 0 },
  { name: "leaning 3 degrees, noisy, 150 dpi", dpi: 150, degrees: 3, noise: 15 },
  { name: "leaning -4.5 degrees, 150 dpi", dpi: 150, degrees: -4.5, noise: 5 },
  { name: "upside down, 150 dpi", dpi: 150, degrees: 180, noise: 5 },
  { name: "on its side, 150 dpi", dpi: 150, degrees: 90, noise: 5 },
  { name: "small, 100 dpi", dpi: 100, degrees: 0, noise: 0 },
] as const;

for (const build of (await findTesseract()) ? (["native", "wasm"] as const) : (["wasm"] as const)) {
  const ocr = openOcr({ build });
  try {
    for (const { name, ...condition } of conditions) {
      const { bytes } = await makeScan(marks, { ...condition, top: 0.3 });
      const start = performance.now();
      const { found } = await scan(bytes, {
        type: "page",
        recognise: async (picture) => await ocr.read(picture, AbortSignal.timeout(300_000)),
      });
      const ms = performance.now() - start;
      const print = (what: string, value: number, unit: string): void =>
        console.log(JSON.stringify({ name: `tesseract ${build}: ${name}: ${what}`, value: Math.round(value * 10) / 10, unit }));
      print("words read", recall(found ? recognisedText(found) : "") * 100, "%");
      print("confidence", found?.confidence ?? 0, "of 100");
      print("time", ms, "ms");
    }
  } finally {
    await ocr.close();
  }
}

/** Share of the true words that were read as they are, accents included. */
function recall(read: string): number {
  const words = (some: string): string[] => some.toLowerCase().match(/[\p{L}\d]+/gu) ?? [];
  const counts = new Map<string, number>();
  for (const word of words(read)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const wanted = words(text);
  const found = wanted.filter((word) => {
    const left = counts.get(word) ?? 0;
    counts.set(word, left - 1);
    return left > 0;
  });
  return found.length / wanted.length;
}
