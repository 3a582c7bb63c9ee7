import { hashOf, words } from "./words.ts";

/** Weighted terms of a text: 32-bit hashes, unique and ascending, with a value each. Never empty. */
export type Terms = { readonly indices: readonly number[]; readonly values: readonly number[] };

/** Okapi BM25 as Qdrant's own bm25 model sets it (k, b and the average length in words), so that both stores score alike. */
const k = 1.2;
const b = 0.75;
const averageWords = 256;

/** The document half of BM25: saturated counts. The store multiplies by IDF. */
export function documentTerms(text: string): Terms {
  const { counts, length } = count(text);
  const norm = k * (1 - b + (b * length) / averageWords);
  return toTerms(counts, (tf) => (tf * (k + 1)) / (tf + norm));
}

/** The question's half: each term once. */
export function queryTerms(text: string): Terms {
  return toTerms(count(text).counts, () => 1);
}

function count(text: string): { counts: Map<number, number>; length: number } {
  const counts = new Map<number, number>();
  const all = words(text);
  for (const word of all) if (!word.isStop) counts.set(word.hash, (counts.get(word.hash) ?? 0) + 1);
  // A text of function words alone still has terms, because an empty sparse vector is refused by some stores.
  if (counts.size === 0) for (const word of all) counts.set(word.hash, 1);
  if (counts.size === 0) counts.set(hashOf(""), 1);
  return { counts, length: all.length };
}

function toTerms(counts: Map<number, number>, value: (tf: number) => number): Terms {
  const entries = [...counts].sort(([left], [right]) => left - right);
  return { indices: entries.map(([index]) => index), values: entries.map(([, tf]) => value(tf)) };
}
