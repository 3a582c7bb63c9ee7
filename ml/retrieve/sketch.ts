import { hashOf, words } from "./words.ts";

/**
 * 64 numbers of 32 bits: for each of 64 orders of all shingles, the first shingle of the text. Two texts agree in about as many of
 * them as they share of their shingles (MinHash). Part of what is stored: a change of any constant makes old sketches worthless.
 */
export type Sketch = readonly number[];

const numbers = 64;
/** Words in a shingle. Three survive a changed word here and there; single words would make all invoices of a firm alike. */
const shingleWords = 3;
/** Enough of a long text to know it by. */
const wordsMax = 50_000;

/**
 * A text's sketch; undefined when it has too few words to tell. Numbers in a text count like words: two invoices of one template that
 * differ in their figures are alike, but not the same. Same text, same sketch, on any machine.
 */
export function sketchOf(texts: Iterable<string>): Sketch | undefined {
  const least = new Uint32Array(numbers).fill(0xffffffff);
  const last: number[] = [];
  let count = 0;
  for (const text of texts) {
    for (const { hash } of words(text)) {
      if (count >= wordsMax) break;
      count += 1;
      last.push(hash);
      if (last.length > shingleWords) last.shift();
      if (last.length < shingleWords) continue;
      take(least, hashOf(`${last[0]} ${last[1]} ${last[2]}`));
    }
  }
  return count < shingleWords + 2 ? undefined : Array.from(least);
}

/** The share of their shingles that two texts have in common, 0 to 1, as far as sketches tell: give or take 0.06 (one sigma). */
export function likeness(one: Sketch, other: Sketch): number {
  let same = 0;
  for (let at = 0; at < numbers; at += 1) if (one[at] === other[at]) same += 1;
  return same / numbers;
}

/** From here on two documents count as one in almost the same words. See the test for how often that is wrong. */
export const nearDuplicateMin = 0.6;

/**
 * Keys under which a sketch is filed, so that near-duplicates are found without comparing all with all: two that are alike to
 * `nearDuplicateMin` share one of these 21 keys with a probability of 0.99, two that share a fifth of their shingles with 0.15.
 */
export function bandsOf(sketch: Sketch): string[] {
  const rows = 3;
  return Array.from({ length: Math.floor(numbers / rows) }, (_, band) => {
    const part = sketch.slice(band * rows, (band + 1) * rows);
    return `${band.toString(36)}-${hashOf(part.join(" ")).toString(36)}`;
  });
}

/** One multiplication and shift for each order: fast, and independent enough for the error that the test measures. */
function take(least: Uint32Array, shingle: number): void {
  for (let at = 0; at < numbers; at += 1) {
    let hash = Math.imul(shingle ^ (seeds[at] ?? 0), 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
    const value = (hash ^ (hash >>> 13)) >>> 0;
    if (value < (least[at] ?? 0)) least[at] = value;
  }
}

const seeds = Array.from({ length: numbers }, (_, at) => hashOf(`sketch ${at}`));
