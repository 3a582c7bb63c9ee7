import type { Box } from "../../../convex/model/place.ts";

/** A rectangle in points, y downwards from the top of the page. */
export type Rect = { readonly x: number; readonly top: number; readonly right: number; readonly bottom: number };

/** Letters that stand together, upright. `y` is the baseline. */
export type Run = {
  readonly text: string;
  readonly x: number;
  readonly right: number;
  readonly y: number;
  readonly size: number;
  readonly isBold: boolean;
};

/** A straight line along an axis, as tables are ruled with. */
export type Rule = { readonly isHorizontal: boolean; readonly at: number; readonly from: number; readonly to: number };

/** Pixels on a page. `key` is equal for the same picture on other pages. */
export type PageImage = Rect & {
  readonly key: string;
  /** Pixels of its shorter side. */
  readonly pixels: number;
  readonly isMask: boolean;
  /** Clockwise turns, after mirroring it top to bottom, that set it upright. */
  readonly quarters: 0 | 1 | 2 | 3;
  readonly isMirrored: boolean;
  /** Its pixels when they travel with the operator. */
  readonly inline?: unknown;
};

/** Everything a page shows that its layout is told from. */
export type PageInk = {
  readonly width: number;
  readonly height: number;
  readonly runs: readonly Run[];
  /** Runs turned by a quarter, a half or three quarters, each in the coordinates of the page turned so that they are upright. */
  readonly turned: readonly { readonly quarters: 1 | 2 | 3; readonly runs: readonly Run[] }[];
  readonly rules: readonly Rule[];
  readonly images: readonly PageImage[];
  /** Where lines and areas are drawn that rule no table. */
  readonly drawings: readonly Rect[];
};

export function union(rects: readonly Rect[]): Rect {
  let [x, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const rect of rects) {
    x = Math.min(x, rect.x);
    top = Math.min(top, rect.top);
    right = Math.max(right, rect.right);
    bottom = Math.max(bottom, rect.bottom);
  }
  return { x, top, right, bottom };
}

export function overlap(from: number, to: number, otherFrom: number, otherTo: number): number {
  return Math.max(0, Math.min(to, otherTo) - Math.max(from, otherFrom));
}

export function area(rect: Rect): number {
  return Math.max(0, rect.right - rect.x) * Math.max(0, rect.bottom - rect.top);
}

export function shared(one: Rect, other: Rect): number {
  return overlap(one.x, one.right, other.x, other.right) * overlap(one.top, one.bottom, other.top, other.bottom);
}

/** A rectangle as fractions of its page, turned back by `quarters` first when the page was turned to read it. */
export function toBox(rect: Rect, page: { readonly width: number; readonly height: number }, quarters = 0): Box {
  const { width, height } = page;
  const [x, top, right, bottom] =
    quarters === 1
      ? [width - rect.bottom, rect.x, width - rect.top, rect.right]
      : quarters === 2
        ? [width - rect.right, height - rect.bottom, width - rect.x, height - rect.top]
        : quarters === 3
          ? [rect.top, height - rect.right, rect.bottom, height - rect.x]
          : [rect.x, rect.top, rect.right, rect.bottom];
  const left = fraction(x / width);
  const upper = fraction(top / height);
  return {
    left,
    top: upper,
    width: rounded(fraction(right / width) - left),
    height: rounded(fraction(bottom / height) - upper),
  };
}

function fraction(value: number): number {
  return rounded(Math.min(1, Math.max(0, value)));
}

function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
