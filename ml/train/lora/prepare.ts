/** From what was remembered to a folder for the machine that trains, and to what stays at home to judge by. */
import type { Use } from "../../../convex/model/use.ts";
import type { Written } from "../../../convex/model/written.ts";
import { checkDataset, countsOf, type Counts, type Refusal } from "../../dataset/check.ts";
import { mineNegatives, type Negative } from "../../dataset/negatives.ts";
import { nameOf, type DatasetPassage, type Pair } from "../../dataset/pair.ts";
import { splitByDocument, type Split } from "../../dataset/split.ts";
import type { Question } from "../../evaluate/measure.ts";
import { flat, nearest } from "../../evaluate/ranking.ts";
import { digestOf, modelsOf, pairsOf, reaching, toRegressions, withoutStray, type Pinned } from "../cycle.ts";
import { toQuestions, wordsOver } from "../ground.ts";
import { randomBase, type Base } from "./base.ts";
import { packJob } from "./pack.ts";
import type { LoraRecipe } from "./recipe.ts";

export type Preparing = {
  readonly modelId: string;
  readonly passages: readonly DatasetPassage[];
  readonly uses: readonly Use[];
  readonly written?: readonly Written[];
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
  /** Which language models wrote what is learned from, and how many wrong answers of theirs are. */
  readonly writtenBy: readonly string[];
  readonly rivals: number;
  readonly passages: readonly DatasetPassage[];
  readonly tuning: readonly Question[];
  readonly test: readonly Question[];
  /** Pinned ones, as such that are judged. */
  readonly regressions: readonly Question[];
};

export type Prepared =
  | {
      readonly type: "refused";
      readonly refusal: Refusal;
      readonly dataSha256: string;
      readonly counts: Counts;
      readonly writtenBy: readonly string[];
    }
  | { readonly type: "ready"; readonly files: ReadonlyMap<string, Uint8Array>; readonly home: Home };

/** Ranks that negatives are looked for in: see ml/dataset/negatives.ts. */
const nearMax = 60;

/** `embed`: the model in force, one vector a text; asked for all passages once and for each question. */
export async function prepare(
  { modelId, passages, uses, written = [], scopes, isScrubbed, pinned = [], seed, base: given, recipe, queryPrefix }: Preparing,
  embed: (texts: readonly string[]) => Promise<readonly Float32Array[]>,
): Promise<Prepared> {
  const { pairs: all, rivals } = await pairsOf({ passages, uses, scopes, isScrubbed, written }, seed);
  const questioned = all.filter(({ origin }) => origin !== "heading" && origin !== "span");
  const texts = [...passages.map(({ text }) => text), ...questioned.map(({ query }) => query), ...rivals.values()];
  const known = await vectorsOf(texts, embed);
  const live = { embed: (some: readonly string[]) => some.map((text) => known.get(text)!) };
  const isReached = reaching(questioned, { passages, live });
  const pairs = withoutStray(all, isReached);
  const split = splitByDocument(pairs, passages);
  const dataSha256 = digestOf(pairs, passages, rivals);
  const counts = countsOf(split);
  const learned = split.training.pairs.filter(({ origin }) => origin !== "heading" && origin !== "span");
  const writtenBy = learned.some(({ origin }) => origin === "written") ? modelsOf(written) : [];
  const refusal = checkDataset(split, { passages: new Map(passages.map((one) => [nameOf(one), one])), isReached });
  if (refusal) return { type: "refused", refusal, dataSha256, counts, writtenBy };
  const asked = [...new Set(learned.map(({ query }) => query))];
  const base = given ?? randomBase([...passages.map(({ text }) => text), ...asked, queryPrefix]);
  const negatives = negativesOf(learned, { passages, groupOf: split.groupOf, rivals, known, perPair: recipe.negatives, seed });
  const texted = new Map([...negatives].map(([pair, mine]) => [pair, mine.map(({ text }) => text)]));
  const files = packJob({ modelId, seed, split, passages, negatives: texted, base, recipe, queryPrefix });
  const [tuning, test] = [toQuestions(split.tuning, passages), toQuestions(split.test, passages)];
  const regressions = toRegressions(pinned, passages);
  const count = negatives.values().reduce((sum, mine) => sum + mine.filter(({ origin }) => origin === "written").length, 0);
  const made = { writtenBy, rivals: count };
  return { type: "ready", files, home: { seed, recipe, base, dataSha256, counts, ...made, passages, tuning, test, regressions } };
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
  readonly groupOf: Split["groupOf"];
  readonly rivals: ReadonlyMap<string, string>;
  readonly known: ReadonlyMap<string, Float32Array>;
  readonly perPair: number;
  readonly seed: number;
};

/** Of what was asked, by people or as people would; other pairs are many, and told apart from the rest of their batch. */
function negativesOf(
  pairs: readonly Pair[],
  { passages, groupOf, rivals, known, perPair, seed }: Mining,
): ReadonlyMap<Pair, readonly Negative[]> {
  const vectors = passages.map(({ text }) => known.get(text)!);
  const all = flat(vectors);
  const lexical = wordsOver(passages);
  const likeness = (query: string, vector: Float32Array): number =>
    known.get(query)!.reduce((sum, value, d) => sum + value * vector[d]!, 0);
  const mined = mineNegatives(pairs, {
    passages,
    groupOf,
    byWords: (query) => lexical(query).map(({ at }) => at),
    byVectors: (query) => nearest(all, known.get(query)!, nearMax),
    scoreOf: (query, at) => likeness(query, vectors[at]!),
    rivalOf: ({ origin, query, passage }) => {
      const text = origin === "written" ? rivals.get(nameOf(passage)) : undefined;
      return text === undefined ? undefined : { text, score: likeness(query, known.get(text)!) };
    },
    perPair,
    seed,
  });
  return new Map(pairs.map((pair, at) => [pair, mined[at]!]));
}
