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

type Posting = { readonly id: Uint8Array; readonly hits: number; readonly length: number };
type Scored = { readonly id: Uint8Array; score: number };
type Known = { readonly createdMs: number; readonly filters: Uint8Array };
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
  // The length is held with each term, so that a common word is one walk and no look-ups.
  const holders = db.prepare("SELECT id, hits, length FROM searchTerms WHERE indexId = ? AND term = ?");
  const beginners = db.prepare("SELECT id, hits, length FROM searchTerms WHERE indexId = ? AND term >= ? AND term < ?");
  const known = db.prepare("SELECT createdMs, filters FROM searchDocuments WHERE indexId = ? AND id = ?");

  /** All terms with that beginning count as one. */
  const holdersOfPrefix = (indexId: number, prefix: string): readonly Posting[] => {
    const merged = new Map<string, { readonly id: Uint8Array; hits: number; readonly length: number }>();
    for (const one of beginners.all(indexId, prefix, `${prefix}\u{10ffff}`) as unknown as readonly Posting[]) {
      const name = nameOf(one.id);
      const same = merged.get(name);
      if (same) same.hits += one.hits;
      else merged.set(name, { ...one });
    }
    return [...merged.values()];
  };

  const score = (
    found: Map<string, Scored>,
    postings: readonly Posting[],
    { documents, length }: { documents: number; length: number },
  ): void => {
    const rarity = Math.log(1 + (documents - postings.length + 0.5) / (postings.length + 0.5));
    const usual = length / Math.max(documents, 1);
    for (const one of postings) {
      const weight = saturation * (1 - lengthWeight + lengthWeight * (one.length / Math.max(usual, 1)));
      const gain = (rarity * one.hits * (saturation + 1)) / (one.hits + weight);
      const name = nameOf(one.id);
      const other = found.get(name);
      if (other) other.score += gain;
      else found.set(name, { id: one.id, score: gain });
    }
  };

  /** From the best down, until there are enough; those of equal score are all looked at, because age decides among them. */
  const best = (indexId: number, ranked: readonly Scored[], filters: readonly Wanted[]): readonly Hit[] => {
    const hits: (Scored & { readonly createdMs: number })[] = [];
    for (const one of ranked) {
      const last = hits[hitsMax - 1];
      if (last && one.score < last.score) break;
      const { createdMs, filters: held } = known.get(indexId, one.id) as unknown as Known;
      if (filters.every((wanted) => hasFilter(held, wanted))) hits.push({ ...one, createdMs });
    }
    return hits
      .toSorted((a, b) => b.score - a.score || b.createdMs - a.createdMs)
      .slice(0, hitsMax)
      .map(({ id, score: points, createdMs }) => ({ id, key: Buffer.concat([encodeKey([-points, -createdMs]), id]) }));
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
      const found = new Map<string, Scored>();
      for (const term of whole) score(found, holders.all(indexId, term) as unknown as readonly Posting[], all);
      score(found, holdersOfPrefix(indexId, prefix), all);
      return best(
        indexId,
        [...found.values()].toSorted((a, b) => b.score - a.score),
        filters,
      );
    },
  };
}

/** An id as something that a map can hash. */
function nameOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}
