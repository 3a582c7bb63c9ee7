import type { Block } from "./block.ts";
import { scanJson, type Leaf } from "./jsonScan.ts";

/** Keys of an object at the top are gathered to records of about this size. */
const recordChars = 1_000;
/** Deeper paths say nothing to a reader any more; their last parts are kept. */
const pathPartsShown = 8;
/** Records that must parse for a text to be jsonl; the broken rest is kept as written. */
const soundShareMin = 0.6;

/**
 * One JSON value as records: each item of an array at the top, or groups of neighbouring keys of an object. Undefined when the
 * text is not JSON.
 */
export function jsonBlocks(source: string): { blocks: Block[]; title?: string } | undefined {
  const isArray = /^\s*\[/u.test(source);
  const gathered = new Gathered(isArray);
  if (!scanJson(source, (leaf) => gathered.add(leaf))) return undefined;
  const blocks = gathered.finish();
  return gathered.title === undefined || isArray ? { blocks } : { blocks, title: gathered.title };
}

/** Lines of JSON as records that count from 1; a broken line is kept as it is written. Blank lines are not counted. */
export function jsonlBlocks(source: string): Block[] {
  const blocks: Block[] = [];
  let record = 0;
  for (const line of source.split("\n")) {
    if (line.trim() === "") continue;
    record += 1;
    const lines: string[] = [];
    const isSound = scanJson(line, (leaf) => void lines.push(lineOf(leaf, 0)));
    const text = isSound ? lines.filter((text) => text !== "").join("\n") : line.trim();
    if (text !== "") blocks.push({ type: "record", text, place: { records: { from: record, to: record } } });
  }
  return blocks;
}

/** Whether most of the first lines are JSON objects or arrays of their own. */
export function looksLikeJsonl(source: string, linesMin: number): boolean {
  const lines = source
    .slice(0, 256 * 1024)
    .split("\n", 60)
    .filter((line) => line.trim() !== "");
  if (source.length > 256 * 1024 && lines.length > 1) lines.pop();
  const sound = lines.filter((line) => /^\s*[{[]/u.test(line) && scanJson(line, () => {})).length;
  return lines.length >= linesMin && sound >= Math.max(1, lines.length * soundShareMin);
}

class Gathered {
  title: string | undefined;
  readonly #isArray: boolean;
  readonly #blocks: Block[] = [];
  #lines: string[] = [];
  #chars = 0;
  #key: string | number | undefined;
  #from = 1;
  #to = 1;

  constructor(isArray: boolean) {
    this.#isArray = isArray;
  }

  add(leaf: Leaf): void {
    const key = leaf.path[0];
    const isNew = key !== this.#key;
    if (isNew && (this.#isArray || this.#chars > recordChars)) this.#flush();
    if (this.#lines.length === 0) this.#from = leaf.line;
    this.#key = key;
    this.#to = leaf.line;
    if (leaf.path.length === 1 && (key === "title" || key === "name" || key === "titre")) this.title ??= leaf.text.slice(0, 200);
    const line = lineOf(leaf, this.#isArray ? 1 : 0);
    if (line === "") return;
    this.#lines.push(line);
    this.#chars += line.length;
    // One record of an enormous value is still handed on in parts.
    if (this.#chars > recordChars * 50) this.#flush();
  }

  finish(): Block[] {
    this.#flush();
    return this.#blocks;
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    const lines = { from: this.#from, to: this.#to };
    const record = this.#isArray && typeof this.#key === "number" ? { records: { from: this.#key, to: this.#key } } : {};
    this.#blocks.push({ type: "record", text: this.#lines.join("\n"), place: { ...record, lines } });
    this.#lines = [];
    this.#chars = 0;
  }
}

function lineOf({ path, text }: Leaf, skipped: number): string {
  const value = text.normalize("NFC").replaceAll("\0", "").trim();
  if (value === "" || value === "null") return "";
  const parts = path.slice(skipped);
  const shown = parts.length > pathPartsShown ? ["…", ...parts.slice(-pathPartsShown)] : parts;
  // A position inside a list tells a reader nothing; the keys do.
  const names = shown.filter((part) => typeof part === "string" && part !== "").join(".");
  return names === "" ? value : `${names}: ${value}`;
}
