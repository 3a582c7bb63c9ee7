import { hashOf } from "./words.ts";

/** Shorter words have too many neighbours to guess by; longer runs are codes. */
const lettersMin = 4;
const lettersMax = 24;
/** More than this reads like a list of guesses. */
const closestMax = 3;

/** Whether a word (lower case, accents folded) is one a slip of the pen can be told in: letters only, neither short nor a code. */
export function isSpellable(form: string): boolean {
  return form.length >= lettersMin && form.length <= lettersMax && /^\p{L}+$/u.test(form);
}

/** Hashes of a word's letters by threes, its ends marked; unique. */
export function trigrams(word: string): number[] {
  const padded = `^${word}$`;
  const grams = new Set<number>();
  for (let at = 0; at + 3 <= padded.length; at += 1) grams.add(hashOf(`3:${padded.slice(at, at + 3)}`));
  // Two letters at the start, because slips there are rare and a swap in a short word leaves no three in order.
  grams.add(hashOf(`2:${padded.slice(0, 3)}`));
  return [...grams];
}

/** Of `candidates`, those that the fewest slips make of `word`, at most three: one slip up to 7 letters, two beyond. */
export function closest(word: string, candidates: readonly string[]): string[] {
  const slipsMax = word.length <= 7 ? 1 : 2;
  const near = candidates
    .filter((candidate) => candidate !== word)
    .map((candidate) => ({ candidate, slips: slipsBetween(word, candidate, slipsMax) }))
    .filter(({ slips }) => slips <= slipsMax);
  const fewest = Math.min(...near.map(({ slips }) => slips));
  return near
    .filter(({ slips }) => slips === fewest)
    .sort((one, other) => sharedStart(word, other.candidate) - sharedStart(word, one.candidate))
    .slice(0, closestMax)
    .map(({ candidate }) => candidate);
}

/** Letters added, dropped, changed or swapped with the next one; more than `max` is told as `max + 1`. */
function slipsBetween(one: string, other: string, max: number): number {
  if (Math.abs(one.length - other.length) > max) return max + 1;
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const isSame = one[i - 1] === other[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    if (Math.min(...row) > max) return max + 1;
    before = last;
    last = row;
  }
  return last[other.length]!;
}

function sharedStart(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}
