/** Paths as they are drawn: what of them are lines and boxes of a page. */
import { apply, type Matrix } from "./matrix.ts";
import type { Rect, Rule } from "./shape.ts";

/** A map has a hundred thousand; a page of text and tables some hundred. */
export const shapesMax = 3_000;

export type PathPart = { readonly rect: Rect; readonly segments: readonly Rule[]; readonly isCurved: boolean };

/** The sub-paths of a path, each with its bounds and its lines along the axes. Slanted lines count as curves. */
export function partsOf(points: Float32Array, ctm: Matrix): PathPart[] {
  const parts: PathPart[] = [];
  let rect: Rect | undefined;
  let segments: Rule[] = [];
  let isCurved = false;
  let start: readonly [number, number] = [0, 0];
  let last = start;
  const flush = (): void => {
    if (rect && (segments.length > 0 || isCurved)) parts.push({ rect, segments, isCurved });
    rect = undefined;
    segments = [];
    isCurved = false;
  };
  const grow = ([x, y]: readonly [number, number]): void => {
    rect = rect
      ? { x: Math.min(rect.x, x), top: Math.min(rect.top, y), right: Math.max(rect.right, x), bottom: Math.max(rect.bottom, y) }
      : { x, top: y, right: x, bottom: y };
  };
  const lineTo = (next: readonly [number, number]): void => {
    const [dx, dy] = [Math.abs(next[0] - last[0]), Math.abs(next[1] - last[1])];
    if (dy <= 0.7 && dx > 0.7)
      segments.push({
        isHorizontal: true,
        at: (next[1] + last[1]) / 2,
        from: Math.min(next[0], last[0]),
        to: Math.max(next[0], last[0]),
      });
    else if (dx <= 0.7 && dy > 0.7)
      segments.push({
        isHorizontal: false,
        at: (next[0] + last[0]) / 2,
        from: Math.min(next[1], last[1]),
        to: Math.max(next[1], last[1]),
      });
    else if (dx > 0.7) isCurved = true;
    grow(next);
    last = next;
  };
  for (let at = 0; at < points.length && parts.length < shapesMax;) {
    const kind = points[at];
    const point = (offset: number): readonly [number, number] =>
      apply(ctm, points[at + offset] ?? 0, points[at + offset + 1] ?? 0);
    if (kind === 0) {
      flush();
      start = point(1);
      last = start;
      grow(start);
      at += 3;
    } else if (kind === 1) {
      lineTo(point(1));
      at += 3;
    } else if (kind === 2 || kind === 3) {
      isCurved = true;
      const end = kind === 2 ? 5 : 3;
      for (let offset = 1; offset <= end; offset += 2) grow(point(offset));
      last = point(end);
      at += end + 2;
    } else {
      lineTo(start);
      at += 1;
    }
  }
  flush();
  return parts;
}
