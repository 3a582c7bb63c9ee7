/** Text as terms, the same for what is stored and for what is asked: cut at whatever is neither letter nor digit, in lower case. */

/** In UTF-8. Longer ones are left out, as the original leaves them out: they are hashes and garbage, not words. */
const termBytesMax = 32;
const queryTermsMax = 16;

/** In order, with repetitions. */
export function termsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{Alphabetic}\p{N}]+/gu) ?? [];
  return words.filter((one) => one.length <= termBytesMax && Buffer.byteLength(one) <= termBytesMax);
}

/** How often each term stands in the text. */
export function countTerms(terms: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of terms) counts.set(one, (counts.get(one) ?? 0) + 1);
  return counts;
}

export type QueryTerms = {
  /** Whole words, each once. */
  readonly whole: readonly string[];
  /** The last word, which may still be being typed; undefined when nothing was asked. */
  readonly prefix: string | undefined;
};

export function toQueryTerms(text: string): QueryTerms {
  const terms = termsOf(text).slice(0, queryTermsMax);
  const prefix = terms.pop();
  return { whole: [...new Set(terms)], prefix };
}
