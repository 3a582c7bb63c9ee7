/**
 * An inverted index per search index: which documents hold a term, and how often. It is written in the transaction of the document, so
 * a mutation finds what it just wrote. Ranking is BM25; of equal documents the younger comes first.
 */
import type { DatabaseSync } from "node:sqlite";
import { encodeKey } from "../codec/key.ts";
import { fieldAt, type JsonObject } from "../codec/value.ts";
import { hasFilter, hashFilters } from "./filters.ts";
import { countTerms, termsOf, type QueryTerms } from "./terms.ts";

export type TextIndex = {
  readonly id: number;
  /** `table.index` */
  readonly name: string;
  readonly searchField: string;
  readonly filterFields: readonly string[];
};

/** What the index knows of one document. */
export type TextEntry = { readonly counts: ReadonlyMap<string, number>; readonly length: number; readonly filters: Uint8Array };
/** `key` sorts hits as they rank and ends in the document's id. */
export type Hit = { readonly key: Uint8Array; readonly id: Uint8Array };

export const hitsMax = 1024;

// BM25's usual constants: how soon repetition stops to count, and how much a long document loses.
const saturation = 1.2;
const lengthWeight = 0.75;

/** Id, how often the term is in it, how many terms it has, when it was made (ms). Lists cost half of what objects with names do. */
type Posting = readonly [id: Uint8Array, hits: number, length: number, createdMs: number];
type Scored = { readonly id: Uint8Array; readonly createdMs: number; score: number };
type Wanted = { readonly at: number; readonly hash: Buffer };

/** Undefined for a document that has no text in that field: it is never found. */
export function toTextEntry(index: TextIndex, document: JsonObject): TextEntry | undefined {
  const text = fieldAt(document, index.searchField);
  if (typeof text !== "string") return undefined;
  const terms = termsOf(text);
  return { counts: countTerms(terms), length: terms.length, filters: hashFilters(index.filterFields, document) };
}

export type Texts = ReturnType<typeof openTexts>;

export function openTexts(db: DatabaseSync) {
  const addTerm = db.prepare("INSERT INTO searchTerms (indexId, term, id, hits, length) VALUES (?, ?, ?, ?, ?)");
  const removeTerm = db.prepare("DELETE FROM searchTerms WHERE indexId = ? AND term = ? AND id = ?");
  const addDocument = db.prepare("INSERT INTO searchDocuments (indexId, id, length, createdMs, filters) VALUES (?, ?, ?, ?, ?)");
  const removeDocument = db.prepare("DELETE FROM searchDocuments WHERE indexId = ? AND id = ?");
  const addTotals = db.prepare(
    `INSERT INTO searchTotals (indexId, documents, length) VALUES (?, ?, ?)
     ON CONFLICT (indexId) DO UPDATE SET documents = documents + excluded.documents, length = length + excluded.length`,
  );
  const totals = db.prepare("SELECT documents, length FROM searchTotals WHERE indexId = ?");
  // The length is held with each term, so that a common word is one walk; its age is looked up on the way.
  const holders = db.prepare(
    `SELECT t.id, t.hits, t.length, d.createdMs FROM searchTerms t JOIN searchDocuments d ON d.indexId = t.indexId AND d.id = t.id
     WHERE t.indexId = ? AND t.term = ?`,
  );
  // All terms with that beginning count as one. A letter may begin half of all there are, so they are added up where they lie.
  const beginners = db.prepare(
    `SELECT t.id, t.hits, t.length, d.createdMs FROM
       (SELECT id, sum(hits) AS hits, min(length) AS length FROM searchTerms WHERE indexId = ?1 AND term >= ?2 AND term < ?3 GROUP BY id) t
     JOIN searchDocuments d ON d.indexId = ?1 AND d.id = t.id`,
  );
  for (const one of [holders, beginners]) one.setReturnArrays(true);
  const filtersOf = db.prepare("SELECT filters FROM searchDocuments WHERE indexId = ? AND id = ?");

  const scored = (
    postings: readonly Posting[],
    { documents, length }: { documents: number; length: number },
  ): readonly Scored[] => {
    const rarity = Math.log(1 + (documents - postings.length + 0.5) / (postings.length + 0.5));
    const usual = Math.max(length / Math.max(documents, 1), 1);
    return postings.map(([id, hits, own, createdMs]) => {
      const weight = saturation * (1 - lengthWeight + lengthWeight * (own / usual));
      return { id, createdMs, score: (rarity * hits * (saturation + 1)) / (hits + weight) };
    });
  };

  /** From the best down, until there are enough that every filter lets pass. */
  const best = (indexId: number, found: readonly Scored[], filters: readonly Wanted[]): readonly Hit[] => {
    const hits: Hit[] = [];
    for (const { id, score: points, createdMs } of ranked(found)) {
      if (hits.length === hitsMax) break;
      if (filters.length > 0) {
        const { filters: held } = filtersOf.get(indexId, id) as { filters: Uint8Array };
        if (!filters.every((wanted) => hasFilter(held, wanted))) continue;
      }
      hits.push({ id, key: Buffer.concat([encodeKey([-points, -createdMs]), id]) });
    }
    return hits;
  };

  return {
    add(indexId: number, document: { readonly id: Uint8Array; readonly createdMs: number }, entry: TextEntry): void {
      for (const [term, hits] of entry.counts) addTerm.run(indexId, term, document.id, hits, entry.length);
      addDocument.run(indexId, document.id, entry.length, document.createdMs, entry.filters);
      addTotals.run(indexId, 1, entry.length);
    },
    remove(indexId: number, id: Uint8Array, entry: TextEntry): void {
      for (const term of entry.counts.keys()) removeTerm.run(indexId, term, id);
      removeDocument.run(indexId, id);
      addTotals.run(indexId, -1, -entry.length);
    },
    drop(indexId: number): void {
      for (const table of ["searchTerms", "searchDocuments", "searchTotals"])
        db.prepare(`DELETE FROM ${table} WHERE indexId = ?`).run(indexId);
    },
    /** Best first, at most `hitsMax`. A document needs one of the terms and every filter. */
    find(indexId: number, { whole, prefix }: QueryTerms, filters: readonly Wanted[]): readonly Hit[] {
      const all = totals.get(indexId) as { documents: number; length: number } | undefined;
      if (!all || prefix === undefined) return [];
      const postings = (of: readonly unknown[]): readonly Posting[] => of as readonly Posting[];
      const begun = scored(postings(beginners.all(indexId, prefix, `${prefix}\u{10ffff}`)), all);
      if (whole.length === 0) return best(indexId, begun, filters);
      const found = new Map<string, Scored>();
      const merge = (one: Scored): void => {
        const name = nameOf(one.id);
        const other = found.get(name);
        if (other) other.score += one.score;
        else found.set(name, one);
      };
      for (const term of whole) scored(postings(holders.all(indexId, term)), all).forEach(merge);
      begun.forEach(merge);
      return best(indexId, [...found.values()], filters);
    },
  };
}

/** How many are put in order at first: enough where few are kept out by filters. */
const firstRanked = 4 * hitsMax;

/** Best first, and of equals the younger. The many that nobody will ask for are put in order only if somebody does. */
function* ranked(found: readonly Scored[]): Generator<Scored> {
  const order = (a: Scored, b: Scored): number => b.score - a.score || b.createdMs - a.createdMs;
  if (found.length <= firstRanked) return yield* found.toSorted(order);
  const scores = Float64Array.from(found, (one) => one.score).sort();
  const least = scores[scores.length - firstRanked] as number;
  yield* found.filter((one) => one.score >= least).toSorted(order);
  yield* found.filter((one) => one.score < least).toSorted(order);
}

/** An id as something that a map can hash. */
function nameOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}
