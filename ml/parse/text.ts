import type { Block } from "./block.ts";

/** A line this short that is not a sentence was broken on purpose: verse, addresses, lists, logs. */
const wrappedLineCharsMin = 45;
/** A longer paragraph is handed on in stretches, so that a passage still knows its lines. */
const stretchChars = 900;

/** Plain text as paragraphs between blank lines, each with its lines. Hard-wrapped prose is joined again. */
export function textBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  const lines = text.split("\n");
  let held: string[] = [];
  let first = 1;
  const flush = (next: number): void => {
    if (held.length > 0)
      blocks.push({ type: "paragraph", text: held.join("\n"), place: { lines: { from: first, to: next - 1 } } });
    held = [];
  };
  let chars = 0;
  for (const [at, raw] of lines.entries()) {
    const line = raw.trimEnd();
    if (
      line.trim() === "" ||
      (chars > stretchChars && /[.!?…:]["'”’»)]*$/u.test(held.at(-1) ?? "")) ||
      chars > stretchChars * 2
    ) {
      flush(at + 1);
      chars = 0;
    }
    if (line.trim() === "") continue;
    if (held.length === 0) first = at + 1;
    const last = held.at(-1);
    if (last !== undefined && isWrapped(last, line)) held[held.length - 1] = joined(last, line.trimStart());
    else held.push(line);
    chars += line.length + 1;
  }
  flush(lines.length + 1);
  return blocks;
}

/** Whether `next` carries on the sentence of `line`. `line` may already be several lines long. */
function isWrapped(line: string, next: string): boolean {
  if (line.length < wrappedLineCharsMin || /^\s*(?:[-*•>|]|\d{1,2}[.)]\s)/u.test(next)) return false;
  if (/\t|\s{3,}\S/u.test(line.trimStart()) || /\t|\s{3,}\S/u.test(next.trimStart())) return false;
  // Code ends its lines with a sign, prose with a word or a comma.
  if (/[;:{}()[\]<>=|&*/\\]$/u.test(line) || !/^\s*["'“«‘(]?[\p{L}\p{N}]/u.test(next)) return false;
  // A line that starts like a log or a record stands on its own.
  return !/^(?:\d{4}-\d\d-\d\d|\[|[\w.-]+[:=]\s)/u.test(next);
}

/** A word cut by a hyphen at the line's end is one word again. */
function joined(line: string, next: string): string {
  return /\p{Ll}-$/u.test(line) && /^\p{Ll}/u.test(next) ? line.slice(0, -1) + next : `${line} ${next}`;
}
