import { ideaOf } from "./concepts.ts";
import { sentences } from "./sentences.ts";
import { contentStems } from "./words.ts";

/** How much a passage's own wording counts beside its rank in the search: all of the question in it, and in one sentence of it. */
const shares = { passage: 0.5, sentence: 0.5 };

/** A word that only begins like one of the question's, such as a slip of the pen, counts for half of it, and so does a synonym. */
const alikeShare = 0.5;
const alikeLettersMin = 6;
const alikePrefix = 4;
const alikeLengthsMax = 2;

type Candidate = { readonly text: string; readonly title: string; readonly score: number };
/** How much of each asked term a text holds: 1 the term itself, less one that looks like it or means about the same. */
type Held = ReadonlyMap<string, number>;

export type Ranked<C> = C & {
  /** 0 to 1 each: the search's own score beside its best, and how much of the question is in the passage and in one sentence of it. */
  readonly fused: number;
  readonly passageShare: number;
  readonly sentenceShare: number;
  /** The stems of its text's telling words, for who compares passages with each other next. */
  readonly stems: ReadonlySet<string>;
};

export type RerankOptions<C> = {
  /** Leaves out what shares no word or idea with the question. */
  readonly needsWords?: boolean;
  /** What a passage is worth beside its words, 0 to 1, and how much that counts. */
  readonly worth?: { readonly of: (candidate: C) => number; readonly weight: number };
};

/**
 * Puts candidates of a search into the order in which they answer. Fusing ranks forgets by how much one passage beat another and ties
 * often; how much of the question stands together in one sentence tells them apart. A word counts more the fewer candidates have it.
 * Scores of the result lie between 0 and 1 and are comparable within it only; equal ones keep their order. With `needsWords`, what
 * shares no word with the question is left out: right when the embedder matches words and its nearest is merely the least far.
 */
export function rerank<C extends Candidate>(
  candidates: readonly C[],
  question: string,
  { needsWords = false, worth }: RerankOptions<C> = {},
): Ranked<C>[] {
  const asked = contentStems(question);
  const best = Math.max(...candidates.map(({ score }) => score));
  if (asked.size === 0 || !(best > 0))
    return candidates.map((candidate) => ({
      ...candidate,
      fused: 1,
      passageShare: 0,
      sentenceShare: 0,
      stems: contentStems(candidate.text),
    }));
  const looked = candidates.map(({ title, text }) => {
    // Each word is looked at once: a passage's are those of its sentences.
    const parts = sentences(text).map(({ from, to }) => contentStems(text.slice(from, to)));
    const stems = new Set<string>();
    for (const part of parts) for (const stem of part) stems.add(stem);
    const whole = title === "" ? stems : new Set([...contentStems(title), ...stems]);
    return { stems, whole: heldOf(whole, asked), parts: parts.map((part) => heldOf(part, asked)) };
  });
  const weight = weightsOf(
    asked,
    looked.map(({ whole }) => whole),
  );
  const all = [...asked].reduce((total, term) => total + weight(term), 0);
  const most = 1 + shares.passage + shares.sentence + (worth?.weight ?? 0);
  return candidates
    .map((candidate, at) => {
      const fused = candidate.score / best;
      const passageShare = sum(looked[at]?.whole, weight) / all;
      const sentenceShare = Math.max(0, ...(looked[at]?.parts ?? []).map((part) => sum(part, weight))) / all;
      const own =
        shares.passage * passageShare + shares.sentence * sentenceShare + (worth ? worth.weight * worth.of(candidate) : 0);
      return { ...candidate, fused, passageShare, sentenceShare, stems: looked[at]!.stems, score: (fused + own) / most };
    })
    .filter(({ passageShare }) => passageShare > 0 || !needsWords)
    .sort((left, right) => right.score - left.score);
}

/** The words of a question that a text holds, as they are in the question. */
export function termsHeld(text: string, question: string): string[] {
  const here = contentStems(text);
  return [...contentStems(question)].filter((term) => here.has(term));
}

function heldOf(here: ReadonlySet<string>, asked: ReadonlySet<string>): Held {
  const held = new Map<string, number>();
  let ideas: Set<string | undefined> | undefined;
  for (const term of asked) {
    if (here.has(term)) {
      held.set(term, 1);
      continue;
    }
    const idea = ideaOf(term);
    if (idea !== undefined) ideas ??= new Set(Array.from(here, ideaOf));
    if (idea !== undefined && ideas?.has(idea)) held.set(term, alikeShare);
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
