import type { Highlight } from "../../../convex/model/answer.ts";

export type Segment = { readonly text: string; readonly isMarked: boolean };
export type Excerpt = { readonly segments: readonly Segment[]; readonly isWhole: boolean };

/** About five lines on a phone: enough to judge a passage, little enough to see the next one coming. */
const excerptCharsMax = 320;
/** What stands before the first marked sentence, so that it is not read out of the blue. */
const contextChars = 90;

/** `text` cut at the borders of its highlights, which may come unsorted, overlap, or reach past the end. */
export function toSegments(text: string, highlights: readonly Highlight[]): Segment[] {
  const segments: Segment[] = [];
  let at = 0;
  for (const { from, to } of highlights.toSorted((a, b) => a.from - b.from)) {
    const [start, end] = [Math.max(from, at), Math.min(to, text.length)];
    if (end <= start) continue;
    if (start > at) segments.push({ text: text.slice(at, start), isMarked: false });
    segments.push({ text: text.slice(start, end), isMarked: true });
    at = end;
  }
  if (at < text.length) segments.push({ text: text.slice(at), isMarked: false });
  return segments;
}

/** What of a passage answers, in one line, with an ellipsis where something is left out between; all of it when nothing is marked. */
export function toQuotation(text: string, highlights: readonly Highlight[]): string {
  const segments = toSegments(text, highlights);
  const first = segments.findIndex(({ isMarked }) => isMarked);
  const last = segments.findLastIndex(({ isMarked }) => isMarked);
  if (first < 0) return oneLine(text);
  const parts = segments.slice(first, last + 1).map((one) => (one.isMarked || one.text.trim() === "" ? one.text : " … "));
  return oneLine(parts.join(""));
}

const oneLine = (text: string): string => text.replace(/\s+/gu, " ").trim();

/** The part of a long passage around its first highlight, cut at spaces and with an ellipsis where something is left out. */
export function toExcerpt(text: string, highlights: readonly Highlight[]): Excerpt {
  if (text.length <= excerptCharsMax * 1.25) return { segments: toSegments(text, highlights), isWhole: true };
  const first = highlights.reduce((least, { from }) => Math.min(least, from), text.length);
  const wanted = first === text.length ? 0 : Math.max(0, first - contextChars);
  const start = wanted === 0 ? 0 : afterSpace(text, Math.min(wanted, text.length - excerptCharsMax));
  const end = start + excerptCharsMax >= text.length ? text.length : beforeSpace(text, start + excerptCharsMax);
  const shifted = highlights.map(({ from, to }) => ({ from: Math.max(from - start, 0), to: Math.min(to, end) - start }));
  const inner = toSegments(text.slice(start, end), shifted);
  const ellipsis = (isCut: boolean): Segment[] => (isCut ? [{ text: "…", isMarked: false }] : []);
  return { segments: [...ellipsis(start > 0), ...inner, ...ellipsis(end < text.length)], isWhole: false };
}

/** The start of the first word at or after `index`; `index` itself when no space is near. */
function afterSpace(text: string, index: number): number {
  const space = text.slice(index, index + 40).search(/\s/u);
  return space < 0 ? whole(text, index) : index + space + 1;
}

/** The end of the last word at or before `index`. */
function beforeSpace(text: string, index: number): number {
  const tail = text.slice(Math.max(0, index - 40), index);
  const space = tail.search(/\s\S*$/u);
  return space < 0 ? whole(text, index) : index - tail.length + space;
}

/** Not between the halves of a character outside the basic plane. */
function whole(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  return unit >= 0xdc00 && unit <= 0xdfff ? index - 1 : index;
}
