/** From runs to segments (letters that stand together on a line) and from segments to lines. */
import type { Rect, Run } from "./shape.ts";

/** A stretch of a line without a wide gap in it: a line of a column, or what stands in a cell. */
export type Segment = Rect & { readonly text: string; readonly y: number; readonly size: number; readonly isBold: boolean };

/** A line of running text. A wide gap inside it is written as three spaces. */
export type Line = Segment & { readonly segments: readonly Segment[] };

/** A gap of this many type sizes may be the gutter between columns or cells. */
const segmentGap = 0.95;
/** A gap this wide, in type sizes, is not a space between words. */
const wideGap = 2.2;
const spaceGap = 0.16;

export function toSegments(runs: readonly Run[]): Segment[] {
  return rowsOf(runs.filter((run) => run.text.trim() !== "")).flatMap((row) => {
    const segments: Segment[] = [];
    let held: Run[] = [];
    let right = -Infinity;
    for (const run of row.toSorted((one, other) => one.x - other.x)) {
      if (held.length > 0 && run.x - right > Math.max(run.size, held.at(-1)?.size ?? 0) * segmentGap) {
        segments.push(toSegment(held));
        held = [];
        right = -Infinity;
      }
      // The same letters painted twice, a little apart, are how some programs make bold type.
      if (held.some((other) => other.text === run.text && Math.abs(other.x - run.x) < run.size * 0.12)) continue;
      held.push(run);
      right = Math.max(right, run.right);
    }
    if (held.length > 0) segments.push(toSegment(held));
    return segments;
  });
}

/** Things on one baseline, top to bottom. */
export function rowsOf<T extends { readonly x: number; readonly y: number; readonly size: number }>(items: readonly T[]): T[][] {
  const rows: T[][] = [];
  for (const item of [...items].sort((one, other) => one.y - other.y || one.x - other.x)) {
    const row = rows.at(-1);
    const base = row?.[0];
    if (row && base && Math.abs(base.y - item.y) <= Math.max(2, Math.min(base.size, item.size) * 0.4)) row.push(item);
    else rows.push([item]);
  }
  return rows;
}

function toSegment(runs: readonly Run[]): Segment {
  let text = "";
  let right = runs[0]?.x ?? 0;
  for (const run of runs) {
    if (text !== "" && run.x - right > run.size * spaceGap && !/\s$/u.test(text) && !/^\s/u.test(run.text)) text += " ";
    text += run.text;
    right = Math.max(right, run.right);
  }
  const size = weighted(runs);
  // The baseline of the largest type: a raised note mark does not lift its line.
  const y = runs.reduce((best, run) => (run.size > best.size ? run : best)).y;
  const chars = runs.reduce((sum, run) => sum + (run.isBold ? run.text.length : 0), 0);
  return {
    text: text.trim(),
    x: runs[0]?.x ?? 0,
    right,
    y,
    top: y - size * 0.85,
    bottom: y + size * 0.25,
    size,
    isBold: chars > text.length * 0.6,
  };
}

export function weighted(items: readonly { readonly text: string; readonly size: number }[]): number {
  const chars = items.reduce((sum, item) => sum + item.text.length, 0);
  return items.reduce((sum, item) => sum + item.size * item.text.length, 0) / Math.max(1, chars);
}

export function toLines(segments: readonly Segment[]): Line[] {
  return rowsOf(segments).map((row) => toLine(row.toSorted((one, other) => one.x - other.x)));
}

export function toLine(segments: readonly Segment[]): Line {
  let text = "";
  let right = segments[0]?.x ?? 0;
  for (const segment of segments) {
    if (text !== "") text += segment.x - right > segment.size * wideGap ? "   " : " ";
    text += segment.text;
    right = Math.max(right, segment.right);
  }
  return {
    text,
    x: segments[0]?.x ?? 0,
    right,
    y: segments[0]?.y ?? 0,
    top: Math.min(...segments.map((segment) => segment.top)),
    bottom: Math.max(...segments.map((segment) => segment.bottom)),
    size: weighted(segments),
    isBold: segments.every((segment) => segment.isBold),
    segments,
  };
}
