/** What is the same in every recipe: pieces, what is known of them beforehand, examples with their negatives, and the questions asked. */
import { questionsOf } from "../dataset/check.ts";
import { withoutSource } from "../dataset/made.ts";
import { mineNegatives, type Negative } from "../dataset/negatives.ts";
import { isReal, nameOf, type DatasetPassage, type Pair } from "../dataset/pair.ts";
import type { Split, TestSet, TuningSet } from "../dataset/split.ts";
import { rankedMax, type Question } from "../evaluate/measure.ts";
import { flat, nearest, type Hit } from "../evaluate/ranking.ts";
import { lexicalIndex } from "../retrieve/bm25.ts";
import { ideaWords } from "../retrieve/concepts.ts";
import { documentTerms, queryTerms } from "../retrieve/terms.ts";
import { toBag, type Bag } from "./bag.ts";
import { openPretraining, type Company, type Pretraining } from "./pretrain.ts";
import { firstFeatures, type Features } from "./rows.ts";
import type { Example } from "./trainer.ts";
import { learnVocabulary, type Vocabulary } from "./vocabulary.ts";

export type LearnInput = {
  readonly split: Split;
  /** All of the vault. */
  readonly passages: readonly DatasetPassage[];
  /** Of all the vault's passages, those whose words teach without a question; all of them unless given. */
  readonly read?: readonly DatasetPassage[];
  /** By passage: what a language model wrote that looks as if it answered its written questions. */
  readonly rivals?: ReadonlyMap<string, string>;
  /** The model in force, whose near misses are the hardest negatives. */
  readonly live: (texts: readonly string[]) => readonly Float32Array[];
};

export type Ground = {
  readonly vocabulary: Vocabulary;
  /** What is known without any text. */
  readonly features: Features;
  readonly pretraining: Pretraining;
  readonly examples: readonly Example[];
  readonly texts: readonly string[];
  readonly lexical: (question: string) => readonly Hit[];
  readonly documentOf: (at: number) => string;
  readonly negatives: Readonly<Record<Negative["origin"], number>>;
};

export type Laying = { readonly seed: number; readonly dimensions: number; readonly negativesMax: number };

export function lay({ split, passages, read = passages, rivals, live }: LearnInput, options: Laying): Ground {
  const texts = passages.map(({ text }) => text);
  // What people call things is often in no document.
  const asked = split.training.pairs.filter(isAsked);
  const vocabulary = learnVocabulary([...texts, ...asked.map(({ query }) => query)], { also: ideaWords });
  const features = firstFeatures(vocabulary, options.dimensions);
  const lexical = wordsOver(passages);
  const pairs = split.training.pairs.filter(({ passage }) => passage.documentId !== "");
  const mined = minedFor(pairs, { split, passages, live, lexical, options, ...(rivals && { rivals }) });
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  const groups = [...new Set(split.groupOf.values())];
  const groupAt = new Map(groups.map((group, at) => [group, at]));
  const negatives = { words: 0, near: 0, template: 0, written: 0 };
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
  const position = new Map(read.map((passage, at) => [nameOf(passage), at]));
  const used = asked.flatMap(({ query, passage, weight }): Company[] => {
    const about = position.get(nameOf(passage));
    return about === undefined ? [] : [{ words: bagOf(query), about, weight }];
  });
  return {
    vocabulary,
    features,
    pretraining: openPretraining(features, { passages: read.map(({ text }) => bagOf(text)), asked: used }),
    examples,
    texts,
    lexical,
    documentOf: (at) => passages[at]!.documentId,
    negatives,
  };
}

/** Somebody asked it, or a model did as somebody would: made of no heading and no passage. */
const isAsked = ({ origin }: Pair): boolean => isReal(origin) || origin === "written";

type Mining = LearnInput & { readonly lexical: (question: string) => readonly Hit[]; readonly options: Laying };

function minedFor(
  pairs: readonly Pair[],
  { split, passages, rivals, live, lexical, options }: Mining,
): ReturnType<typeof mineNegatives> {
  const vectors = flat(live(passages.map(({ text }) => text)));
  // Made pairs are many and cheap: what they are told apart from is the rest of their batch.
  const asked = [...new Set(pairs.filter(isAsked).map(({ query }) => query))];
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
      rivalOf: (asked) => {
        const text = asked.origin === "written" ? rivals?.get(nameOf(asked.passage)) : undefined;
        if (text === undefined) return undefined;
        const [vector] = live([text]);
        return { text, score: vector!.reduce((sum, value, d) => sum + value * embedded.get(asked.query)![d]!, 0) };
      },
      perPair: options.negativesMax,
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
export function toQuestions({ pairs }: TuningSet | TestSet, passages: readonly DatasetPassage[]): Question[] {
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  return [...questionsOf(pairs)].map(([id, mine]) => {
    const first = known.get(nameOf(mine[0]!.passage));
    const slices = first ? [`language ${first.language}`, `type ${first.entityType}`, `scope ${first.scope}`] : [];
    return {
      id,
      text: mine[0]!.query,
      judged: new Map(mine.map(({ passage }) => [passage.documentId, 1])),
      slices: [...slices, `asked ${mine.some(({ origin }) => isReal(origin)) ? "by people" : "by nobody: made"}`],
    };
  });
}
