/** Whether a dataset may be learned from at all. What is refused here would give a model that is worse, or a verdict that lies. */
import { withoutSource, standsIn } from "./made.ts";
import { isReal, nameOf, normalQuery, type DatasetPassage, type Origin, type Pair } from "./pair.ts";
import type { Split } from "./split.ts";

export type Refusal = {
  readonly reason: "tiny" | "poisoned" | "leaking";
  /** One sentence with the numbers. */
  readonly says: string;
};

export type Counts = {
  readonly training: Readonly<Record<Origin, number>>;
  readonly tuningQuestions: number;
  readonly testQuestions: number;
  /** Of the test's questions, how many nobody really asked. */
  readonly madeTestQuestions: number;
  readonly documents: number;
};

export const trainingPairsMin = 200;
export const testQuestionsMin = 50;
const documentsMin = 30;
/** What one session, or one passage, may make up of all that is used. */
const sessionShareMax = 0.5;
const passageShareMax = 0.25;
/** Where most of what was used is nowhere near the question, by words or by vectors, somebody clicked at random or wanted that. */
const reachedShareMin = 1 / 3;
const sharesFrom = 50;

export type CheckOptions = {
  readonly passages: ReadonlyMap<string, DatasetPassage>;
  /** Whether the live search has the pair's passage anywhere near the question. */
  readonly isReached: (pair: Pair) => boolean;
};

/** The first reason not to train on it; undefined when there is none. */
export function checkDataset(split: Split, { passages, isReached }: CheckOptions): Refusal | undefined {
  return leaking(split, passages) ?? tiny(split) ?? poisoned(split.training.pairs, isReached);
}

export function countsOf({ training, tuning, test, groupOf }: Split): Counts {
  const counts = { used: 0, reformulated: 0, heading: 0, span: 0, written: 0 };
  for (const { origin } of training.pairs) counts[origin] += 1;
  const questions = questionsOf(test.pairs);
  return {
    training: counts,
    tuningQuestions: questionsOf(tuning.pairs).size,
    testQuestions: questions.size,
    madeTestQuestions: [...questions.values()].filter((pairs) => !pairs.some(({ origin }) => isReal(origin))).length,
    documents: groupOf.size,
  };
}

/** The pairs of each question that a set is judged by: what was really asked, or, where too little was, headings as well. */
export function questionsOf(pairs: readonly Pair[]): Map<string, Pair[]> {
  const real = Map.groupBy(
    pairs.filter(({ origin }) => isReal(origin)),
    ({ query }) => normalQuery(query),
  );
  if (real.size >= testQuestionsMin) return real;
  return Map.groupBy(
    pairs.filter(({ origin }) => origin !== "span"),
    ({ query }) => normalQuery(query),
  );
}

function tiny(split: Split): Refusal | undefined {
  const { training, tuning, test, groupOf } = split;
  const refuse = (says: string): Refusal => ({ reason: "tiny", says });
  if (groupOf.size < documentsMin)
    return refuse(`Of documents to learn from there are ${groupOf.size}; it takes ${documentsMin}.`);
  if (training.pairs.length < trainingPairsMin)
    return refuse(`There are ${training.pairs.length} questions with their answers to learn from; it takes ${trainingPairsMin}.`);
  const questions = questionsOf(test.pairs).size;
  if (questions < testQuestionsMin)
    return refuse(`There are ${questions} questions to judge a model by; it takes ${testQuestionsMin}.`);
  if (questionsOf(tuning.pairs).size === 0) return refuse("There are no questions to choose a recipe by.");
  return undefined;
}

function leaking({ training, tuning, test, groupOf }: Split, passages: ReadonlyMap<string, DatasetPassage>): Refusal | undefined {
  const refuse = (says: string): Refusal => ({ reason: "leaking", says });
  const groups = ({ pairs }: { pairs: readonly Pair[] }): Set<string> =>
    new Set(pairs.map(({ passage }) => groupOf.get(passage.documentId) ?? passage.documentId));
  const queries = ({ pairs }: { pairs: readonly Pair[] }): Set<string> => new Set(pairs.map(({ query }) => normalQuery(query)));
  for (const judged of [test, tuning]) {
    const both = groups(training).intersection(groups(judged)).size;
    if (both > 0) return refuse(`${both} documents are both learned from and judged by.`);
    const same = queries(training).intersection(queries(judged)).size;
    if (same > 0) return refuse(`${same} questions are both learned from and judged by.`);
  }
  const bare = [...training.pairs, ...test.pairs].filter((pair) => {
    const passage = passages.get(nameOf(pair.passage));
    return !isReal(pair.origin) && pair.origin !== "written" && passage && standsIn(pair, withoutSource(passage, pair));
  });
  const made = training.pairs.filter(({ origin }) => !isReal(origin)).length;
  if (bare.length > made / 4)
    return refuse(`${bare.length} made questions stand word for word in the passage that answers them.`);
  return undefined;
}

function poisoned(pairs: readonly Pair[], isReached: (pair: Pair) => boolean): Refusal | undefined {
  const used = pairs.filter(({ origin }) => isReal(origin));
  if (used.length < sharesFrom) return undefined;
  const refuse = (says: string): Refusal => ({ reason: "poisoned", says });
  const most = (keyOf: (pair: Pair) => string): number => {
    const counts = new Map<string, number>();
    for (const pair of used) counts.set(keyOf(pair), (counts.get(keyOf(pair)) ?? 0) + 1);
    // Of whom nobody said who it was is not all of one.
    counts.delete("");
    return Math.max(0, ...counts.values()) / used.length;
  };
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const session = most((pair) => pair.session);
  if (session > sessionShareMax) return refuse(`One session made ${percent(session)} of what was used.`);
  const passage = most((pair) => nameOf(pair.passage));
  if (passage > passageShareMax) return refuse(`One passage is the answer to ${percent(passage)} of all questions.`);
  const reached = used.filter(isReached).length / used.length;
  if (reached < reachedShareMin) return refuse(`Only ${percent(reached)} of what was used has anything to do with its question.`);
  return undefined;
}
