/** Reading order: which parts of a page are columns beside each other, and what spans them. */
import type { Rect } from "./shape.ts";
import type { Segment } from "./lines.ts";

/** What is put in order: a segment of text, or something taken out of the text before (a table, a figure) with no text of its own. */
export type Atom<T> = Rect & { readonly text: string; readonly what: Segment | T };

const binPoints = 2;
/** Columns are apart by at least this. */
const gutterPoints = 7;
/** A column of text has lines this long; cells of a table are shorter. */
const columnChars = 14;
const depthMax = 4;

/**
 * Groups in the order they are read; what is in a group stands in one column. A gutter is a white band from top to bottom that at most a
 * few wide lines cross; those lines cut the page into bands, and in each the left column is read before the right.
 */
export function inReadingOrder<T>(atoms: readonly Atom<T>[], depth = 0): Atom<T>[][] {
  const gutter = depth < depthMax ? findGutter(atoms) : undefined;
  if (gutter === undefined)
    return atoms.length > 0 ? [[...atoms].sort((one, other) => one.top - other.top || one.x - other.x)] : [];
  const groups: Atom<T>[][] = [];
  let left: Atom<T>[] = [];
  let right: Atom<T>[] = [];
  let wide: Atom<T>[] = [];
  const flushColumns = (): void => {
    groups.push(...inReadingOrder(left, depth + 1), ...inReadingOrder(right, depth + 1));
    left = [];
    right = [];
  };
  const flushWide = (): void => {
    if (wide.length > 0) groups.push(wide);
    wide = [];
  };
  for (const atom of [...atoms].sort((one, other) => one.top - other.top || one.x - other.x)) {
    if (crosses(atom, gutter)) {
      flushColumns();
      wide.push(atom);
    } else {
      flushWide();
      if (atom.right <= gutter) left.push(atom);
      else right.push(atom);
    }
  }
  flushColumns();
  flushWide();
  return groups;
}

function crosses(atom: Rect, gutter: number): boolean {
  return atom.x < gutter && atom.right > gutter;
}

function findGutter<T>(atoms: readonly Atom<T>[]): number | undefined {
  if (atoms.length < 6) return undefined;
  let from = Infinity;
  let to = -Infinity;
  for (const atom of atoms) {
    from = Math.min(from, atom.x);
    to = Math.max(to, atom.right);
  }
  const bins = Math.ceil((to - from) / binPoints);
  if (!(bins > 20 && bins < 10_000)) return undefined;
  const crossing = new Float64Array(bins);
  for (const atom of atoms) {
    const last = Math.min(bins - 1, Math.floor((atom.right - from) / binPoints));
    for (let bin = Math.max(0, Math.floor((atom.x - from) / binPoints)); bin <= last; bin += 1)
      crossing[bin] = (crossing[bin] ?? 0) + 1;
  }
  let best: { readonly at: number; readonly score: number } | undefined;
  const few = Math.max(1, atoms.length * 0.25);
  for (let bin = Math.floor(bins * 0.12); bin < bins * 0.88; bin += 1) {
    const level = crossing[bin] ?? 0;
    if (level > few) continue;
    let end = bin;
    while (end + 1 < bins && (crossing[end + 1] ?? 0) <= level) end += 1;
    const width = (end - bin + 1) * binPoints;
    const at = from + ((bin + end + 1) / 2) * binPoints;
    const score = width >= gutterPoints ? gutterScore(atoms, at) : 0;
    if (score > (best?.score ?? 0)) best = { at, score };
    bin = end;
  }
  return best?.at;
}

/** How much a gutter at `at` would set apart; 0 when it is none. */
function gutterScore<T>(atoms: readonly Atom<T>[], at: number): number {
  const left = atoms.filter((atom) => atom.right <= at);
  const right = atoms.filter((atom) => atom.x >= at);
  const crossing = atoms.length - left.length - right.length;
  const chars = (some: readonly Atom<T>[]): number => some.reduce((sum, atom) => sum + Math.max(atom.text.length, 1), 0);
  const total = chars(atoms);
  const isText = (some: readonly Atom<T>[]): boolean =>
    some.length >= 3 && chars(some) > total * 0.12 && chars(some) / rowCount(some) >= columnChars;
  if (!isText(left) || !isText(right)) return 0;
  const beside = besides(left, right);
  if (beside < Math.min(left.length, right.length) * 0.5 || beside < 3) return 0;
  return Math.min(left.length, right.length) - crossing * 0.5;
}

function rowCount(atoms: readonly Rect[]): number {
  return new Set(atoms.map((atom) => Math.round(atom.top / 4))).size;
}

/** How many on the shorter side have something beside them. */
function besides(left: readonly Rect[], right: readonly Rect[]): number {
  const [few, many] = left.length < right.length ? [left, right] : [right, left];
  const top = Math.min(...many.map((atom) => atom.top));
  const bottom = Math.max(...many.map((atom) => atom.bottom));
  return few.filter((atom) => atom.bottom > top && atom.top < bottom).length;
}
