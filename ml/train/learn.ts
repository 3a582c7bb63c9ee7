/**
 * From a dataset to a model: what is known beforehand, a grid of recipes that the tuning questions choose from, early stop, and a mix of
 * what was learned with what was known. Nothing here looks at the clock or draws lots, so the same data and seed give the same bytes; and
 * it can be cut off anywhere and taken up again with the same result.
 */
import type { Fusion } from "../../convex/model/model.ts";
import { fusionDefault } from "../../convex/model/model.ts";
import { questionsOf } from "../dataset/check.ts";
import { withoutSource } from "../dataset/made.ts";
import { mineNegatives } from "../dataset/negatives.ts";
import { isReal, nameOf, type DatasetPassage, type Pair } from "../dataset/pair.ts";
import type { Split, TestSet, TuningSet } from "../dataset/split.ts";
import { tuneFusion } from "../evaluate/fusion.ts";
import { fused, meanOf, rankAll, rankedMax, scoresOf, type Question, type Ranked } from "../evaluate/measure.ts";
import { flat, nearest, type Hit } from "../evaluate/ranking.ts";
import { lexicalIndex } from "../retrieve/bm25.ts";
import { ideaWords } from "../retrieve/concepts.ts";
import { documentTerms, queryTerms } from "../retrieve/terms.ts";
import { toBag, type Bag } from "./bag.ts";
import { embedTexts, type StaticModel } from "./model.ts";
import { dequantised } from "./quantise.ts";
import { composeTable, firstFeatures, type Features } from "./rows.ts";
import { openTrainer, recipeDefault, type Example, type Recipe, type TrainerState } from "./trainer.ts";
import { learnVocabulary, type Vocabulary } from "./vocabulary.ts";

export type LearnOptions = {
  readonly seed: number;
  /** What is tried, in this order; the tuning questions choose. */
  readonly grid: readonly Pick<Recipe, "temperature" | "rate" | "negatives">[];
  readonly epochsMax: number;
  /** Epochs without a better score after which a recipe is given up. */
  readonly patience: number;
  readonly dimensions: number;
};

export const learnDefault: LearnOptions = {
  seed: 1,
  grid: [
    { temperature: 0.1, rate: 0.05, negatives: 0 },
    { temperature: 0.05, rate: 0.03, negatives: 0 },
    // Negatives that look like answers often are some: they are used where they are seen to help.
    { temperature: 0.1, rate: 0.05, negatives: 2 },
  ],
  epochsMax: 4,
  patience: 1,
  dimensions: 384,
};

/** One look at the tuning questions. */
export type Trial = Pick<Recipe, "temperature" | "rate" | "negatives"> & {
  readonly epoch: number;
  readonly dense: number;
  readonly hybrid: number;
};

/** Where training was when it was last written down. */
export type Checkpoint = {
  /** Which recipe of the grid it is at. */
  readonly recipe: number;
  readonly stale: number;
  readonly state: TrainerState;
  readonly best: { readonly trial: Trial; readonly values: Float32Array };
  /** The best of this recipe, by which it is given up. */
  readonly bestHere: number;
  readonly trials: readonly Trial[];
};

export type Learned = {
  readonly model: StaticModel;
  /** What it would be without any example. */
  readonly untrained: StaticModel;
  readonly fusion: Fusion;
  readonly chosen: Trial;
  /** How much of what was learned is in it; the rest is what was known before. */
  readonly share: number;
  readonly trials: readonly Trial[];
  readonly examples: number;
  readonly negatives: Readonly<Record<"words" | "near" | "template", number>>;
};

export type LearnInput = {
  readonly split: Split;
  /** All of the vault. */
  readonly passages: readonly DatasetPassage[];
  /** The model in force, whose near misses are the hardest negatives. */
  readonly live: (texts: readonly string[]) => readonly Float32Array[];
};

export type Watching = {
  /** Awaited between batches: here others get their turn, and a stop is heard by throwing. */
  readonly breathe?: () => Promise<void>;
  readonly onProgress?: (done: number, total: number, trial: Trial | undefined) => void;
  readonly from?: Checkpoint | undefined;
  /** Told after every epoch. */
  readonly keep?: (checkpoint: Checkpoint) => Promise<void>;
};

/** What is not learned is the same in every recipe. */
type Ground = {
  readonly vocabulary: Vocabulary;
  readonly features: Features;
  readonly examples: readonly Example[];
  readonly texts: readonly string[];
  readonly lexical: (question: string) => readonly Hit[];
  readonly documentOf: (at: number) => string;
  readonly negatives: Learned["negatives"];
};

/** Shares of what was learned that are tried beside all of it. */
const shares = [0.35, 0.6, 0.8];

export async function learn(input: LearnInput, options: LearnOptions, watching: Watching = {}): Promise<Learned> {
  const { breathe, onProgress, from, keep } = watching;
  const ground = lay(input, options);
  const { features, examples } = ground;
  const questions = toQuestions(input.split.tuning, input.passages);
  const grid = recipesOf(options);
  const look = (values: Float32Array): { dense: number; hybrid: number; ranked: Ranked[] } => look1(ground, questions, values);
  const start = look(features.values);
  const untrainedTrial: Trial = { temperature: 0, rate: 0, negatives: 0, epoch: 0, dense: start.dense, hybrid: start.hybrid };
  let best: Checkpoint["best"] = from?.best ?? { trial: untrainedTrial, values: features.values };
  const trials: Trial[] = [...(from?.trials ?? [untrainedTrial])];
  for (let at = from?.recipe ?? 0; at < grid.length; at += 1) {
    const recipe = grid[at]!;
    const isResumed = from?.recipe === at;
    const trainer = openTrainer(examples, features, { recipe, ...(isResumed && { from: from.state }) });
    let [stale, bestHere] = isResumed ? [from.stale, from.bestHere] : [0, -Infinity];
    const { stepsPerEpoch } = trainer;
    const total = grid.length * options.epochsMax * stepsPerEpoch;
    while (trainer.step < options.epochsMax * stepsPerEpoch && stale < options.patience) {
      trainer.advance();
      await breathe?.();
      onProgress?.(at * options.epochsMax * stepsPerEpoch + trainer.step, total, undefined);
      if (trainer.step % stepsPerEpoch > 0) continue;
      const { dense, hybrid } = look(trainer.values);
      const { temperature, rate, negatives } = recipe;
      const trial = { temperature, rate, negatives, epoch: trainer.step / stepsPerEpoch, dense, hybrid };
      trials.push(trial);
      stale = worth(trial) > bestHere ? 0 : stale + 1;
      bestHere = Math.max(bestHere, worth(trial));
      if (worth(trial) > worth(best.trial)) best = { trial, values: Float32Array.from(trainer.values) };
      onProgress?.(at * options.epochsMax * stepsPerEpoch + trainer.step, total, trial);
      await keep?.({ recipe: at, stale, state: trainer.state(), best, bestHere, trials });
    }
  }
  return finish(ground, { best, trials, questions, look });
}

const worth = ({ dense, hybrid }: { dense: number; hybrid: number }): number => dense + hybrid;

type Finishing = {
  readonly best: Checkpoint["best"];
  readonly trials: readonly Trial[];
  readonly questions: readonly Question[];
  readonly look: (values: Float32Array) => { dense: number; hybrid: number; ranked: Ranked[] };
};

function finish(ground: Ground, { best, trials, questions, look }: Finishing): Learned {
  const { features, vocabulary } = ground;
  let [share, values, most] = [1, best.values, worth(best.trial)];
  for (const other of shares) {
    const mixed = features.values.map((value, at) => (1 - other) * value + other * best.values[at]!);
    const score = worth(look(mixed));
    if (score > most) [share, values, most] = [other, mixed, score];
  }
  const { dimensions } = features;
  const toModel = (from: Float32Array): StaticModel => ({ vocabulary, dimensions, table: composeTable(features, from) });
  const exact = toModel(values);
  // What is judged is what will be served.
  const model = { ...exact, table: dequantised(exact.table, dimensions) };
  const { fusion } = tuneFusion(questions, look(values).ranked, ground.documentOf);
  return {
    model,
    untrained: toModel(features.values),
    fusion,
    chosen: best.trial,
    share,
    trials,
    examples: ground.examples.length,
    negatives: ground.negatives,
  };
}

function look1(ground: Ground, questions: readonly Question[], values: Float32Array): ReturnType<Finishing["look"]> {
  const { vocabulary, features, texts, lexical, documentOf } = ground;
  const model = { vocabulary, dimensions: features.dimensions, table: composeTable(features, values) };
  const ranked = rankAll(questions, { embed: (some) => embedTexts(model, some), texts, lexical });
  return {
    ranked,
    dense: meanOf(scoresOf(questions, (at) => ranked[at]!.dense, documentOf).ndcg),
    hybrid: meanOf(scoresOf(questions, (at) => fused(ranked[at]!, fusionDefault), documentOf).ndcg),
  };
}

const recipesOf = ({ grid, seed, dimensions }: LearnOptions): Recipe[] =>
  grid.map((one) => ({
    ...recipeDefault,
    ...one,
    seed,
    prefixes: recipeDefault.prefixes.map(({ size, weight }) => ({ size: Math.round((size * dimensions) / 384), weight })),
  }));

function lay({ split, passages, live }: LearnInput, options: LearnOptions): Ground {
  const texts = passages.map(({ text }) => text);
  // What people call things is often in no document.
  const asked = split.training.pairs.filter(({ origin }) => isReal(origin) || origin === "written").map(({ query }) => query);
  const vocabulary = learnVocabulary([...texts, ...asked], { also: ideaWords });
  const features = firstFeatures(vocabulary, options.dimensions);
  const lexical = wordsOver(passages);
  const pairs = split.training.pairs.filter(({ passage }) => passage.documentId !== "");
  const mined = minedFor(pairs, { split, passages, live, lexical, options });
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  const groups = [...new Set(split.groupOf.values())];
  const groupAt = new Map(groups.map((group, at) => [group, at]));
  const negatives = { words: 0, near: 0, template: 0 };
  const bags = new Map<string, Bag>();
  const bagOf = (text: string): Bag => {
    const bag = bags.get(text) ?? toBag(text, vocabulary);
    bags.set(text, bag);
    return bag;
  };
  const examples = pairs.flatMap((pair, at): Example[] => {
    const passage = known.get(nameOf(pair.passage));
    if (!passage) return [];
    for (const { origin } of mined[at]!) negatives[origin] += 1;
    const example = {
      query: bagOf(pair.query),
      passage: bagOf(withoutSource(passage, pair)),
      negatives: mined[at]!.map(({ text }) => bagOf(text)),
      group: groupAt.get(split.groupOf.get(passage.documentId)!)!,
      weight: pair.weight,
    };
    // What is of unknown words alone has no direction to learn.
    return example.query.ids.length > 0 && example.passage.ids.length > 0 ? [example] : [];
  });
  return { vocabulary, features, examples, texts, lexical, documentOf: (at) => passages[at]!.documentId, negatives };
}

type Mining = LearnInput & { readonly lexical: (question: string) => readonly Hit[]; readonly options: LearnOptions };

function minedFor(pairs: readonly Pair[], { split, passages, live, lexical, options }: Mining): ReturnType<typeof mineNegatives> {
  const vectors = flat(live(passages.map(({ text }) => text)));
  // Made pairs are many and cheap: what they are told apart from is the rest of their batch.
  const asked = [...new Set(pairs.filter(({ origin }) => isReal(origin) || origin === "written").map(({ query }) => query))];
  const embedded = new Map(live(asked).map((vector, at) => [asked[at]!, vector]));
  const size = vectors.length / passages.length;
  const scoreOf = (query: string, at: number): number => {
    const vector = embedded.get(query)!;
    let score = 0;
    for (let d = 0; d < size; d += 1) score += vector[d]! * vectors[at * size + d]!;
    return score;
  };
  return pairs.map((pair, at) => {
    if (!embedded.has(pair.query)) return [];
    const [mine] = mineNegatives([pair], {
      passages,
      groupOf: split.groupOf,
      byWords: (query) => lexical(query).map((hit) => hit.at),
      byVectors: (query) => nearest(vectors, embedded.get(query)!, rankedMax),
      scoreOf,
      perPair: Math.max(...options.grid.map(({ negatives }) => negatives)),
      seed: options.seed + at,
    });
    return mine!;
  });
}

/** A ranking by words over the passages, as the vault has it. */
export function wordsOver(passages: readonly DatasetPassage[]): (question: string) => readonly Hit[] {
  const index = lexicalIndex(passages.map(({ text }) => documentTerms(text)));
  return (question) => index.search(queryTerms(question), rankedMax);
}

/** What a set asks, each question once, with all the documents that answer it. */
export function toQuestions(
  { pairs }: TuningSet | TestSet,
  passages: readonly DatasetPassage[],
  { pinned = new Set() }: { pinned?: ReadonlySet<string> } = {},
): Question[] {
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  return [...questionsOf(pairs)].map(([id, mine]) => {
    const first = known.get(nameOf(mine[0]!.passage));
    const slices = first ? [`language ${first.language}`, `type ${first.entityType}`, `scope ${first.scope}`] : [];
    return {
      id,
      text: mine[0]!.query,
      judged: new Map(mine.map(({ passage }) => [passage.documentId, 1])),
      slices: [...slices, `asked ${mine.some(({ origin }) => isReal(origin)) ? "by people" : "by nobody: made"}`],
      isPinned: pinned.has(id),
    };
  });
}
