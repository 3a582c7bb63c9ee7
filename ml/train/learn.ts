/**
 * From a dataset to a model: what is known beforehand and what the owner's texts teach, a grid of recipes that the tuning questions choose
 * from, early stop, and a mix of what was learned with what was known. Nothing here looks at the clock or draws lots, so the same data and seed give the same bytes; and
 * it can be cut off anywhere and taken up again with the same result.
 */
import type { Fusion } from "../../convex/model/model.ts";
import { fusionLearned } from "../../convex/model/model.ts";
import { tuneFusion } from "../evaluate/fusion.ts";
import { fused, meanOf, rankAll, scoresOf, type Question, type Ranked } from "../evaluate/measure.ts";
import { lay, toQuestions, type Ground, type LearnInput } from "./ground.ts";
import { embedTexts, type StaticModel } from "./model.ts";
import type { Beginning } from "./pretrain.ts";
import { dequantised } from "./quantise.ts";
import { composeTable } from "./rows.ts";
import { openTrainer, recipeDefault, type Recipe, type TrainerState } from "./trainer.ts";

export { toQuestions, wordsOver } from "./ground.ts";

export type LearnOptions = {
  readonly seed: number;
  /** What training may begin with; the tuning questions choose. */
  readonly beginnings: readonly Beginning[];
  /** What is tried, in this order; the tuning questions choose. */
  readonly grid: readonly Pick<Recipe, "temperature" | "rate" | "negatives">[];
  readonly epochsMax: number;
  /** Epochs without a better score after which a recipe is given up. */
  readonly patience: number;
  readonly dimensions: number;
};

export const learnDefault: LearnOptions = {
  seed: 1,
  beginnings: [
    { isEven: false, company: 0, use: 0 },
    { isEven: true, company: 0, use: 0 },
    { isEven: true, company: 0.2, use: 0 },
    { isEven: true, company: 0.2, use: 1 },
    { isEven: true, company: 0.35, use: 1 },
    { isEven: true, company: 0.35, use: 3 },
  ],
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
  readonly beginning: Beginning;
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
  readonly beginning: Beginning;
  readonly chosen: Trial;
  /** How much of what was learned is in it; the rest is what was known before. */
  readonly share: number;
  readonly trials: readonly Trial[];
  readonly examples: number;
  readonly negatives: Ground["negatives"];
};

export type Watching = {
  /** Awaited between batches: here others get their turn, and a stop is heard by throwing. */
  readonly breathe?: () => Promise<void>;
  readonly onProgress?: (done: number, total: number, trial: Trial | undefined) => void;
  readonly from?: Checkpoint | undefined;
  /** Told after every epoch. */
  readonly keep?: (checkpoint: Checkpoint) => Promise<void>;
};

/** Shares of what was learned that are tried beside all of it. */
const shares = [0.35, 0.6, 0.8];

export async function learn(input: LearnInput, options: LearnOptions, watching: Watching = {}): Promise<Learned> {
  const { breathe, onProgress, from, keep } = watching;
  const { seed, dimensions, grid: tried } = options;
  const ground = lay(input, { seed, dimensions, negativesMax: Math.max(...tried.map(({ negatives }) => negatives)) });
  const { examples } = ground;
  const questions = toQuestions(input.split.tuning, input.passages);
  const grid = recipesOf(options);
  const look = (values: Float32Array): Look => lookAt(ground, questions, values);
  const start = from
    ? { beginning: from.beginning, values: ground.pretraining.begin(from.beginning), trials: from.trials }
    : await begin(ground, { beginnings: options.beginnings, look, breathe });
  const { beginning } = start;
  const features = { ...ground.features, values: start.values };
  const trials: Trial[] = [...start.trials];
  let best: Checkpoint["best"] = from?.best ?? { trial: trials.reduce(better), values: start.values };
  // What cannot be better is not trained further.
  for (let at = from?.recipe ?? 0; at < grid.length && worth(best.trial) < worthMax; at += 1) {
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
      await keep?.({ beginning, recipe: at, stale, state: trainer.state(), best, bestHere, trials });
    }
  }
  return finish(ground, { beginning, start: start.values, best, trials, questions, look });
}

type Beginnings = {
  readonly beginnings: readonly Beginning[];
  readonly look: (values: Float32Array) => Look;
  readonly breathe: Watching["breathe"];
};
type Begun = { readonly beginning: Beginning; readonly values: Float32Array; readonly trials: readonly Trial[] };

/** Tries what training may begin with; nothing is trained yet. */
async function begin({ pretraining }: Ground, { beginnings, look, breathe }: Beginnings): Promise<Begun> {
  const trials: Trial[] = [];
  let best: { beginning: Beginning; trial: Trial; values: Float32Array } | undefined;
  for (const beginning of beginnings) {
    const values = pretraining.begin(beginning);
    const { dense, hybrid } = look(values);
    const trial: Trial = { temperature: 0, rate: 0, negatives: 0, epoch: 0, dense, hybrid };
    trials.push(trial);
    if (!best || worth(trial) > worth(best.trial)) best = { beginning, trial, values };
    await breathe?.();
  }
  return { ...best!, trials };
}

const better = (one: Trial, other: Trial): Trial => (worth(other) > worth(one) ? other : one);
const worthMax = 2;
const worth = ({ dense, hybrid }: { dense: number; hybrid: number }): number => dense + hybrid;

type Look = { readonly dense: number; readonly hybrid: number; readonly ranked: readonly Ranked[] };

type Finishing = {
  readonly beginning: Beginning;
  readonly start: Float32Array;
  readonly best: Checkpoint["best"];
  readonly trials: readonly Trial[];
  readonly questions: readonly Question[];
  readonly look: (values: Float32Array) => Look;
};

function finish(ground: Ground, { beginning, start, best, trials, questions, look }: Finishing): Learned {
  const { features, vocabulary } = ground;
  let [share, values, most] = [1, best.values, worth(best.trial)];
  for (const other of shares) {
    const mixed = start.map((value, at) => (1 - other) * value + other * best.values[at]!);
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
    beginning,
    chosen: best.trial,
    share,
    trials,
    examples: ground.examples.length,
    negatives: ground.negatives,
  };
}

function lookAt(ground: Ground, questions: readonly Question[], values: Float32Array): Look {
  const { vocabulary, features, texts, lexical, documentOf } = ground;
  const model = { vocabulary, dimensions: features.dimensions, table: composeTable(features, values) };
  const ranked = rankAll(questions, { embed: (some) => embedTexts(model, some), texts, lexical });
  return {
    ranked,
    dense: meanOf(scoresOf(questions, (at) => ranked[at]!.dense, documentOf).ndcg),
    hybrid: meanOf(scoresOf(questions, (at) => fused(ranked[at]!, fusionLearned), documentOf).ndcg),
  };
}

const recipesOf = ({ grid, seed, dimensions }: LearnOptions): Recipe[] =>
  grid.map((one) => ({
    ...recipeDefault,
    ...one,
    seed,
    prefixes: recipeDefault.prefixes.map(({ size, weight }) => ({ size: Math.round((size * dimensions) / 384), weight })),
  }));
