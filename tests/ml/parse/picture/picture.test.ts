import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import type { Box } from "../../../../convex/model/place.ts";
import { parse } from "../../../../ml/parse/parse.ts";
import { codesIn } from "../../../../ml/parse/picture/codes.ts";
import { open, toPixels } from "../../../../ml/parse/picture/pixels.ts";
import type { Recognise, RecogniseRequest } from "../../../../ml/parse/picture/recognise.ts";
import { boxTurnedBack, scan } from "../../../../ml/parse/picture/scan.ts";
import { findSkew } from "../../../../ml/parse/picture/skew.ts";
import { pdfBlocks } from "../../../../ml/parse/pdf/pdf.ts";
import { pageImage } from "../../../../ml/parse/pageImage.ts";
import { makePages, prose } from "../../../fixtures/makePages.ts";
import { makeScan } from "../../../fixtures/makeScan.ts";

const marks = prose(
  "the keeper of the pumps went down the stairs with a lamp and counted the bolts on every flange before he wrote it down",
  {
    y: 60,
    chars: 50,
    step: 22,
    size: 14,
  },
);
const line = (text: string, confidence = 90): Awaited<ReturnType<Recognise>> => {
  const box = { left: 0.1, top: 0.1, width: 0.5, height: 0.1 };
  return { lines: [{ words: text.split(" ").map((word) => ({ text: word, confidence, box })), box, paragraph: 0 }], confidence };
};

test("a page that leans is turned straight before it is read", async () => {
  for (const degrees of [-4, -1.5, 3]) {
    const { bytes } = await makeScan(marks, { degrees, top: 0.3, dpi: 100 });
    const grey = await toPixels((await open(bytes)).greyscale().toColourspace("b-w"));

    assert.ok(Math.abs(findSkew(grey) + degrees) < 0.5, `${degrees}: ${findSkew(grey)}`);
  }
});

test("a page that makes no sense as it stands is tried upside down, and places are told as the picture was given", async () => {
  const { bytes } = await makeScan(marks, { degrees: 180, top: 0.3, dpi: 100 });
  const seen: RecogniseRequest[] = [];
  const recognise: Recognise = async (request) => {
    seen.push(request);
    // Only the second try, upside down, makes sense.
    return seen.length === 2 ? line("the keeper of the pumps went down") : line("ǝɥʇ x", 20);
  };
  const { found } = await scan(bytes, { recognise, type: "page" });

  assert.equal(seen.length, 2);
  assert.equal(found?.lines[0]?.words.length, 7);
  assert.deepEqual(found?.lines[0]?.box, { left: 0.4, top: 0.8, width: 0.5, height: 0.1 });
});

test("small print is looked at once more, closer, and drawn finer where that can be had", async () => {
  const { bytes } = await makeScan(marks, { top: 0.3, dpi: 150 });
  const read = async (height: number, confidence: number, finds: readonly string[]) => {
    const seen: RecogniseRequest[] = [];
    const recognise: Recognise = async (request) => {
      seen.push(request);
      const text = finds[seen.length - 1] ?? "nothing more was asked for";
      const box = { left: 0.1, top: 0.1, width: 0.2, height };
      const words = text.split(" ").map((word) => ({ text: word, confidence, box }));
      return { lines: [{ words, box, paragraph: 0 }], confidence };
    };
    let drawn = 0;
    const finer = async () => {
      drawn += 1;
      return await toPixels((await open(bytes)).resize({ width: 2_500 }));
    };
    const { found } = await scan(bytes, { recognise, type: "page", finer });
    return { text: found?.lines[0]?.words.map(({ text }) => text).join(" "), widths: seen.map(({ width }) => width), drawn };
  };

  const small = await read(0.01, 80, ["three littl words", "three little words more"]);
  assert.equal(small.text, "three little words more");
  assert.ok(small.drawn === 1 && small.widths.length === 2 && small.widths[1]! > small.widths[0]! * 1.15, JSON.stringify(small));
  assert.equal((await read(0.01, 80, ["three little words", "ee ii"])).text, "three little words", "the better reading stays");
  assert.equal((await read(0.06, 80, ["three little words"])).drawn, 0, "large print is not looked at again");
  assert.equal((await read(0.01, 96, ["three little words"])).drawn, 0, "nor what was read without doubt");
});

test("a box goes back to where it stood before its picture was turned", () => {
  const box: Box = { left: 0.1, top: 0.2, width: 0.3, height: 0.1 };
  const back = boxTurnedBack(box, { degrees: 90, width: 200, height: 100 });

  assert.deepEqual(
    [back.left, back.top].map((value) => Math.round(value * 100) / 100),
    [0.2, 0.6],
  );
  assert.deepEqual(
    [back.width, back.height].map((value) => Math.round(value * 100) / 100),
    [0.1, 0.3],
  );
});

test("a scanned page of a pdf is recognised, doubtful words are marked and kept, and the page stays as a picture", async () => {
  const image = await makeScan(marks, { dpi: 72 });
  const pdf = makePages({
    images: [image],
    pages: [
      [{ type: "image", image: 0, at: [0, 0], size: [595, 842] }],
      prose("This page has text of its own, and enough of it to be read.", { y: 80 }),
    ],
  });
  const recognise: Recognise = async () => {
    const read = line("Le gardien compta les boulons", 88);
    const [first] = read?.lines ?? [];
    return read && first
      ? { ...read, lines: [{ ...first, words: [...first.words, { text: "hier", confidence: 20, box: first.box }] }] }
      : undefined;
  };
  const { blocks, pictures, recognised } = await pdfBlocks(pdf, { recognise });

  assert.deepEqual(blocks[0], {
    type: "paragraph",
    text: "Le gardien compta les boulons hier(?)",
    place: { page: 1, box: { left: 0.1, top: 0.1, width: 0.5, height: 0.1 } },
  });
  assert.match(blocks[1]?.type === "paragraph" ? blocks[1].text : "", /text of its own/);
  assert.deepEqual(recognised, { pages: 1, confidence: 88 });
  assert.deepEqual([pictures?.length, pictures?.[0]?.type, pictures?.[0]?.page], [1, "page", 1]);
});

test("a text layer of garbage gives way to what can be seen, when that reads better", async () => {
  const garbage = Array.from({ length: 12 }, (_, at) => ({ text: "xQzk ##wq% pTTTTr zzkqj ]]f qqqW kjhgf", y: 80 + at * 14 }));
  const { blocks } = await pdfBlocks(makePages({ pages: [garbage] }), {
    recognise: async () => line("the keeper of the pumps went down the stairs"),
  });
  const kept = await pdfBlocks(makePages({ pages: [garbage] }), { recognise: async () => line("xx## qq%%z") });

  assert.equal(blocks[0]?.type === "paragraph" && blocks[0].text, "the keeper of the pumps went down the stairs");
  assert.match(kept.blocks[0]?.type === "paragraph" ? kept.blocks[0].text : "", /xQzk/);
});

test("every kind of picture is a document: upright, dated by its camera, read, kept", async () => {
  const { bytes } = await makeScan(marks, { top: 0.2, dpi: 72 });
  const upright = sharp(bytes);
  const { width, height } = await upright.metadata();
  const made = await Promise.all([
    upright.clone().png().toBuffer(),
    upright.clone().webp().toBuffer(),
    upright.clone().tiff().toBuffer(),
    upright.clone().gif().toBuffer(),
    upright.clone().avif({ effort: 0 }).toBuffer(),
    sharp(bytes)
      .rotate(270)
      .withMetadata({ orientation: 6 })
      .withExifMerge({ IFD2: { DateTimeOriginal: "2023:07:14 10:30:00" } })
      .jpeg()
      .toBuffer(),
  ]);
  const documents = await Promise.all(
    made.map(async (bytes) => await parse(new Uint8Array(bytes), "a", { recognise: async () => line("a lamp and bolts") })),
  );

  for (const { format, pictures, blocks, recognised } of documents) {
    assert.equal(format, "image");
    assert.deepEqual([pictures?.length, pictures?.[0]?.type, pictures?.[0]?.text], [1, "image", "a lamp and bolts"]);
    assert.ok(blocks.some((block) => block.type === "paragraph" && block.text === "a lamp and bolts"));
    assert.deepEqual(recognised, { pages: 1, confidence: 90 });
    assert.ok(Math.abs((pictures?.[0]?.width ?? 0) / (pictures?.[0]?.height ?? 1) - width / height) < 0.05);
  }
  assert.equal(documents.at(-1)?.facts?.writtenAt, Date.UTC(2023, 6, 14, 10, 30));
});

test("a picture without a word in it is kept, and a broken one is damaged", async () => {
  const plain = await sharp({ create: { width: 90, height: 60, channels: 3, background: "#36c" } })
    .png()
    .toBuffer();
  const { pictures, format } = await parse(new Uint8Array(plain), "a.png");

  assert.deepEqual([format, pictures?.length], ["image", 1]);
  await assert.rejects(parse(new Uint8Array(plain.subarray(0, 60)), "a.png"), { problem: "damaged" });
});

test("pages are drawn: of a pdf, of a picture, and of nothing else", async () => {
  const page = await pageImage(makePages({ pages: [prose("A page to look at.", { y: 80 })] }), 1, 400);
  const { width, height, format } = await sharp(page).metadata();
  const pixels = await toPixels((await open(page as Uint8Array)).greyscale().toColourspace("b-w"));

  assert.deepEqual([format, width, height], ["webp", 400, 566]);
  assert.ok(
    pixels.data.some((value) => value < 100),
    "nothing was drawn",
  );
  assert.equal(await pageImage(makePages({ pages: [[]] }), 2, 400), undefined);
  assert.equal(await pageImage(new TextEncoder().encode("only words"), 1, 400), undefined);
});

test("codes in pictures are read, and in the pictures of a pdf", async () => {
  const { writeBarcode, prepareZXingModule } = await import("zxing-wasm/writer");
  const { readFile } = await import("node:fs/promises");
  const wasm = await readFile(new URL(import.meta.resolve("zxing-wasm/writer/zxing_writer.wasm")));
  prepareZXingModule({ overrides: { wasmBinary: new Uint8Array(wasm).buffer } });
  const [qr, ean] = await Promise.all([
    writeBarcode("https://nika.example.org/f/42", { format: "QRCode", scale: 4 }),
    writeBarcode("3017620422003", { format: "EAN13", scale: 2 }),
  ]);
  const read = async (image: Blob | null): Promise<unknown> => {
    const bytes = new Uint8Array(await (image as Blob).arrayBuffer());
    const framed = (await open(bytes))
      .flatten({ background: "#fff" })
      .extend({ top: 30, bottom: 30, left: 30, right: 30, background: "#fff" });
    return (await codesIn(await toPixels(framed.removeAlpha()))).map(({ type, value }) => [type, value]);
  };

  assert.deepEqual(await read(qr.image), [["qrcode", "https://nika.example.org/f/42"]]);
  assert.deepEqual(await read(ean.image), [["barcode", "3017620422003"]]);
  const framed = (await open(new Uint8Array(await (qr.image as Blob).arrayBuffer()))).flatten({ background: "#fff" });
  const bytes = await framed.extend({ top: 20, bottom: 20, left: 20, right: 20, background: "#fff" }).jpeg().toBuffer();
  const { width, height } = await sharp(bytes).metadata();
  const { elements } = await pdfBlocks(
    makePages({
      images: [{ bytes, width, height }],
      pages: [[...marks, { type: "image", image: 0, at: [300, 500], size: [120, 120] }]],
    }),
  );
  assert.deepEqual(
    elements?.map(({ type, value, page }) => [type, value, page]),
    [["qrcode", "https://nika.example.org/f/42", 1]],
  );
});
