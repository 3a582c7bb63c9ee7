/** From what was remembered to a folder for the machine that trains, and to what stays at home to judge by. */
import type { Use } from "../../../convex/model/use.ts";
import { checkDataset, countsOf, type Counts, type Refusal } from "../../dataset/check.ts";
import { mineNegatives } from "../../dataset/negatives.ts";
import { isReal, nameOf, type DatasetPassage, type Pair } from "../../dataset/pair.ts";
import { splitByDocument, type Split } from "../../dataset/split.ts";
import type { Question } from "../../evaluate/measure.ts";
import { flat, nearest } from "../../evaluate/ranking.ts";
import { digestOf, pairsOf, reaching, toRegressions, type Pinned } from "../cycle.ts";
import { toQuestions, wordsOver } from "../ground.ts";
import { randomBase, type Base } from "./base.ts";
import { packJob } from "./pack.ts";
import type { LoraRecipe } from "./recipe.ts";

export type Preparing = {
  readonly modelId: string;
  readonly passages: readonly DatasetPassage[];
  readonly uses: readonly Use[];
  /** Whose use may be learned from. */
  readonly scopes: readonly string[];
  readonly isScrubbed: boolean;
  /** Questions that have to stay answered by a document. */
  readonly pinned?: readonly Pinned[];
  readonly seed: number;
  /** Absent: one of chance, of the words of the passages. */
  readonly base: Base | undefined;
  readonly recipe: LoraRecipe;
  readonly queryPrefix: string;
};

/** What the verdict is made of. Never leaves this machine; plain data. */
export type Home = {
  readonly seed: number;
  readonly recipe: LoraRecipe;
  readonly base: Base;
  readonly dataSha256: string;
  readonly counts: Counts;
  readonly passages: readonly DatasetPassage[];
  readonly tuning: readonly Question[];
  readonly test: readonly Question[];
  /** Pinned ones, as such that are judged. */
  readonly regressions: readonly Question[];
};

export type Prepared =
  | { readonly type: "refused"; readonly refusal: Refusal; readonly dataSha256: string; readonly counts: Counts }
  | { readonly type: "ready"; readonly files: ReadonlyMap<string, Uint8Array>; readonly home: Home };

/** Ranks that negatives are looked for in: see ml/dataset/negatives.ts. */
const nearMax = 60;

/** `embed`: the model in force, one vector a text; asked for all passages once and for each question. */
export async function prepare(
  { modelId, passages, uses, scopes, isScrubbed, pinned = [], seed, base: given, recipe, queryPrefix }: Preparing,
  embed: (texts: readonly string[]) => Promise<readonly Float32Array[]>,
): Promise<Prepared> {
  const pairs = await pairsOf({ passages, uses, scopes, isScrubbed }, seed);
  const split = splitByDocument(pairs, passages);
  const dataSha256 = digestOf(pairs, passages);
  const counts = countsOf(split);
  const asked = [...new Set(split.training.pairs.filter(({ origin }) => isReal(origin)).map(({ query }) => query))];
  const known = await vectorsOf([...passages.map(({ text }) => text), ...asked], embed);
  const live = { embed: (texts: readonly string[]) => texts.map((text) => known.get(text)!) };
  const isReached = reaching(split, { passages, live });
  const refusal = checkDataset(split, { passages: new Map(passages.map((one) => [nameOf(one), one])), isReached });
  if (refusal) return { type: "refused", refusal, dataSha256, counts };
  const base = given ?? randomBase([...passages.map(({ text }) => text), ...asked, queryPrefix]);
  const negatives = negativesOf(split, { passages, known, perPair: recipe.negatives, seed });
  const files = packJob({ modelId, seed, split, passages, negatives, base, recipe, queryPrefix });
  const [tuning, test] = [toQuestions(split.tuning, passages), toQuestions(split.test, passages)];
  const regressions = toRegressions(pinned, passages);
  return { type: "ready", files, home: { seed, recipe, base, dataSha256, counts, passages, tuning, test, regressions } };
}

/** Vectors by text, each text embedded once. */
export async function vectorsOf(
  texts: readonly string[],
  embed: (texts: readonly string[]) => Promise<readonly Float32Array[]>,
): Promise<ReadonlyMap<string, Float32Array>> {
  const all = [...new Set(texts)];
  const vectors = await embed(all);
  return new Map(all.map((text, at) => [text, vectors[at]!]));
}

type Mining = {
  readonly passages: readonly DatasetPassage[];
  readonly known: ReadonlyMap<string, Float32Array>;
  readonly perPair: number;
  readonly seed: number;
};

/** Of what was really asked; made pairs are many, and told apart from the rest of their batch. */
function negativesOf(split: Split, { passages, known, perPair, seed }: Mining): ReadonlyMap<Pair, readonly string[]> {
  const vectors = passages.map(({ text }) => known.get(text)!);
  const all = flat(vectors);
  const lexical = wordsOver(passages);
  const pairs = split.training.pairs.filter(({ origin }) => isReal(origin));
  const mined = mineNegatives(pairs, {
    passages,
    groupOf: split.groupOf,
    byWords: (query) => lexical(query).map(({ at }) => at),
    byVectors: (query) => nearest(all, known.get(query)!, nearMax),
    scoreOf: (query, at) => known.get(query)!.reduce((sum, value, d) => sum + value * vectors[at]![d]!, 0),
    perPair,
    seed,
  });
  return new Map(pairs.map((pair, at) => [pair, mined[at]!.map(({ text }) => text)]));
}
