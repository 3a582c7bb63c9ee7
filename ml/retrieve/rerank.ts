import { sentences } from "./sentences.ts";
import { contentStems } from "./words.ts";

/** How much a passage's own wording counts beside its rank in the search: all of the question in it, and in one sentence of it. */
const passageShare = 0.5;
const sentenceShare = 0.5;

/** A word that only begins like one of the question's, such as a slip of the pen, counts for half of it. */
const alikeShare = 0.5;
const alikeLettersMin = 6;
const alikePrefix = 4;
const alikeLengthsMax = 2;

type Candidate = { readonly text: string; readonly title: string; readonly score: number };
/** How much of each asked term a text holds: 1 the term itself, less one that looks like it. */
type Held = ReadonlyMap<string, number>;

/**
 * Puts candidates of a search into the order in which they answer. Fusing ranks forgets by how much one passage beat another and ties
 * often; how much of the question stands together in one sentence tells them apart. A word counts more the fewer candidates have it.
 * Scores of the result lie between 0 and 1 and are comparable within it only; equal ones keep their order. With `needsWords`, what
 * shares no word with the question is left out: right when the embedder matches words and its nearest is merely the least far.
 */
export function rerank<C extends Candidate>(candidates: readonly C[], question: string, { needsWords = false } = {}): C[] {
  const asked = contentStems(question);
  const best = Math.max(...candidates.map(({ score }) => score));
  if (asked.size === 0 || !(best > 0)) return [...candidates];
  const held = candidates.map(({ title, text }) => heldOf(`${title}\n${text}`, asked));
  const weight = weightsOf(asked, held);
  const all = [...asked].reduce((total, term) => total + weight(term), 0);
  return candidates
    .map((candidate, at) => {
      const passage = sum(held[at], weight) / all;
      const parts = sentences(candidate.text).map(({ from, to }) => heldOf(candidate.text.slice(from, to), asked));
      const sentence = Math.max(0, ...parts.map((part) => sum(part, weight))) / all;
      const own = passageShare * passage + sentenceShare * sentence;
      return { candidate, passage, score: (candidate.score / best + own) / (1 + passageShare + sentenceShare) };
    })
    .filter(({ passage }) => passage > 0 || !needsWords)
    .sort((left, right) => right.score - left.score)
    .map(({ candidate, score }) => ({ ...candidate, score }));
}

function heldOf(text: string, asked: ReadonlySet<string>): Held {
  const here = contentStems(text);
  const held = new Map<string, number>();
  for (const term of asked) {
    if (here.has(term)) held.set(term, 1);
    else if (term.length >= alikeLettersMin && [...here].some((word) => isAlike(word, term))) held.set(term, alikeShare);
  }
  return held;
}

function isAlike(word: string, term: string): boolean {
  return Math.abs(word.length - term.length) <= alikeLengthsMax && word.startsWith(term.slice(0, alikePrefix));
}

function weightsOf(asked: ReadonlySet<string>, held: readonly Held[]): (term: string) => number {
  const count = (term: string): number => held.filter((one) => one.has(term)).length;
  const weights = new Map([...asked].map((term) => [term, Math.log(1 + (held.length + 0.5) / (count(term) + 0.5))]));
  return (term) => weights.get(term) ?? 0;
}

function sum(held: Held | undefined, weight: (term: string) => number): number {
  let total = 0;
  for (const [term, share] of held ?? []) total += share * weight(term);
  return total;
}
