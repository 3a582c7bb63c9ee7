/**
 * What a search read and what a write touched, in keys that meet exactly when the written document could enter the result: they share a
 * term, and where the search gave every filter, the filters too. That a document of the result changes is seen by its id.
 */
import { afterKey, afterPrefix } from "../codec/key.ts";
import type { ReadRange } from "../model/commit.ts";
import type { TextEntry, TextIndex } from "./texts.ts";
import type { QueryTerms } from "./terms.ts";

const byTerm = Uint8Array.of(0);
const byFiltersAndTerm = Uint8Array.of(1);
/** Stands for any term: a document of very many would otherwise flood the log of commits. */
const anyTerm = Uint8Array.of(2);
const end = Uint8Array.of(0);
const termsPublishedMax = 512;

export function textWrites(index: TextIndex, entry: TextEntry): readonly Uint8Array[] {
  if (entry.counts.size > termsPublishedMax) return [anyTerm];
  const keys: Uint8Array[] = [];
  for (const term of entry.counts.keys()) {
    const bytes = Buffer.from(term);
    keys.push(joined(byTerm, bytes, end));
    if (index.filterFields.length > 0) keys.push(joined(byFiltersAndTerm, entry.filters, bytes, end));
  }
  return keys;
}

/** `hashes` are those of all filter fields in order, or undefined when the search left one out. */
export function textReads(index: TextIndex, terms: QueryTerms, hashes: Uint8Array | undefined): readonly ReadRange[] {
  if (terms.prefix === undefined) return [];
  const head = hashes ? joined(byFiltersAndTerm, hashes) : byTerm;
  const point = (key: Uint8Array): ReadRange => ({ index: index.name, lower: key, upper: afterKey(key) });
  const prefix = joined(head, Buffer.from(terms.prefix));
  return [
    point(anyTerm),
    ...terms.whole.map((one) => point(joined(head, Buffer.from(one), end))),
    { index: index.name, lower: prefix, upper: afterPrefix(prefix) },
  ];
}

/** Memory of its own, because keys are sent to other threads. */
function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
