import assert from "node:assert/strict";
import { after, test } from "node:test";
import sharp from "sharp";
import { findTesseract, readNative } from "../../../appliance/ocr/native.ts";
import { openOcr } from "../../../appliance/ocr/ocr.ts";
import { readTsv } from "../../../appliance/ocr/tsv.ts";
import { openReader } from "../../../appliance/reader/reader.ts";
import type { Ocr, OcrPicture } from "../../../functions/ports/ocr.ts";
import { makePages, prose } from "../../fixtures/makePages.ts";
import { makeScan } from "../../fixtures/makeScan.ts";

const text =
  "Le gardien des pompes descendit l'escalier avec une lampe et compta les boulons de chaque bride avant d'écrire le nombre 1 482 dans le livre. The water rose slowly behind the iron gates.";
const marks = prose(text, { y: 70, chars: 55, step: 24, size: 14 });
const signal = AbortSignal.timeout(180_000);
const native = await findTesseract();
const recognisers: { name: string; ocr: Ocr }[] = [{ name: "webassembly", ocr: openOcr({ build: "wasm" }) }];
if (native) recognisers.push({ name: `installed ${native.version}`, ocr: openOcr({ build: "native" }) });
after(async () => await Promise.all(recognisers.map(({ ocr }) => ocr.close())));

/** Share of the true words that were read, accents and case aside. */
function recall(read: string): number {
  const words = (some: string): string[] =>
    some
      .normalize("NFD")
      .replaceAll(/\p{M}/gu, "")
      .toLowerCase()
      .match(/[a-z\d]+/gu) ?? [];
  const known = new Set(words(read));
  const wanted = words(text);
  return wanted.filter((word) => known.has(word)).length / wanted.length;
}

for (const { name, ocr } of recognisers) {
  test(`${name}: a leaning, noisy scan is read with places and confidence`, async () => {
    const { bytes } = await makeScan(marks, { degrees: 2.5, noise: 12, dpi: 150, top: 0.3 });
    const reader = openReader({ ocr });
    try {
      const reading = await reader.read(bytes, { name: "scan.jpg", signal });

      assert.ok(reading.type === "read", JSON.stringify(reading));
      const all = reading.passages.map((passage) => passage.text).join("\n");
      assert.ok(recall(all) >= 0.9, `${recall(all)}: ${all}`);
      assert.equal(reading.language, "fr");
      assert.ok((reading.recognised?.confidence ?? 0) > 70);
      const box = reading.passages[0]?.place.box;
      assert.ok(box && box.left > 0.05 && box.left < 0.25 && box.width > 0.5, JSON.stringify(box));
    } finally {
      await reader.close();
    }
  });

  test(`${name}: a few lines on an otherwise empty, grainy page are read`, async () => {
    const { bytes } = await makeScan(prose("Facture 2025-0417 de Durand, total 1240 euros", { y: 620, size: 12 }), {
      noise: 10,
      dpi: 110,
    });
    const reader = openReader({ ocr });
    try {
      const reading = await reader.read(bytes, { name: "scan.jpg", signal });
      assert.ok(reading.type === "read", JSON.stringify(reading));
      assert.match(reading.passages.map((passage) => passage.text).join("\n"), /Facture 2025-0417 de Durand/u);
    } finally {
      await reader.close();
    }
  });

  test(`${name}: a picture that is none costs only itself`, async () => {
    const broken: OcrPicture = { bytes: new Uint8Array(500), mediaType: "image/png", width: 10, height: 10, type: "page" };
    const blank = await sharp({ create: { width: 300, height: 200, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    const nothing = await ocr.read(broken, signal);
    const after = await ocr.read({ bytes: blank, mediaType: "image/png", width: 300, height: 200, type: "page" }, signal);

    assert.equal(nothing, undefined);
    assert.deepEqual(after, { lines: [], confidence: 0 });
  });
}

test("a scanned page inside a pdf is read by the sandboxed reader, and an upside-down one too", async () => {
  const [first] = recognisers.slice(-1);
  const images = await Promise.all([0, 180].map((degrees) => makeScan(marks, { degrees, dpi: 120 })));
  const pdf = makePages({ images, pages: images.map((_, image) => [{ type: "image", image, at: [0, 0], size: [595, 842] }]) });
  const reader = openReader(first ? { ocr: first.ocr } : {});
  try {
    const reading = await reader.read(pdf, { name: "scan.pdf", signal });

    assert.ok(reading.type === "read", JSON.stringify(reading));
    assert.equal(reading.recognised?.pages, 2);
    for (const page of [1, 2]) {
      const own = reading.passages.filter((passage) => passage.place.page === page).map((passage) => passage.text);
      assert.ok(recall(own.join("\n")) >= 0.85, `page ${page}: ${own.join("\n")}`);
    }
    assert.deepEqual(
      reading.pictures?.map(({ type, page }) => [type, page]),
      [
        ["page", 1],
        ["page", 2],
      ],
    );
  } finally {
    await reader.close();
  }
});

test("the installed program is cancelled with its work, and has no environment of ours", async (context) => {
  if (!native) return context.skip("tesseract is not installed here; the WebAssembly build was tested");
  const { bytes, width, height } = await makeScan(marks, { dpi: 150 });
  const png = await sharp(bytes).greyscale().png().toBuffer();
  const cancel = new AbortController();
  const reading = readNative(
    native,
    { bytes: png, mediaType: "image/png", width, height, type: "page" },
    { languages: ["eng"], signal: cancel.signal },
  );
  cancel.abort();

  await assert.rejects(reading, { code: "cancelled" });
});

test("a machine without the program, or with another of its name, has none", async () => {
  assert.equal(await findTesseract(["/nowhere/tesseract", "/bin/true"]), undefined);
});

test("Tesseract's table becomes lines of words with places; what has no text is no word", () => {
  const tsv = [
    "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
    "4\t1\t1\t1\t1\t0\t10\t20\t80\t10\t-1\t",
    "5\t1\t1\t1\t1\t1\t10\t20\t30\t10\t96.4\tLigne",
    "5\t1\t1\t1\t1\t2\t50\t20\t40\t10\t30\tdeux",
    "5\t1\t1\t1\t1\t3\t95\t20\t2\t10\t95\t ",
    "4\t1\t2\t1\t1\t0\t10\t60\t80\t10\t-1\t",
    "5\t1\t2\t1\t1\t1\t10\t60\t30\t10\t80\tautre",
  ].join("\n");
  const { lines, confidence } = readTsv(tsv, { width: 100, height: 100 });

  assert.deepEqual(
    lines.map(({ words, paragraph }) => [words.map((word) => word.text).join(" "), paragraph]),
    [
      ["Ligne deux", 0],
      ["autre", 1],
    ],
  );
  assert.deepEqual(lines[0]?.words[1], { text: "deux", confidence: 30, box: { left: 0.5, top: 0.2, width: 0.4, height: 0.1 } });
  assert.deepEqual(lines[0]?.box, { left: 0.1, top: 0.2, width: 0.8, height: 0.1 });
  assert.equal(confidence, Math.round((96 * 5 + 30 * 4 + 80 * 5) / 14));
});
