/** A small inverted index in memory that scores as the vector store does (BM25, IDF over what is in it), for who ranks without a store. */
import type { Terms } from "./terms.ts";

export type LexicalIndex = {
  /** The best passages by their positions, best first; equal ones in order. */
  search(query: Terms, limit: number): { readonly at: number; readonly score: number }[];
};

export function lexicalIndex(passages: readonly Terms[]): LexicalIndex {
  const postings = new Map<number, { readonly at: number; readonly value: number }[]>();
  for (const [at, { indices, values }] of passages.entries()) {
    for (const [i, term] of indices.entries()) {
      const posting = { at, value: values[i]! };
      const known = postings.get(term);
      if (known) known.push(posting);
      else postings.set(term, [posting]);
    }
  }
  const rarity = (count: number): number => Math.log(1 + (passages.length - count + 0.5) / (count + 0.5));
  return {
    search: ({ indices, values }, limit) => {
      const scores = new Map<number, number>();
      for (const [i, term] of indices.entries()) {
        const found = postings.get(term) ?? [];
        const worth = rarity(found.length) * values[i]!;
        for (const { at, value } of found) scores.set(at, (scores.get(at) ?? 0) + worth * value);
      }
      const ranked = Array.from(scores, ([at, score]) => ({ at, score }));
      return ranked.sort((one, other) => other.score - one.score || one.at - other.at).slice(0, limit);
    },
  };
}
