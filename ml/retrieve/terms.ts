import { isSpellable } from "./spelling.ts";
import { hashOf, words, type Word } from "./words.ts";

/** Weighted terms of a text: 32-bit hashes, unique and ascending, with a value each. Never empty. */
export type Terms = { readonly indices: readonly number[]; readonly values: readonly number[] };

/** Okapi BM25 as Qdrant's own bm25 model sets it (k, b and the average length in words), so that both stores score alike. */
const k = 1.2;
const b = 0.75;
const averageWords = 256;

/** The document half of BM25: saturated counts. The store multiplies by IDF. */
export function documentTerms(text: string): Terms {
  return termsOf(words(text));
}

/** What is stored of a text's wording: its terms, and the words in them that a misspelt question may mean. */
export function indexed(text: string): { readonly terms: Terms; readonly spellings: readonly string[] } {
  const all = words(text);
  const spellings = new Set<string>();
  for (const { form, isStop } of all) if (!isStop && isSpellable(form)) spellings.add(form);
  return { terms: termsOf(all), spellings: [...spellings] };
}

/** The question's half: each term once. `also` are further words, such as corrections, at half the value. */
export function queryTerms(text: string, also: readonly string[] = []): Terms {
  const asked = count(words(text)).counts;
  const extra = new Map(also.flatMap((word) => words(word)).map(({ hash }) => [hash, 1] as const));
  const all = new Map([...extra, ...asked]);
  return toTerms(all, (_, hash) => (asked.has(hash) ? 1 : alsoValue));
}

/** A code as one term, with and without its marks: not its parts, which stand in many texts. */
export function exactTerms(code: string): Terms {
  const all = words(code);
  const longest = Math.max(...all.map(({ form }) => form.replaceAll(/[^\p{L}\p{N}]/gu, "").length));
  const whole = all.filter(({ form }) => form.replaceAll(/[^\p{L}\p{N}]/gu, "").length === longest);
  return toTerms(new Map(whole.map(({ hash }) => [hash, 1])), () => 1);
}

const alsoValue = 0.5;

function termsOf(all: readonly Word[]): Terms {
  const { counts, length } = count(all);
  const norm = k * (1 - b + (b * length) / averageWords);
  return toTerms(counts, (tf) => (tf * (k + 1)) / (tf + norm));
}

function count(all: readonly Word[]): { counts: Map<number, number>; length: number } {
  const counts = new Map<number, number>();
  for (const word of all) if (!word.isStop) counts.set(word.hash, (counts.get(word.hash) ?? 0) + 1);
  // A text of function words alone still has terms, because an empty sparse vector is refused by some stores.
  if (counts.size === 0) for (const word of all) counts.set(word.hash, 1);
  if (counts.size === 0) counts.set(hashOf(""), 1);
  return { counts, length: all.length };
}

function toTerms(counts: Map<number, number>, value: (tf: number, hash: number) => number): Terms {
  const entries = [...counts].sort(([left], [right]) => left - right);
  return { indices: entries.map(([index]) => index), values: entries.map(([hash, tf]) => value(tf, hash)) };
}
