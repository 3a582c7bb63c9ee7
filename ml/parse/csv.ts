import type { Block } from "./block.ts";
import { UnreadableError } from "./unreadable.ts";
import { hasHeader } from "./grid.ts";
import { textBlocks } from "./text.ts";

export const delimiters = [",", ";", "\t", "|"] as const;
export type Delimiter = (typeof delimiters)[number];

/** A cell costs some 60 bytes beyond its text; this keeps a table of tiny cells within the memory a reader has. */
const cellsMax = 800_000;
/** Characters looked at to tell the delimiter; a row of ten thousand columns still fits. */
const sampleChars = 256 * 1024;
/** Records looked at to tell the delimiter. */
const sampleRecords = 30;

/** A table with a header row, if it has one. What cannot be told apart into cells is read as lines of text. */
export async function csvBlocks(text: string, delimiter: Delimiter): Promise<Block[]> {
  const rows = (await readRows(text, delimiter, '"')) ?? (await readRows(text, delimiter, null));
  if (!rows) return textBlocks(text);
  const [first = [], ...rest] = rows;
  return hasHeader(first, rest)
    ? [{ type: "table", columns: first.map((cell) => cell.trim()), rows: rest, place: {} }]
    : [{ type: "table", columns: [], rows, place: {} }];
}

/** Undefined when quotes do not close: then a quote is taken for an ordinary character. */
async function readRows(text: string, delimiter: Delimiter, quote: '"' | null): Promise<string[][] | undefined> {
  const { parse } = await import("csv-parse/sync");
  let cells = 0;
  try {
    return parse(text, {
      delimiter,
      quote,
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      on_record: (record: string[]) => {
        cells += record.length;
        if (cells > cellsMax) throw new UnreadableError("tooManyPassages");
        return record;
      },
    });
  } catch (error) {
    if (error instanceof UnreadableError || quote === null) throw error;
    return undefined;
  }
}

/** The delimiter of a text whose records agree on their number of cells; undefined when it is no table. `records` is how many it takes. */
export function findDelimiter(text: string, recordsMin: number): Delimiter | undefined {
  const sample = text.slice(0, sampleChars);
  const isCut = sample.length < text.length;
  let best: { delimiter: Delimiter; cells: number } | undefined;
  for (const delimiter of delimiters) {
    const counts = cellCounts(sample, delimiter, isCut);
    const cells = counts[0] ?? 0;
    if (counts.length < recordsMin || cells < 2) continue;
    const alike = counts.filter((count) => count === cells).length;
    if (alike >= counts.length * 0.8 && (!best || cells > best.cells)) best = { delimiter, cells };
  }
  return best?.delimiter;
}

/** Cells of each of the first records, minding quotes. */
function cellCounts(sample: string, delimiter: string, isCut: boolean): number[] {
  const counts: number[] = [];
  let cells = 1;
  let quoted = false;
  let isBlank = true;
  for (const char of sample) {
    if (char === '"') quoted = !quoted;
    else if (char === delimiter && !quoted) cells += 1;
    if (char === "\n" && !quoted) {
      if (!isBlank) counts.push(cells);
      if (counts.length >= sampleRecords) return counts;
      cells = 1;
      isBlank = true;
    } else if (char !== " ") {
      isBlank = false;
    }
  }
  if (!isBlank && !quoted && !isCut) counts.push(cells);
  return counts;
}
