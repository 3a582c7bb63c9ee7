/** Files of every format that a peer reads too, made with known content. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { utils, write } from "@e965/xlsx";
import { randomOf } from "../../../../tests/fixtures/corpus.ts";
import { makeDocx, type DocxBlock, type DocxCell } from "../../../../tests/fixtures/makeDocx.ts";
import { makeEpub } from "../../../../tests/fixtures/makeEpub.ts";
import { makePages, gridLines, cellTexts, prose as proseMarks, type Mark } from "../../../../tests/fixtures/makePages.ts";
import { makePptx, type Slide } from "../../../../tests/fixtures/makePptx.ts";
import { makeXlsx, serialOf, type XlsxCell, type XlsxSheet } from "../../../../tests/fixtures/makeXlsx.ts";
import { makeZip } from "../../../../tests/fixtures/makeZip.ts";
import { prose } from "../../../../tests/fixtures/prose.ts";
import type { Grid, Truth } from "./score.ts";

export type BenchFile = { readonly format: string; readonly path: string; readonly truth: Truth; readonly hasTables: boolean };
type Made = { readonly bytes: Uint8Array | string; readonly truth: Truth };
type Random = (below: number) => number;

const sentences = [...prose.en, ...prose.fr];
const words =
  "rye wheat barley oats flour bran sacks carts stones sieves belts wheels gates locks lamps oil rope sand lime bricks".split(
    " ",
  );

const paragraph = (random: Random, count: number): string =>
  Array.from({ length: count }, () => sentences[random(sentences.length)] ?? "").join(" ");
const heading = (random: Random): string => `${words[random(words.length)]} and ${words[random(words.length)]}`;
/** A table of words and numbers, each cell unlike the others, so that neighbours can be told. */
function grid(random: Random, rows: number, columns: number): string[][] {
  const head = Array.from({ length: columns }, (_, at) => `${words[random(words.length)]} ${String.fromCharCode(65 + at)}`);
  const body = Array.from({ length: rows }, (_, y) =>
    Array.from({ length: columns }, (_, x) =>
      x === 0 ? `${words[random(words.length)]} ${y + 1}` : String(1_000 + random(90_000)),
    ),
  );
  return [head, ...body];
}

function plainTruth(texts: readonly string[], grids: readonly Grid[] = []): Truth {
  return { pieces: [...texts, ...grids.flatMap((grid) => uniqueCells(grid))].map((text) => [text]), grids };
}

/** A cell that covers several stands in the file once. */
function uniqueCells(grid: Grid): string[] {
  return grid.flatMap((row, y) => row.filter((cell, x) => cell !== "" && row[x - 1] !== cell && grid[y - 1]?.[x] !== cell));
}

/** One table in two has cells that cover two rows or two columns. */
function docx(random: Random): Made {
  const blocks: DocxBlock[] = [];
  const texts: string[] = [];
  const grids: Grid[] = [];
  const say = (text: string): string => (texts.push(text), text);
  for (let section = 0; section < 12; section += 1) {
    blocks.push({ heading: say(heading(random)), level: 1 + (section % 3) });
    for (let at = 0; at < 4; at += 1) blocks.push({ text: say(paragraph(random, 4)) });
    for (let at = 0; at < 4; at += 1) blocks.push({ item: say(paragraph(random, 1)), depth: at % 2 });
    const table = grid(random, 8, 4);
    const rows: DocxCell[][] = table.map((row) => [...row]);
    if (section % 2 === 0) {
      table[2]![0] = table[1]![0]!;
      rows[1]![0] = { text: table[1]![0]!, merge: "restart" };
      rows[2]![0] = { text: "", merge: "continue" };
      table[4]![2] = table[4]![1]!;
      rows[4]!.splice(1, 2, { text: table[4]![1]!, columns: 2 });
    }
    blocks.push({ rows });
    grids.push(table);
  }
  blocks.push({ text: say(paragraph(random, 1)), note: say(paragraph(random, 1)) });
  return { bytes: makeDocx({ title: "Bench", blocks }), truth: plainTruth(texts, grids) };
}

/** Amounts, shares and dates have two forms: as they are kept and as they are shown. */
function book(random: Random, count: number): { sheets: XlsxSheet[]; truth: Truth } {
  const sheets: XlsxSheet[] = [];
  const grids: Grid[] = [];
  const pieces: string[][] = [];
  for (let at = 0; at < count; at += 1) {
    const head = ["Day", "Kind", "Count", "Amount", "Share"].map((name) => `${name} ${at + 1}`);
    const shown: string[][] = [head];
    const rows: XlsxCell[][] = [head];
    for (const name of head) pieces.push([name]);
    for (let y = 0; y < 200; y += 1) {
      const day = `20${10 + random(15)}-${String(1 + random(12)).padStart(2, "0")}-${String(1 + random(28)).padStart(2, "0")}`;
      const kind = `${words[random(words.length)]} ${y + 1}`;
      const amount = (1_000_00 + random(900_000_00)) / 100;
      const share = random(1_000) / 1_000;
      const number = 10_000 + random(80_000);
      rows.push([
        { value: serialOf(day), format: "yyyy-mm-dd" },
        kind,
        number,
        { value: amount, format: "#,##0.00" },
        { value: share, format: "0.0%" },
      ]);
      const amountShown = amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
      const shareShown = `${(share * 100).toFixed(1)}%`;
      shown.push([day, kind, String(number), amountShown, shareShown]);
      pieces.push([day, `${day} 00:00:00`], [kind], [String(number)], [amountShown, String(amount)], [shareShown, String(share)]);
    }
    sheets.push({ name: `Sheet${at + 1}`, rows });
    grids.push(shown);
  }
  return { sheets, truth: { pieces, grids } };
}

function xlsx(random: Random): Made {
  const { sheets, truth } = book(random, 3);
  return { bytes: makeXlsx({ sheets }), truth };
}

function xls(random: Random): Made {
  const tables = [grid(random, 200, 5), grid(random, 200, 5)];
  const workbook = utils.book_new();
  for (const [at, table] of tables.entries())
    utils.book_append_sheet(
      workbook,
      utils.aoa_to_sheet(table.map((row, y) => row.map((cell, x) => (y > 0 && x > 0 ? Number(cell) : cell)))),
      `Sheet${at + 1}`,
    );
  return { bytes: write(workbook, { type: "buffer", bookType: "biff8" }) as Buffer, truth: plainTruth([], tables) };
}

function pptx(random: Random): Made {
  const slides: Slide[] = [];
  const texts: string[] = [];
  const grids: Grid[] = [];
  for (let at = 0; at < 20; at += 1) {
    const points = Array.from({ length: 4 }, (_, point): [string, number] => [paragraph(random, 1), point % 2]);
    const notes = paragraph(random, 2);
    const title = heading(random);
    const rows = at % 2 === 0 ? grid(random, 5, 4) : undefined;
    texts.push(title, notes, ...points.map(([text]) => text));
    if (rows) grids.push(rows);
    slides.push({ title, points, notes, ...(rows && { rows }) });
  }
  return { bytes: makePptx({ slides }), truth: plainTruth(texts, grids) };
}

function html(random: Random): Made {
  const texts: string[] = [];
  const grids: Grid[] = [];
  const parts: string[] = [];
  for (let section = 0; section < 15; section += 1) {
    const [title, ...paragraphs] = [heading(random), paragraph(random, 4), paragraph(random, 4), paragraph(random, 4)];
    const items = Array.from({ length: 4 }, () => paragraph(random, 1));
    const table = grid(random, 8, 4);
    const isSpanned = section % 2 === 0;
    if (isSpanned) table[2]![0] = table[1]![0]!;
    const rows = table.map((row, y) => {
      const tag = y === 0 ? "th" : "td";
      const cells = row.map((cell, x) =>
        isSpanned && x === 0 && y === 2 ? "" : `<${tag}${isSpanned && x === 0 && y === 1 ? ' rowspan="2"' : ""}>${cell}</${tag}>`,
      );
      return `<tr>${cells.join("")}</tr>`;
    });
    texts.push(title, ...paragraphs, ...items);
    grids.push(table);
    parts.push(
      `<h2>${title}</h2>${paragraphs.map((text) => `<p>${text}</p>`).join("")}<ul>${items.map((text) => `<li>${text}</li>`).join("")}</ul><table>${rows.join("")}</table>`,
    );
  }
  return {
    bytes: `<!doctype html><html><head><meta charset="utf-8"><title>Bench</title></head><body>${parts.join("")}</body></html>`,
    truth: plainTruth(texts, grids),
  };
}

function csv(random: Random): Made {
  const table = grid(random, 1_000, 6);
  return { bytes: table.map((row) => row.join(",")).join("\n"), truth: plainTruth([], [table]) };
}

function text(random: Random): Made {
  const paragraphs = Array.from({ length: 150 }, () => paragraph(random, 4));
  return { bytes: paragraphs.join("\n\n"), truth: plainTruth(paragraphs) };
}

function json(random: Random): Made {
  const records = Array.from({ length: 300 }, (_, at) => ({
    name: heading(random),
    number: at + 1_000,
    note: paragraph(random, 1),
  }));
  return {
    bytes: JSON.stringify(records, null, 1),
    truth: plainTruth(records.flatMap(({ name, number, note }) => [name, String(number), note])),
  };
}

function notebook(random: Random): Made {
  const texts = Array.from({ length: 60 }, () => paragraph(random, 3));
  const cells = texts.map((source, at) =>
    at % 3 === 2
      ? { cell_type: "code", source: `# ${source}`, outputs: [], metadata: {} }
      : { cell_type: "markdown", source, metadata: {} },
  );
  return { bytes: JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 }), truth: plainTruth(texts) };
}

function epub(random: Random): Made {
  const texts: string[] = [];
  const grids: Grid[] = [];
  const chapters = Array.from({ length: 10 }, (_, at) => {
    const [title, ...paragraphs] = [heading(random), ...Array.from({ length: 8 }, () => paragraph(random, 4))];
    const table = grid(random, 6, 3);
    texts.push(title, ...paragraphs);
    grids.push(table);
    const rows = table.map(
      (row, y) => `<tr>${row.map((cell) => (y === 0 ? `<th>${cell}</th>` : `<td>${cell}</td>`)).join("")}</tr>`,
    );
    return {
      file: `c${at}`,
      name: title,
      body: `<h1>${title}</h1>${paragraphs.map((text) => `<p>${text}</p>`).join("")}<table>${rows.join("")}</table>`,
    };
  });
  return { bytes: makeEpub({ title: "Bench", author: "Ada", chapters }), truth: plainTruth(texts, grids) };
}

/** Pages with a heading, prose of a column, and a table: with lines on one page of two. */
function pdf(random: Random): Made {
  const texts: string[] = [];
  const grids: Grid[] = [];
  const pages = Array.from({ length: 8 }, (_, at): Mark[] => {
    const [title, one, two] = [heading(random), paragraph(random, 4), paragraph(random, 4)];
    const table = grid(random, 8, 4);
    texts.push(title, one, two);
    grids.push(table);
    const xs = [72, 180, 290, 400];
    const top = 420;
    const ruled =
      at % 2 === 0
        ? gridLines(
            [68, 176, 286, 396, 506],
            Array.from({ length: table.length + 1 }, (_, y) => top - 12 + y * 16),
          )
        : [];
    return [
      { text: title, y: 70, size: 18, isBold: true },
      ...proseMarks(one, { y: 110 }),
      ...proseMarks(two, { y: 250 }),
      ...ruled,
      ...cellTexts(table, { xs, y: top }),
    ];
  });
  return { bytes: makePages({ pages }), truth: plainTruth(texts, grids) };
}

function zip(random: Random): Made {
  const [one, two] = [text(random), html(random)];
  return {
    bytes: makeZip({ "one.txt": one.bytes, "two.html": two.bytes }),
    truth: { pieces: [...one.truth.pieces, ...two.truth.pieces], grids: two.truth.grids },
  };
}

const makers: Readonly<Record<string, (random: Random) => Made>> = {
  docx,
  xlsx,
  xls,
  pptx,
  html,
  csv,
  txt: text,
  json,
  ipynb: notebook,
  epub,
  pdf,
  zip,
};

/** Writes `count` files of each format. */
export function makeFiles(dir: string, count: number): BenchFile[] {
  return Object.entries(makers).flatMap(([format, make], kind) =>
    Array.from({ length: count }, (_, at) => {
      const { bytes, truth } = make(randomOf(kind * 1_000 + at + 1));
      const path = join(dir, `${format}${at}.${format}`);
      writeFileSync(path, bytes);
      return { format, path, truth, hasTables: truth.grids.length > 0 };
    }),
  );
}
