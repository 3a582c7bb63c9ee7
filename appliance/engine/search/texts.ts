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

type Posting = {
  readonly id: Uint8Array;
  readonly hits: number;
  readonly length: number;
  readonly createdMs: number;
  readonly filters: Uint8Array;
};
type Scored = { readonly id: Uint8Array; readonly createdMs: number; score: number };

/** Undefined for a document that has no text in that field: it is never found. */
export function toTextEntry(index: TextIndex, document: JsonObject): TextEntry | undefined {
  const text = fieldAt(document, index.searchField);
  if (typeof text !== "string") return undefined;
  const terms = termsOf(text);
  return { counts: countTerms(terms), length: terms.length, filters: hashFilters(index.filterFields, document) };
}

export type Texts = ReturnType<typeof openTexts>;

export function openTexts(db: DatabaseSync) {
  const addTerm = db.prepare("INSERT INTO searchTerms (indexId, term, id, hits) VALUES (?, ?, ?, ?)");
  const removeTerm = db.prepare("DELETE FROM searchTerms WHERE indexId = ? AND term = ? AND id = ?");
  const addDocument = db.prepare("INSERT INTO searchDocuments (indexId, id, length, createdMs, filters) VALUES (?, ?, ?, ?, ?)");
  const removeDocument = db.prepare("DELETE FROM searchDocuments WHERE indexId = ? AND id = ?");
  const addTotals = db.prepare(
    `INSERT INTO searchTotals (indexId, documents, length) VALUES (?, ?, ?)
     ON CONFLICT (indexId) DO UPDATE SET documents = documents + excluded.documents, length = length + excluded.length`,
  );
  const totals = db.prepare("SELECT documents, length FROM searchTotals WHERE indexId = ?");
  // CROSS JOIN fixes the order of the loops: the term's postings first, then one look-up per document.
  const postings = db.prepare(
    `SELECT t.id AS id, sum(t.hits) AS hits, d.length AS length, d.createdMs AS createdMs, d.filters AS filters
     FROM searchTerms t CROSS JOIN searchDocuments d ON d.indexId = t.indexId AND d.id = t.id
     WHERE t.indexId = ? AND t.term >= ? AND t.term < ? GROUP BY t.id`,
  );

  const score = (
    found: Map<string, Scored>,
    hits: readonly Posting[],
    { documents, length }: { documents: number; length: number },
  ): void => {
    const rarity = Math.log(1 + (documents - hits.length + 0.5) / (hits.length + 0.5));
    const usual = length / Math.max(documents, 1);
    for (const one of hits) {
      const weight = saturation * (1 - lengthWeight + lengthWeight * (one.length / Math.max(usual, 1)));
      const gain = (rarity * one.hits * (saturation + 1)) / (one.hits + weight);
      const name = Buffer.from(one.id).toString("latin1");
      const known = found.get(name);
      if (known) known.score += gain;
      else found.set(name, { id: one.id, createdMs: one.createdMs, score: gain });
    }
  };

  return {
    add(indexId: number, document: { readonly id: Uint8Array; readonly createdMs: number }, entry: TextEntry): void {
      for (const [term, hits] of entry.counts) addTerm.run(indexId, term, document.id, hits);
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
    find(indexId: number, terms: QueryTerms, filters: readonly { readonly at: number; readonly hash: Buffer }[]): readonly Hit[] {
      const found = new Map<string, Scored>();
      const all = totals.get(indexId) as { documents: number; length: number } | undefined;
      if (!all || terms.prefix === undefined) return [];
      const spans = [
        ...terms.whole.map((one) => [one, `${one}\0`] as const),
        [terms.prefix, `${terms.prefix}\u{10ffff}`] as const,
      ];
      for (const [from, to] of spans) {
        const hits = postings.all(indexId, from, to) as unknown as readonly Posting[];
        score(
          found,
          hits.filter((one) => filters.every((wanted) => hasFilter(one.filters, wanted))),
          all,
        );
      }
      return [...found.values()]
        .toSorted((a, b) => b.score - a.score || b.createdMs - a.createdMs)
        .slice(0, hitsMax)
        .map(({ id, score: points, createdMs }) => ({ id, key: Buffer.concat([encodeKey([-points, -createdMs]), id]) }));
    },
  };
}
