import type { SearchFilter } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import { fusionDefault } from "../../convex/model/model.ts";
import type { HeldGroup, PassagePoint, StoredPassage, Terms, Vectors } from "../../functions/ports/vectors.ts";
import { fuse } from "../../ml/retrieve/fuse.ts";
import { foldersOf, nameWords, toFolder } from "../../ml/retrieve/names.ts";
import { closest } from "../../ml/retrieve/spelling.ts";

type Held = PassagePoint & { readonly tenantId: string };

export type FakeVectors = Vectors & {
  /** What it holds, by tenant, document and place. */
  readonly held: Map<string, Held>;
};

/** Everything in one array, compared with everything: what the real ones must agree with. */
export function fakeVectors(): FakeVectors {
  const held = new Map<string, Held>();
  const words = new Map<string, Set<string>>();
  const keyOf = (tenantId: string, documentId: string, ordinal: number): string =>
    JSON.stringify([tenantId, documentId, ordinal]);
  const of = (tenantId: string, documentId?: string): Held[] =>
    [...held.values()].filter((one) => one.tenantId === tenantId && (documentId === undefined || one.documentId === documentId));
  const drop = ({ tenantId, documentId, ordinal }: Held): boolean => held.delete(keyOf(tenantId, documentId, ordinal));
  const put = (one: Held): unknown => held.set(keyOf(one.tenantId, one.documentId, one.ordinal), one);
  const stopped = (signal: AbortSignal): void => {
    if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
  };
  const waiting = ({ tenantId, batchId, only }: HeldGroup): Held[] =>
    of(tenantId).filter((one) => {
      if (one.hold?.batchId !== batchId) return false;
      const { entityType, language, domain } = labelled(one);
      const value = only && { type: entityType, language, theme: domain, folder: one.hold.folder }[only.by];
      return !only || value === only.value;
    });
  return {
    held,
    async replace({ tenantId, documentId }, passages, signal) {
      stopped(signal);
      const made: PassagePoint[] = [];
      for await (const passage of passages) {
        stopped(signal);
        made.push(passage);
      }
      for (const one of of(tenantId, documentId)) drop(one);
      const known = words.get(tenantId) ?? new Set();
      words.set(tenantId, known);
      for (const passage of made) {
        put({ ...passage, tenantId });
        for (const word of passage.spellings ?? []) known.add(word);
      }
    },
    async remove({ tenantId, documentId }) {
      for (const one of of(tenantId, documentId)) drop(one);
      words.set(tenantId, new Set(of(tenantId).flatMap(({ spellings = [] }) => [...spellings])));
    },
    async label({ tenantId, documentId }, labels) {
      for (const one of of(tenantId, documentId)) put({ ...one, ...labels });
    },
    async release(group) {
      for (const { hold: _, ...one } of waiting(group)) put(one);
    },
    async discard(group) {
      for (const one of waiting(group)) drop(one);
    },
    async generation() {
      return { collection: "fake", fusion: fusionDefault };
    },
    async search({ tenantId, branches, filter, limit, generation }, signal) {
      stopped(signal);
      const all = of(tenantId).filter((one) => !one.hold);
      const rankings = branches.map((branch) => {
        const phrase = branch.phrase?.toLowerCase();
        const some = all.filter((one) => {
          const isAsked = passes(one, filter) && passes(one, branch.filter);
          return isAsked && (phrase === undefined || one.text.toLowerCase().includes(phrase));
        });
        const scored = some.map((id) => ({ id, score: scoreOf(id, branch, all) })).filter(({ score }) => score !== undefined);
        const hits = scored as { id: Held; score: number }[];
        return { name: branch.name, weight: branch.weight, hits: hits.sort((a, b) => b.score - a.score).slice(0, 60) };
      });
      return fuse(rankings, generation?.fusion)
        .slice(0, limit)
        .map(({ id, score, branches: found }) => ({ ...stored(id), score, branches: found }));
    },
    async passages({ tenantId, documentId, from, to }, signal) {
      stopped(signal);
      const some = of(tenantId, documentId).filter(({ ordinal }) => ordinal >= from && ordinal <= to);
      return some.sort((a, b) => a.ordinal - b.ordinal).map(stored);
    },
    async spellings({ tenantId, words: asked }, signal) {
      stopped(signal);
      const known = words.get(tenantId) ?? new Set();
      const unknown = asked.filter((word) => !known.has(word));
      return new Map(unknown.map((word) => [word, closest(word, [...known])]));
    },
    async count({ tenantId, documentId }) {
      return of(tenantId, documentId).length;
    },
  };
}

const labelled = <P extends PassagePoint>(one: P) => ({ scope: "private", entityType: "document", domain: "general", ...one });

function stored(one: Held): StoredPassage {
  const { tenantId: _, vector: _v, embedderId: _e, terms: _t, spellings: _s, hold: _h, ...passage } = labelled(one);
  return passage;
}

function scoreOf(one: Held, branch: { vector: Float32Array } | { terms: Terms }, all: readonly Held[]): number | undefined {
  if ("vector" in branch) return branch.vector.some((value) => value !== 0) ? dot(one.vector, branch.vector) : undefined;
  return bm25(one.terms, branch.terms, all) || undefined;
}

function passes(one: Held, filter: SearchFilter = {}): boolean {
  const facts = labelled(one);
  const isIn = (values: readonly string[] | undefined, value: string | undefined): boolean =>
    values === undefined || (value !== undefined && values.includes(value));
  const names = new Set([...(one.author === undefined ? [] : [one.author]), ...(one.people ?? [])].flatMap(nameWords));
  const folder = toFolder(filter.folder ?? "");
  const isInTime =
    (filter.from === undefined && filter.to === undefined) ||
    (one.writtenAt !== undefined && one.writtenAt >= (filter.from ?? -Infinity) && one.writtenAt < (filter.to ?? Infinity));
  return (
    isIn(filter.types, facts.entityType) &&
    isIn(filter.languages, one.language) &&
    isIn(filter.formats, one.format) &&
    isIn(filter.kinds, one.kind) &&
    isIn(filter.domains, facts.domain) &&
    isIn(filter.scopes, facts.scope) &&
    isIn(filter.documentIds, one.documentId) &&
    nameWords(filter.author ?? "").every((word) => names.has(word)) &&
    (folder === "" || foldersOf(one.documentName).includes(folder)) &&
    isInTime
  );
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
