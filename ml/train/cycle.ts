/**
 * One round of learning, from what was remembered to a verdict: pairs, sets, the check whether they may be learned from, training, and the
 * live model and the new one on questions that neither was chosen by. What it comes to is all there is to know of the model.
 */
import { createHash } from "node:crypto";
import type { Fusion } from "../../convex/model/model.ts";
import type { Asked, Reaction, Use } from "../../convex/model/use.ts";
import type { Written } from "../../convex/model/written.ts";
import { checkDataset, countsOf, type Counts, type Refusal } from "../dataset/check.ts";
import { distinct, pairsFromHistory } from "../dataset/history.ts";
import { headingPairs, spanPairs } from "../dataset/made.ts";
import { nameOf, type DatasetPassage, type Pair } from "../dataset/pair.ts";
import { scrub } from "../dataset/scrub.ts";
import { splitByDocument } from "../dataset/split.ts";
import { pairsFromWritten } from "../dataset/written.ts";
import { decide, type Evidence, type Probe, type Verdict } from "../evaluate/gate.ts";
import { fused, rankAll, scoresOf, type Question, type Ranked } from "../evaluate/measure.ts";
import { flat, nearest } from "../evaluate/ranking.ts";
import { toQuestions, wordsOver } from "./ground.ts";
import { learn, type Learned, type LearnOptions, type Watching } from "./learn.ts";
import { embedTexts } from "./model.ts";
import { modelFiles } from "./modelFiles.ts";

export type CycleInput = {
  readonly passages: readonly DatasetPassage[];
  readonly uses: readonly Use[];
  /** What a language model wrote about passages, where the owner asked for it. */
  readonly written?: readonly Written[];
  /** Whose use may be learned from. */
  readonly scopes: readonly string[];
  /** Questions that have to stay answered by a document. They decide nothing else, and may have been learned from. */
  readonly pinned: readonly Pinned[];
  /** Whether addresses, accounts and numbers are taken out of questions first. */
  readonly isScrubbed: boolean;
  readonly live: Live;
};

export type Pinned = { readonly question: string; readonly documentId: string };

/** The model in force. */
export type Live = {
  readonly embed: (texts: readonly string[]) => Promise<readonly Float32Array[]>;
  readonly fusion: Fusion;
};

export type CycleOptions = {
  readonly learn: LearnOptions;
  /** Milliseconds that some work took; who has no clock is told. */
  readonly timed: (work: () => unknown) => number;
};

/** Where a model comes from: enough to make it again. */
export type Lineage = {
  readonly dataSha256: string;
  readonly counts: Counts;
  readonly options: LearnOptions;
  /** Which language models wrote what was learned from, and how many wrong answers of theirs were. */
  readonly writtenBy: readonly string[];
};

export type CycleResult =
  | { readonly type: "refused"; readonly refusal: Refusal; readonly lineage: Lineage }
  | {
      readonly type: "trained";
      readonly lineage: Lineage;
      readonly verdict: Verdict;
      readonly fusion: Fusion;
      readonly beginning: Learned["beginning"];
      readonly chosen: Learned["chosen"];
      readonly share: number;
      /** Wrong answers that a language model wrote and that were learned from. */
      readonly rivals: number;
      readonly files: ReadonlyMap<string, Uint8Array>;
      /** Of all its files. */
      readonly sha256: string;
    };

/** Near enough to a question, by words or by vectors, to have something to do with it. */
const reachMax = 100;

export async function runCycle(
  input: CycleInput,
  { learn: options, timed }: CycleOptions,
  watching: Watching = {},
): Promise<CycleResult> {
  const { passages, pinned, written = [] } = input;
  const { pairs: all, rivals } = await pairsOf(input, options.seed);
  const regressions = toRegressions(pinned, passages);
  // Each text once, ahead of everything: the model in force may be served by another process.
  const { read, embed: embedLive } = embeddedOnce(input.live.embed);
  const asked = all.filter(({ origin }) => origin !== "heading" && origin !== "span");
  await read([
    ...passages.map(({ text }) => text),
    ...asked.map(({ query }) => query),
    ...rivals.values(),
    ...regressions.map(({ text }) => text),
  ]);
  const live = { fusion: input.live.fusion, embed: embedLive };
  const isReached = reaching(asked, { passages, live });
  const pairs = withoutStray(all, isReached);
  const split = splitByDocument(pairs, passages);
  const writtenBy = split.training.pairs.some(({ origin }) => origin === "written") ? modelsOf(written) : [];
  const lineage = { dataSha256: digestOf(pairs, passages, rivals), counts: countsOf(split), options, writtenBy };
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  const questions = toQuestions(split.test, passages);
  await read(questions.map(({ text }) => text));
  const refusal = checkDataset(split, { passages: known, isReached });
  if (refusal) return { type: "refused", refusal, lineage };
  const learned = await learn({ split, passages, rivals, live: live.embed }, options, watching);

  const lexical = wordsOver(passages);
  const texts = passages.map(({ text }) => text);
  const documentOf = (at: number): string => passages[at]!.documentId;
  const judge = (embed: Embed, fusion: Fusion): Omit<Evidence, "sizeBytes"> & { readonly answered: readonly number[] } => {
    const ranked: readonly Ranked[] = rankAll([...questions, ...regressions], { embed, texts, lexical });
    const times = questions.map(({ text }) => timed(() => embed([text]))).toSorted((one, other) => one - other);
    return {
      answered: scoresOf(regressions, (at) => fused(ranked[questions.length + at]!, fusion), documentOf).recall,
      dense: scoresOf(questions, (at) => ranked[at]!.dense, documentOf),
      hybrid: scoresOf(questions, (at) => fused(ranked[at]!, fusion), documentOf),
      latencyMs: times[Math.floor(times.length * 0.95)] ?? 0,
    };
  };
  const files = modelFiles(learned.model);
  const embed = (some: readonly string[]): Float32Array[] => embedTexts(learned.model, some);
  const [before, after] = [judge(live.embed, live.fusion), judge(embed, learned.fusion)];
  const verdict = decide(questions, {
    live: { ...before, sizeBytes: 0 },
    candidate: { ...after, sizeBytes: files.values().reduce((sum, { length }) => sum + length, 0) },
    probes: probe(embed),
    pinned: regressions.map(({ text }, at) => ({
      question: text,
      before: before.answered[at]! > 0,
      after: after.answered[at]! > 0,
    })),
  });
  const { fusion, beginning, chosen, share, negatives } = learned;
  const hash = createHash("sha256");
  for (const [path, bytes] of files) hash.update(path).update(bytes);
  return {
    type: "trained",
    lineage,
    verdict,
    fusion,
    beginning,
    chosen,
    share,
    rivals: negatives.written,
    files,
    sha256: hash.digest("hex"),
  };
}

/** What a model was, or was to be, made of. */
export type Data = {
  readonly dataSha256: string;
  readonly counts: Counts;
  readonly writtenBy: readonly string[];
  readonly rivals?: number;
  /** The embedder that it is compared with. */
  readonly against: string;
};

export function dataOf({ dataSha256, counts, writtenBy, rivals = 0, against }: Data) {
  const { used, reformulated, heading, span, written } = counts.training;
  return {
    dataSha256,
    against,
    trainingPairs: used + reformulated + heading + span + written,
    askedPairs: used + reformulated,
    ...(written > 0 && { written: { pairs: written, rivals, by: [...writtenBy] } }),
    testQuestions: counts.testQuestions,
    madeTestQuestions: counts.madeTestQuestions,
    documents: counts.documents,
  };
}

type Embed = (texts: readonly string[]) => readonly Float32Array[];

/** What was read can be asked for at once. */
function embeddedOnce(embed: Live["embed"]): { read: (texts: readonly string[]) => Promise<void>; embed: Embed } {
  const known = new Map<string, Float32Array>();
  return {
    read: async (texts) => {
      const all = [...new Set(texts)].filter((text) => !known.has(text));
      const vectors = await embed(all);
      for (const [at, text] of all.entries()) known.set(text, vectors[at]!);
    },
    embed: (some) => some.map((text) => known.get(text)!),
  };
}

/** A question that a model wrote and that leads nowhere near its passage is about something else. */
export const withoutStray = (pairs: readonly Pair[], isReached: (pair: Pair) => boolean): Pair[] =>
  pairs.filter((pair) => pair.origin !== "written" || isReached(pair));

export const modelsOf = (written: readonly Written[]): string[] => [...new Set(written.map(({ model }) => model))].toSorted();

/** Pinned questions as such that are judged; what their documents are kept as does not matter. */
export function toRegressions(pinned: readonly Pinned[], passages: readonly DatasetPassage[]): Question[] {
  const there = new Set(passages.map(({ documentId }) => documentId));
  return pinned
    .filter(({ documentId }) => there.has(documentId))
    .map(({ question, documentId }) => ({ id: question, text: question, judged: new Map([[documentId, 1]]), slices: [] }));
}

export async function pairsOf(
  {
    uses,
    passages,
    scopes,
    isScrubbed,
    written = [],
  }: Pick<CycleInput, "uses" | "passages" | "scopes" | "isScrubbed" | "written">,
  seed: number,
): Promise<{ readonly pairs: Pair[]; readonly rivals: ReadonlyMap<string, string> }> {
  const asked: Asked[] = [];
  for (const { key, at, session, question, shown } of uses)
    asked.push({ id: key, at, session, question: isScrubbed ? (await scrub(question)).text : question, shown });
  const reactions = uses.flatMap(({ key, reactions: mine }) => mine.map((one): Reaction => ({ ...one, askId: key })));
  const may = passages.filter(({ scope }) => scopes.includes(scope));
  const known = new Map(may.map((passage) => [nameOf(passage), passage]));
  const { pairs: fromModels, rivals } = pairsFromWritten(written, known);
  const pairs = distinct([
    ...pairsFromHistory(asked, reactions, { passages: known, scopes: new Set(scopes) }),
    ...fromModels,
    ...headingPairs(may),
    ...spanPairs(may, { perPassage: 1, seed }),
  ]);
  return { pairs, rivals };
}

/** The same pairs and passages, whatever order they came in, have the same digest. */
export function digestOf(
  pairs: readonly Pair[],
  passages: readonly DatasetPassage[],
  rivals: ReadonlyMap<string, string> = new Map(),
): string {
  const lines = [
    ...pairs.map(({ query, passage, weight, origin }) => JSON.stringify([query, nameOf(passage), weight, origin])),
    ...passages.map((passage) => JSON.stringify([nameOf(passage), passage.text])),
    ...Array.from(rivals, (one) => JSON.stringify(one)),
  ];
  return createHash("sha256").update(lines.toSorted().join("\n")).digest("hex");
}

type Reaching = { readonly passages: readonly DatasetPassage[]; readonly live: { readonly embed: Embed } };

/** `pairs`: those whose questions the live model was asked. */
export function reaching(pairs: readonly Pair[], { passages, live }: Reaching): (pair: Pair) => boolean {
  const vectors = flat(live.embed(passages.map(({ text }) => text)));
  const queries = [...new Set(pairs.map(({ query }) => query))];
  const asked = new Map(live.embed(queries).map((vector, at) => [queries[at]!, vector]));
  const lexical = wordsOver(passages);
  // Of a small vault a hundred would be most of it.
  const limit = Math.min(reachMax, Math.ceil(passages.length / 10));
  return ({ query, passage }) => {
    const vector = asked.get(query);
    const isIt = ({ at }: { at: number }): boolean => passages[at]!.documentId === passage.documentId;
    return lexical(query).slice(0, limit).some(isIt) || (vector !== undefined && nearest(vectors, vector, limit).some(isIt));
  };
}

export const probes: readonly (readonly [string, string])[] = [
  ["an empty text", ""],
  ["a text of ten thousand words", "word ".repeat(10_000)],
  ["signs of all kinds", "🙂 \u0000\u0007\u200d ⁂ ﷽ \ud800"],
];

export function probe(embed: (texts: readonly string[]) => Float32Array[]): Probe[] {
  return probes.map(([name, text]) => {
    const [vector] = embed([text]);
    const length = Math.hypot(...(vector ?? []));
    return { name, passed: Math.abs(length - 1) < 1e-3 };
  });
}
