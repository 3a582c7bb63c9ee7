import { sentences } from "./sentences.ts";
import { words } from "./words.ts";

/** How much a passage's own wording counts beside its rank in the search: all of the question in it, and in one sentence of it. */
const passageShare = 0.5;
const sentenceShare = 0.5;

type Candidate = { readonly text: string; readonly title: string; readonly score: number };

/**
 * Puts candidates of a search into the order in which they answer. Fusing ranks forgets by how much one passage beat another and ties
 * often; how much of the question stands together in one sentence tells them apart. A word counts more the fewer candidates have it.
 * Scores of the result lie between 0 and 1 and are comparable within it only; equal ones keep their order.
 */
export function rerank<C extends Candidate>(candidates: readonly C[], question: string): C[] {
  const asked = contentOf(question);
  const best = Math.max(...candidates.map(({ score }) => score));
  if (asked.size === 0 || !(best > 0)) return [...candidates];
  const held = candidates.map(({ title, text }) => shared(`${title}\n${text}`, asked));
  const weight = weightsOf(asked, held);
  const all = sum(asked, weight);
  return candidates
    .map((candidate, at) => {
      const passage = sum(held[at] ?? [], weight) / all;
      const sentence =
        Math.max(
          0,
          ...sentences(candidate.text).map(({ from, to }) => sum(shared(candidate.text.slice(from, to), asked), weight)),
        ) / all;
      const score =
        (candidate.score / best + passageShare * passage + sentenceShare * sentence) / (1 + passageShare + sentenceShare);
      return { ...candidate, score };
    })
    .sort((left, right) => right.score - left.score);
}

function contentOf(text: string): Set<string> {
  const all = words(text);
  const content = all.filter((word) => !word.isStop);
  return new Set((content.length > 0 ? content : all).map((word) => word.stem));
}

function shared(text: string, asked: ReadonlySet<string>): Set<string> {
  return new Set([...contentOf(text)].filter((term) => asked.has(term)));
}

function weightsOf(asked: ReadonlySet<string>, held: readonly ReadonlySet<string>[]): (term: string) => number {
  const weights = new Map(
    [...asked].map((term) => [term, Math.log(1 + (held.length + 0.5) / (held.filter((one) => one.has(term)).length + 0.5))]),
  );
  return (term) => weights.get(term) ?? 0;
}

function sum(terms: Iterable<string>, weight: (term: string) => number): number {
  let total = 0;
  for (const term of terms) total += weight(term);
  return total;
}
