import { NikaError } from "../../convex/model/error.ts";
import type { PassagePoint, Terms, Vectors } from "../../functions/ports/vectors.ts";

/** Everything in one array, compared with everything: what the real ones must agree with. */
export function fakeVectors(): Vectors {
  const held = new Map<string, PassagePoint>();
  const keyOf = (documentId: string, ordinal: number): string => JSON.stringify([documentId, ordinal]);
  const of = (documentId: string): PassagePoint[] => [...held.values()].filter((passage) => passage.documentId === documentId);
  const stopped = (signal: AbortSignal): void => {
    if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
  };
  return {
    async replace(documentId, passages, signal) {
      stopped(signal);
      let count = 0;
      for await (const passage of passages) {
        stopped(signal);
        held.set(keyOf(documentId, passage.ordinal), passage);
        count++;
      }
      for (const { ordinal } of of(documentId)) if (ordinal >= count) held.delete(keyOf(documentId, ordinal));
    },
    async remove(documentId) {
      for (const { ordinal } of of(documentId)) held.delete(keyOf(documentId, ordinal));
    },
    async search({ vector, terms, limit }, signal) {
      stopped(signal);
      const passages = [...held.values()];
      const hasDirection = vector.some((value) => value !== 0);
      const dense = hasDirection ? passages.map((passage) => ({ passage, score: dot(passage.vector, vector) })) : [];
      const lexical = passages
        .map((passage) => ({ passage, score: bm25(passage.terms, terms, passages) }))
        .filter(({ score }) => score > 0);
      const fused = new Map<PassagePoint, number>();
      for (const [weight, list] of [
        [1, dense],
        [2, lexical],
      ] as const) {
        const ranked = list.toSorted((a, b) => b.score - a.score);
        for (const [place, { passage }] of ranked.entries()) {
          fused.set(passage, (fused.get(passage) ?? 0) + 1 / ((place + 1) / weight + 1));
        }
      }
      const best = [...fused].toSorted(([, a], [, b]) => b - a).slice(0, limit);
      return best.map(([{ documentId, documentName, title, ordinal, text, place }, score]) => {
        return { documentId, documentName, title, ordinal, text, place, score };
      });
    },
    async count(documentId) {
      return documentId === undefined ? held.size : of(documentId).length;
    },
  };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function bm25(passage: Terms, query: Terms, all: readonly PassagePoint[]): number {
  return query.indices.reduce((sum, term, i) => {
    const at = passage.indices.indexOf(term);
    if (at === -1) return sum;
    const df = all.filter(({ terms }) => terms.indices.includes(term)).length;
    return sum + query.values[i]! * passage.values[at]! * Math.log(1 + (all.length - df + 0.5) / (df + 0.5));
  }, 0);
}
