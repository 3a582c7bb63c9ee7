/**
 * Reads made files of every format that MarkItDown reads too, and PDFs also with pypdf and pdfminer, and compares: share of the words
 * read, tables by their neighbours, time. All warm and in one process each; `--no-peer` leaves the peers out.
 * `npm run bench -- parse [--json] [--no-peer]`
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHolder } from "../../../ml/parse/archive/holder.ts";
import type { Block } from "../../../ml/parse/block.ts";
import { parse } from "../../../ml/parse/parse.ts";
import { atLeast, atMost, median, report } from "../vectors/parts/figure.ts";
import { makeFiles, type BenchFile } from "./parts/files.ts";
import { openPeers, readWith, type PeerReading } from "./parts/peers.ts";
import { gridsOf, normal, recall, tableF1, type Grid } from "./parts/score.ts";

const filesPerFormat = 3;
const runs = 3;
const peerRuns = 2;

type Result = { readonly recall: number; readonly tables: number | undefined; readonly ms: number };

const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
try {
  const files = makeFiles(dir, filesPerFormat);
  const ours = new Map<string, Result[]>();
  for (const file of files) add(ours, file.format, await readOurs(file));
  const peers = process.argv.includes("--no-peer") ? undefined : openPeers();
  if (peers && "missing" in peers) console.error(`no peers: ${peers.missing}`);
  const theirs = new Map<string, Result[]>();
  if (peers && "python" in peers) {
    for (const reading of await readWith(peers.python, {
      peer: "markitdown",
      runs: peerRuns,
      paths: files.map(({ path }) => path),
    }))
      note(theirs, files, reading);
    const pdfs = files.filter(({ format }) => format === "pdf");
    for (const peer of ["pypdf", "pdfminer"] as const)
      for (const reading of await readWith(peers.python, { peer, runs: peerRuns, paths: pdfs.map(({ path }) => path) }))
        note(theirs, files, reading, peer);
  }
  for (const format of new Set(files.map((file) => file.format))) tell(format, ours.get(format) ?? [], theirs.get(format));
  for (const peer of ["pypdf", "pdfminer"]) if (theirs.has(peer)) tellText(peer, ours.get("pdf") ?? [], theirs.get(peer) ?? []);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function tell(format: string, ours: readonly Result[], theirs: readonly Result[] | undefined): void {
  const mean = (results: readonly Result[], pick: (result: Result) => number | undefined): number => {
    const values = results.map(pick).filter((value) => value !== undefined);
    return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  };
  const peer = (pick: (result: Result) => number | undefined): { peer?: number } => (theirs ? { peer: mean(theirs, pick) } : {});
  const asGood = (value: number, other: number | undefined) =>
    other === undefined ? undefined : () => ({ goal: ">= the peer", met: value >= other - 1e-9 });
  const words = mean(ours, (one) => one.recall);
  const their = peer((one) => one.recall);
  report({ name: `${format}: words read`, value: words, unit: "share", ...their }, asGood(words, their.peer));
  if (ours.some((one) => one.tables !== undefined)) {
    const tables = mean(ours, (one) => one.tables);
    const their = peer((one) => one.tables);
    report({ name: `${format}: cells beside the right cells`, value: tables, unit: "F1", ...their }, asGood(tables, their.peer));
  }
  const time = peer((one) => one.ms);
  report(
    { name: `${format}: time a file`, value: mean(ours, (one) => one.ms), unit: "ms", ...time },
    time.peer === undefined ? undefined : atMost(1 / 3),
  );
}

function tellText(peer: string, ours: readonly Result[], theirs: readonly Result[]): void {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const [mine, their] = [mean(ours.map((one) => one.recall)), mean(theirs.map((one) => one.recall))];
  report({ name: `pdf: words read, beside ${peer}`, value: mine, unit: "share", peer: their }, atLeast(1));
  report({
    name: `pdf: time a file, beside ${peer}`,
    value: mean(ours.map((one) => one.ms)),
    unit: "ms",
    peer: mean(theirs.map((one) => one.ms)),
  });
}

async function readOurs({ path, truth, hasTables }: BenchFile): Promise<Result> {
  const bytes = readFileSync(path);
  let blocks: readonly Block[] = [];
  const times: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const copy = new Uint8Array(bytes);
    const began = performance.now();
    blocks = await blocksOf(copy, path);
    // The first one loads what the format needs, and is not counted; the same holds for the peers.
    if (run > 0) times.push(performance.now() - began);
  }
  const grids: Grid[] = blocks.flatMap((block) =>
    block.type === "table" ? [block.columns.length > 0 ? [block.columns, ...block.rows] : block.rows] : [],
  );
  return {
    recall: recall(truth, textOf(blocks)),
    tables: hasTables ? tableF1(truth.grids, grids, formsOf(truth)) : undefined,
    ms: median(times),
  };
}

async function blocksOf(bytes: Uint8Array, path: string): Promise<readonly Block[]> {
  const holder = await openHolder(bytes, path);
  if (!holder) return (await parse(bytes, path)).blocks;
  const { entries } = await holder.read(0, 1e9);
  const all: Block[] = [];
  for (const entry of entries) all.push(...(await parse(entry.bytes, entry.name)).blocks);
  return all;
}

/** Everything a reader would see, spans said once. */
function textOf(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if (block.type === "list") return block.items.map((item) => item.text).join("\n");
      if (block.type === "table")
        return [block.caption ?? "", ...[block.columns, ...block.rows].map((row) => row.join(" | "))].join("\n");
      if (block.type === "figure") return [block.caption, block.text].join("\n");
      return block.text;
    })
    .join("\n");
}

function note(
  theirs: Map<string, Result[]>,
  files: readonly BenchFile[],
  { path, text, ms, problem }: PeerReading,
  name?: string,
): void {
  const file = files.find((one) => one.path === path);
  if (!file) return;
  if (problem !== null) console.error(`${name ?? "markitdown"} on ${file.format}: ${problem}`);
  const { truth, hasTables } = file;
  add(theirs, name ?? file.format, {
    recall: recall(truth, text),
    tables: hasTables ? tableF1(truth.grids, gridsOf(text), formsOf(truth)) : undefined,
    ms,
  });
}

function add(results: Map<string, Result[]>, key: string, result: Result): void {
  results.set(key, [...(results.get(key) ?? []), result]);
}

/** Every form of a piece leads to its first. */
function formsOf(truth: BenchFile["truth"]): Map<string, string> {
  const none = new Map<string, string>();
  return new Map(
    truth.pieces.flatMap(([first = "", ...others]) =>
      others.map((other): [string, string] => [normal(other, none), normal(first, none)]),
    ),
  );
}
