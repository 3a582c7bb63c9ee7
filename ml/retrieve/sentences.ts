/** A piece of a text as UTF-16 offsets: [from, to), without the white space around it. */
export type Span = { readonly from: number; readonly to: number };

/** Full stops that end no sentence, in English and French. Compared in lower case, without the stop. */
const abbreviations = new Set(
  (
    "mr mrs ms dr prof st no nr vs etc e.g i.e cf fig eq sec ch vol ed al inc ltd co corp jr sr approx dept est min max jan feb mar apr " +
    "jun jul aug sep sept oct nov dec m mm mme mlle art av bd tél tel p pp éd env ref réf nb p.ex"
  ).split(" "),
);

const boundary = /[.!?…]+["'”’»)\]]*(?=\s)|[。！？]+[」』”]*|\n+/gu;

/**
 * The sentences of a text, in order. A line break ends a sentence too, because rows, list items and records stand on lines of
 * their own. Rule-based: an unknown abbreviation cuts a sentence in two, which only makes a highlight shorter.
 */
export function sentences(text: string): Span[] {
  const spans: Span[] = [];
  let start = 0;
  boundary.lastIndex = 0;
  for (let match = boundary.exec(text); match; match = boundary.exec(text)) {
    const end = match.index + match[0].length;
    if (match[0][0] === "." && !endsSentence(text, match.index, end)) continue;
    push(spans, text, start, end);
    start = end;
  }
  push(spans, text, start, text.length);
  return spans;
}

/** Whether the full stop at `at` ends a sentence: not after an abbreviation or an initial, and not before a small letter. */
function endsSentence(text: string, at: number, end: number): boolean {
  let wordStart = at;
  while (wordStart > 0 && at - wordStart < 12 && !/[\s(]/u.test(text[wordStart - 1] ?? "")) wordStart -= 1;
  const word = text.slice(wordStart, at).toLowerCase();
  if (abbreviations.has(word) || /^\p{L}$/u.test(word)) return false;
  const next = /\S/u.exec(text.slice(end, end + 8))?.[0] ?? "";
  return !/\p{Ll}/u.test(next);
}

function push(spans: Span[], text: string, start: number, end: number): void {
  let from = start;
  let to = end;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  if (to > from) spans.push({ from, to });
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0x202f || code === 0x2028 || code === 0x2029;
}
