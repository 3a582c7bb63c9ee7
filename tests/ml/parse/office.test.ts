import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CFB, utils, write } from "@e965/xlsx";
import sharp from "sharp";
import type { Block } from "../../../ml/parse/block.ts";
import { parse } from "../../../ml/parse/parse.ts";
import { makeDocx } from "../../fixtures/makeDocx.ts";
import { makePng } from "../../fixtures/makePng.ts";
import { makePptx } from "../../fixtures/makePptx.ts";
import { makeXlsx, serialOf } from "../../fixtures/makeXlsx.ts";
import { problemOf } from "./reading.ts";

const office = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/documents/office/${name}`, import.meta.url)));
const tablesOf = (blocks: readonly Block[]) => blocks.filter((block) => block.type === "table");
const textOf = (blocks: readonly Block[]): string => JSON.stringify(blocks);

const picture = makePng(64, 48);
const mill = makeDocx({
  title: "Mill handbook",
  author: "Ada Miller",
  modified: "2024-03-05T10:00:00Z",
  header: "Top of every page",
  blocks: [
    { heading: "The mill" },
    { text: "The keys are kept by the miller.", note: "Since 1890.", deleted: "What was struck out." },
    { item: "First" },
    { item: "Inner", depth: 1 },
    { item: "Second" },
    { text: "Then:" },
    { item: "One", isOrdered: true },
    { heading: "Stock", level: 2 },
    { caption: "Table 1: Flour in stock" },
    {
      rows: [
        ["Kind", "Weight", "Place"],
        [{ text: "Rye", merge: "restart" }, "40 kg", "left"],
        [{ text: "", merge: "continue" }, "12 kg", "right"],
        [{ text: "All closed", columns: 2 }, "x"],
      ],
    },
    { picture, alt: "The wheel from the east" },
    { caption: "Figure 1: The wheel" },
    { code: "open()\n  close()" },
  ],
});

test("a Word document keeps its lists, tables with spans, notes, pictures and code, and leaves out what is not its text", async () => {
  const { format, title, facts, blocks, pictures } = await parse(mill, "a.bin");

  assert.equal(format, "docx");
  assert.equal(title, "Mill handbook");
  assert.deepEqual(facts, { author: "Ada Miller", writtenAt: Date.UTC(2024, 2, 5, 10), people: ["Ada Miller"] });
  assert.deepEqual(blocks, [
    { type: "heading", level: 1, text: "The mill", place: {} },
    { type: "paragraph", text: "The keys are kept by the miller.[1]", place: {} },
    {
      type: "list",
      isOrdered: false,
      items: [
        { text: "First", depth: 0 },
        { text: "Inner", depth: 1 },
        { text: "Second", depth: 0 },
      ],
      place: {},
    },
    { type: "footnote", label: "1", text: "Since 1890.", place: {} },
    { type: "paragraph", text: "Then:", place: {} },
    { type: "list", isOrdered: true, items: [{ text: "One", depth: 0 }], place: {} },
    { type: "heading", level: 2, text: "Stock", place: {} },
    {
      type: "table",
      columns: ["Kind", "Weight", "Place"],
      rows: [
        ["Rye", "40 kg", "left"],
        ["Rye", "12 kg", "right"],
        ["All closed", "All closed", "x"],
      ],
      spans: [
        { row: 1, column: 0, rows: 2, columns: 1 },
        { row: 3, column: 0, rows: 1, columns: 2 },
      ],
      caption: "Table 1: Flour in stock",
      place: {},
    },
    { type: "figure", caption: "Figure 1: The wheel (The wheel from the east)", picture: 0, place: {} },
    { type: "code", text: "open()\n  close()", place: {} },
  ]);
  assert.deepEqual(
    pictures?.map(({ width, height, mediaType, bytes }) => ({ width, height, mediaType, same: Buffer.compare(bytes, picture) })),
    [{ width: 64, height: 48, mediaType: "image/png", same: 0 }],
  );
});

const accounts = makeXlsx({
  title: "Accounts",
  sheets: [
    {
      name: "Sales",
      rows: [
        ["Sales of the year"],
        [],
        ["Day", "Kind", "Amount", "Share"],
        [
          { value: serialOf("2024-03-01"), format: "dd/mm/yyyy" },
          "Rye",
          { value: 1234.5, format: '#,##0.00 "€"' },
          { value: 0.125, format: "0.0%" },
        ],
        [
          { value: serialOf("2024-03-02"), format: "dd/mm/yyyy" },
          "Wheat",
          { value: 99, format: '#,##0.00 "€"' },
          { value: 0.5, format: "0.0%" },
        ],
        ["Total", undefined, { value: 1333.5, format: '#,##0.00 "€"', formula: "SUM(C4:C5)" }],
        [],
        ["Other", "Count", undefined, undefined, "Note", "By"],
        ["Sacks", 12, undefined, undefined, "wet", "Basil"],
        ["Carts", 3, undefined, undefined, "dry", "Ada"],
      ],
      merges: ["A1:D1"],
    },
    {
      name: "Secret",
      isHidden: true,
      rows: [
        ["Year", "North", undefined],
        [undefined, "Q1", "Q2"],
        [2023, 5, 6],
        [2024, 7, true],
      ],
      merges: ["B1:C1", "A1:A2"],
    },
  ],
});

test("a workbook gives a table for each stretch, values as shown, titles as captions, and says which sheets are hidden", async () => {
  const { format, blocks } = await parse(accounts, "a.bin");

  assert.equal(format, "xlsx");
  assert.deepEqual(blocks, [
    {
      type: "table",
      columns: ["Day", "Kind", "Amount", "Share"],
      rows: [
        ["01/03/2024", "Rye", "1,234.50 €", "12.5%"],
        ["02/03/2024", "Wheat", "99.00 €", "50.0%"],
        ["Total", "", "1,333.50 €", ""],
      ],
      caption: "Sales of the year",
      place: { sheet: "Sales" },
    },
    {
      type: "table",
      columns: ["Other", "Count"],
      rows: [
        ["Sacks", "12"],
        ["Carts", "3"],
      ],
      place: { sheet: "Sales" },
    },
    {
      type: "table",
      columns: ["Note", "By"],
      rows: [
        ["wet", "Basil"],
        ["dry", "Ada"],
      ],
      place: { sheet: "Sales" },
    },
    {
      type: "table",
      columns: ["Year", "North Q1", "North Q2"],
      rows: [
        ["2023", "5", "6"],
        ["2024", "7", "TRUE"],
      ],
      spans: [
        { row: 0, column: 0, rows: 1, columns: 1 },
        { row: 0, column: 1, rows: 1, columns: 2 },
      ].filter(({ columns }) => columns > 1),
      place: { sheet: "Secret (hidden)" },
    },
  ]);
});

test("a presentation gives its slides as pages, with title, points, tables, pictures and notes", async () => {
  const { format, pages, blocks, pictures } = await parse(
    makePptx({
      slides: [
        {
          title: "Why a mill",
          points: [
            ["Water is free", 0],
            ["even in winter", 1],
          ],
          notes: "Speak slowly.",
        },
        {
          title: "Figures",
          rows: [
            ["Year", "Sacks"],
            ["2022", "31"],
          ],
          picture: { bytes: makePng(80, 60), alt: "Sacks per year" },
        },
      ],
    }),
    "a.bin",
  );

  assert.equal(format, "pptx");
  assert.equal(pages, 2);
  assert.deepEqual(blocks, [
    { type: "heading", level: 1, text: "Why a mill", place: { page: 1 } },
    {
      type: "list",
      isOrdered: false,
      items: [
        { text: "Water is free", depth: 0 },
        { text: "even in winter", depth: 1 },
      ],
      place: { page: 1 },
    },
    { type: "footnote", label: "Notes", text: "Speak slowly.", place: { page: 1 } },
    { type: "heading", level: 1, text: "Figures", place: { page: 2 } },
    { type: "table", columns: ["Year", "Sacks"], rows: [["2022", "31"]], place: { page: 2 } },
    { type: "figure", caption: "Sacks per year", picture: 0, place: { page: 2 } },
  ]);
  assert.equal(pictures?.[0]?.page, 2);
});

test("what LibreOffice makes of the same handbook reads the same: OpenDocument, RTF", async () => {
  for (const [name, format] of [
    ["mill.odt", "odt"],
    ["mill.rtf", "rtf"],
  ] as const) {
    const { blocks, pictures, ...read } = await parse(office(name), "a.bin");
    const [table] = tablesOf(blocks);

    assert.equal(read.format, format);
    assert.deepEqual(
      blocks.filter((block) => block.type === "heading").map(({ level, text }) => [level, text]),
      [
        [1, "The mill"],
        [2, "Stock"],
      ],
      name,
    );
    assert.deepEqual(
      blocks.find((block) => block.type === "list")?.items.map(({ depth }) => depth),
      [0, 1, 0],
      name,
    );
    assert.deepEqual(blocks.find((block) => block.type === "footnote")?.text, "Since 1890.", name);
    assert.deepEqual(table?.columns, ["Kind", "Weight", "Place"], name);
    assert.deepEqual(
      table?.rows.slice(0, 2),
      [
        ["Rye", "40 kg", "left"],
        ["Rye", "12 kg", "right"],
      ],
      name,
    );
    assert.equal(table?.caption, "Table 1: Flour in stock", name);
    assert.match(blocks.find((block) => block.type === "figure")?.caption ?? "", /^Figure 1: The wheel/u, name);
    assert.deepEqual(
      pictures?.map(({ width, height }) => [width, height]),
      [[64, 48]],
      name,
    );
    assert.doesNotMatch(textOf(blocks), /DELETED|HEADER/u, name);
  }
});

test("what LibreOffice makes of the workbook and the slides reads the same: OpenDocument and Excel 97", async () => {
  for (const [name, format] of [
    ["mill.ods", "ods"],
    ["mill.xls", "xlsx"],
  ] as const) {
    const read = await parse(office(name), "a.bin");
    const [sales, , secret] = tablesOf(read.blocks);

    assert.equal(read.format, format);
    assert.deepEqual(sales?.columns, ["Day", "Kind", "Amount", "Share"], name);
    assert.deepEqual(sales?.rows[0], ["01/03/2024", "Rye", "1,234.50 €", "12.5%"], name);
    assert.equal(sales?.caption, "Sales of the year", name);
    assert.equal(secret?.place.sheet, "Secret (hidden)", name);
  }
  const slides = await parse(office("mill.odp"), "a.bin");

  assert.equal(slides.pages, 2);
  assert.deepEqual(
    slides.blocks.map(({ type, place }) => `${type} ${place.page}`),
    ["heading 1", "paragraph 1", "paragraph 1", "paragraph 1", "footnote 1", "heading 2", "table 2", "figure 2"],
  );
});

test("Word, Excel and PowerPoint files from before 2007 give their text", async () => {
  const word = await parse(office("mill.doc"), "a.bin");
  const book = utils.book_new();
  utils.book_append_sheet(
    book,
    utils.aoa_to_sheet([
      ["Kind", "Weight"],
      ["Rye", 40],
    ]),
    "Stock",
  );
  const workbook = await parse(new Uint8Array(write(book, { type: "buffer", bookType: "biff8" }) as Buffer), "a.bin");
  const slides = await parse(makePpt(["Why a mill", "Water is free\rFlour is needed"]), "a.bin");

  assert.equal(word.format, "docx");
  assert.match(textOf(word.blocks), /The keys are kept by the miller\./u);
  assert.deepEqual(tablesOf(word.blocks)[0]?.rows[0], ["Rye", "40 kg", "left"]);
  assert.deepEqual(word.blocks.at(-1), { type: "footnote", label: "1", text: "Since 1890.", place: {} });
  assert.deepEqual(tablesOf(workbook.blocks)[0]?.rows, [["Rye", "40"]]);
  assert.deepEqual(slides.blocks, [
    { type: "heading", level: 1, text: "Why a mill", place: { page: 1 } },
    {
      type: "list",
      isOrdered: false,
      items: [
        { text: "Water is free", depth: 0 },
        { text: "Flour is needed", depth: 0 },
      ],
      place: { page: 1 },
    },
  ]);
});

test("a large picture is kept as small as it needs to be looked at, and one of another kind as one that browsers show", async () => {
  const red = { width: 32, height: 32, channels: 3, background: "red" } as const;
  const gif = await sharp({ create: red }).gif().toBuffer();
  const { pictures } = await parse(
    makeDocx({
      blocks: [
        { picture: makePng(2_400, 600) },
        { picture: new Uint8Array(gif), alt: "Red" },
        { picture: new Uint8Array([1, 2, 3]), alt: "Broken" },
      ],
    }),
    "a",
  );

  assert.deepEqual(
    pictures?.map(({ mediaType, width, height }) => [mediaType, width, height]),
    [
      ["image/webp", 1_600, 400],
      ["image/webp", 32, 32],
    ],
  );
});

test("an office file that was cut off is damaged, and a locked one is locked", async () => {
  assert.equal(await problemOf(mill.subarray(0, mill.length - 400), "a.docx"), "damaged");
  assert.equal(await problemOf(accounts.subarray(0, 900), "a.xlsx"), "damaged");
});

/** One slide: a title and a body, as records in the stream of an old container. */
function makePpt([title = "", body = ""]: readonly string[]): Uint8Array {
  const record = (kind: number, data: Buffer, isContainer = false): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt16LE(isContainer ? 0xf : 0, 0);
    head.writeUInt16LE(kind, 2);
    head.writeUInt32LE(data.length, 4);
    return Buffer.concat([head, data]);
  };
  const kindOfText = (kind: number): Buffer => record(3999, Buffer.from([kind, 0, 0, 0]));
  const list = [
    record(1011, Buffer.alloc(20)),
    kindOfText(0),
    record(4000, Buffer.from(title, "utf16le")),
    kindOfText(1),
    record(4008, Buffer.from(body, "latin1")),
  ];
  const stream = record(1000, record(4080, Buffer.concat(list), true), true);
  const container: unknown = CFB.utils.cfb_new();
  CFB.utils.cfb_add(container, "/PowerPoint Document", stream);
  return new Uint8Array(CFB.write(container, { type: "buffer" }) as Buffer);
}
