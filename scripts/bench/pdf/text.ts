/**
 * Text of PDFs against ground truth, and how fast: `npm run bench -- pdf [--peers PYTHON] [--only FILE]`. PYTHON is an interpreter that has pypdf,
 * pdfminer.six and markitdown[pdf]; without it only Nika is measured. The files are made here, so that every word in them is known.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "../../../ml/parse/parse.ts";
import type { Block } from "../../../ml/parse/block.ts";
import { cellTexts, gridLines, makePages, prose, type Mark } from "../../../tests/fixtures/makePages.ts";

type Sample = {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly words: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Pairs of phrases of which the first is read before the second. */
  readonly order: readonly (readonly [string, string])[];
};

const peerNames = ["pypdf", "pdfminer", "markitdown"] as const;
const python = option("--peers");
const only = option("--only");
const samples = [book(), columns(), ruled(), unruled()].filter(({ name }) => only === undefined || name === only);

const own = await measure(async ({ bytes, name }) => toText((await parse(new Uint8Array(bytes), name)).blocks));
report("nika", own);
if (python !== undefined) {
  const folder = mkdtempSync(join(tmpdir(), "nika-bench-"));
  try {
    for (const sample of samples) writeFileSync(join(folder, sample.name), sample.bytes);
    for (const peer of peerNames) report(peer, await measurePeer(peer, folder, python));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}

type Measured = {
  readonly name: string;
  readonly recall: number | undefined;
  readonly rows: number | undefined;
  readonly order: number | undefined;
  readonly ms: number;
};

function report(reader: string, measured: readonly Measured[]): void {
  for (const { name, recall, rows, order, ms } of measured) {
    const nika = own.find((other) => other.name === name);
    const print = (what: string, value: number | undefined, unit: string, ours: number | undefined): void =>
      void (
        value !== undefined &&
        console.log(
          JSON.stringify({ name: `${reader}: ${name}: ${what}`, value, unit, ...(reader !== "nika" && { peer: ours }) }),
        )
      );
    print("words found", recall, "%", nika?.recall);
    print("table rows whole", rows, "%", nika?.rows);
    print("phrases in order", order, "%", nika?.order);
    print("time", ms, "ms", nika?.ms);
  }
}

async function measure(read: (sample: Sample) => Promise<string>): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const sample of samples) {
    await read(sample);
    const times: number[] = [];
    let text = "";
    for (let round = 0; round < 3; round += 1) {
      const start = performance.now();
      text = await read(sample);
      times.push(performance.now() - start);
    }
    measured.push(scored(sample, text, Math.min(...times)));
  }
  return measured;
}

/** The peer reads each file in one process, warm, the best of three, as Nika does. */
async function measurePeer(peer: string, folder: string, python: string): Promise<Measured[]> {
  const script = `
import json, sys, time, logging
logging.disable(logging.CRITICAL)
peer, folder, names = sys.argv[1], sys.argv[2], sys.argv[3:]
if peer == "pypdf":
    from pypdf import PdfReader
    read = lambda path: "\\n".join(page.extract_text() for page in PdfReader(path).pages)
elif peer == "pdfminer":
    from pdfminer.high_level import extract_text as read
else:
    from markitdown import MarkItDown
    converter = MarkItDown()
    read = lambda path: converter.convert(path).text_content
for name in names:
    path = folder + "/" + name
    text, best = read(path), 1e9
    for _ in range(3):
        start = time.perf_counter()
        text = read(path)
        best = min(best, time.perf_counter() - start)
    print(json.dumps({"name": name, "text": text, "ms": best * 1000}))
`;
  const run = spawnSync(python, ["-c", script, peer, folder, ...samples.map((sample) => sample.name)], {
    encoding: "utf8",
    maxBuffer: 1e9,
  });
  if (run.status !== 0) throw new Error(`${peer}: ${run.stderr}`);
  return run.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { name: string; text: string; ms: number })
    .map(({ name, text, ms }) => scored(samples.find((sample) => sample.name === name) as Sample, text, ms));
}

function scored(sample: Sample, text: string, ms: number): Measured {
  const counts = new Map<string, number>();
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  let found = 0;
  for (const word of sample.words) {
    const left = counts.get(word) ?? 0;
    if (left > 0) {
      found += 1;
      counts.set(word, left - 1);
    }
  }
  const lines = text.split("\n").map((line) => wordsOf(line).join(" "));
  const whole = sample.rows.filter((row) => lines.some((line) => isInOrder(line, row)));
  const flat = wordsOf(text).join(" ");
  const ordered = sample.order.filter(
    ([one, other]) => flat.includes(one) && flat.includes(other) && flat.indexOf(one) < flat.indexOf(other),
  );
  return {
    name: sample.name,
    recall: share(found, sample.words.length),
    rows: share(whole.length, sample.rows.length),
    order: share(ordered.length, sample.order.length),
    ms: Math.round(ms * 10) / 10,
  };
}

function isInOrder(line: string, row: readonly string[]): boolean {
  let from = 0;
  for (const cell of row.map((cell) => wordsOf(cell).join(" "))) {
    const found = line.indexOf(cell, from);
    if (found === -1) return false;
    from = found + cell.length;
  }
  return true;
}

function share(part: number, of: number): number | undefined {
  return of === 0 ? undefined : Math.round((part / of) * 1_000) / 10;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\d]+(?:[.,][\p{L}\d]+)*/gu) ?? [];
}

function toText(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if (block.type === "table")
        return [block.caption ?? "", block.columns.join(" | "), ...block.rows.map((row) => row.join(" | "))].join("\n");
      if (block.type === "list") return block.items.map((item) => item.text).join("\n");
      if (block.type === "figure") return [block.caption, block.text].filter(Boolean).join("\n");
      return `${block.type === "footnote" ? `${block.label ?? ""} ` : ""}${block.text}`;
    })
    .join("\n");
}

/** Words that differ from page to page, so that each is found or missed on its own. */
function passage(seed: number, count: number): string {
  const stems =
    "pompe galerie vanne bride boulon lampe escalier livre gardien eau porte fer water gate keeper number stairs flange lamp book desk".split(
      " ",
    );
  return Array.from(
    { length: count },
    (_, index) => `${stems[(seed * 7 + index * 3) % stems.length]}${(seed * 31 + index) % 97}`,
  ).join(" ");
}

function book(): Sample {
  const texts = Array.from({ length: 50 }, (_, page) => passage(page, 350));
  const pages = texts.map((text, page): Mark[] => [
    { text: `Chapitre numéro ${page + 1} sur la vanne${page}x`, y: 70, size: 16 },
    ...prose(text, { y: 100, chars: 85, step: 14 }),
  ]);
  return { name: "book.pdf", bytes: makePages({ pages }), words: texts.flatMap(wordsOf), rows: [], order: [] };
}

function columns(): Sample {
  const texts = Array.from({ length: 20 }, (_, page) => [passage(page, 150), passage(page + 50, 150)] as const);
  const pages = texts.map(([left, right], page): Mark[] => [
    { text: `A title over both columns of page ${page + 1} as papers have it`, y: 60, size: 15 },
    ...prose(`leftbegins${page} ${left} leftends${page}`, { y: 100, chars: 42 }),
    ...prose(`rightbegins${page} ${right} rightends${page}`, { x: 320, y: 100, chars: 42 }),
  ]);
  return {
    name: "columns.pdf",
    bytes: makePages({ pages }),
    words: texts.flat().flatMap(wordsOf),
    rows: [],
    order: texts.map((_, page) => [`leftends${page}`, `rightbegins${page}`] as const),
  };
}

function tableRows(page: number): string[][] {
  return Array.from({ length: 18 }, (_, row) => [
    `Article ${page}x${row}`,
    `${(row * 37 + page) % 90},${row % 10}0`,
    `lot ${row}b`,
    `${row * 3 + page}`,
  ]);
}

function ruled(): Sample {
  const tables = Array.from({ length: 10 }, (_, page) => tableRows(page));
  const [xs, step] = [[72, 200, 290, 380, 470], 22] as const;
  const pages = tables.map((rows): Mark[] => [
    ...prose(passage(3, 60), { y: 60 }),
    ...gridLines(
      xs,
      Array.from({ length: rows.length + 1 }, (_, row) => 140 + row * step),
    ),
    ...cellTexts(rows, { xs: xs.map((x) => x + 6), y: 155, step }),
  ]);
  return {
    name: "ruled.pdf",
    bytes: makePages({ pages }),
    words: tables.flat(2).flatMap(wordsOf),
    rows: tables.flat(),
    order: [],
  };
}

function unruled(): Sample {
  const tables = Array.from({ length: 10 }, (_, page) => tableRows(page + 20));
  const pages = tables.map((rows): Mark[] => [
    ...prose(passage(5, 60), { y: 60 }),
    ...cellTexts(rows, { xs: [72, 220, 310, 420], y: 150, step: 17 }),
  ]);
  return {
    name: "unruled.pdf",
    bytes: makePages({ pages }),
    words: tables.flat(2).flatMap(wordsOf),
    rows: tables.flat(),
    order: [],
  };
}
