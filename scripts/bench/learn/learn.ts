/**
 * What training on use does, on documents that no example is about: our own collection with a log of use (simulated), and a made firm with
 * words of its own. BM25, the live embedder and the untrained model beside it; how long it took; that a split by pair promises too much; and
 * that the same seed gives the same bytes. Our own collection is learned from twice, each time with a log of one half of it, and examined on
 * the other: so each paper is asked about once, by a model that no question about it taught. `--quick` leaves the made firm out, `--recipes N`
 * tries the first N recipes only, `--only study` leaves out all but the study of our own collection, and `--only made` all but that of the
 * made firm. Training reads all documents of the vault, as it does for its owner, and of the exam's no question; `--unread` keeps their texts
 * from it as well. `--exam fresh` asks the same models a second exam as well, which nobody saw while anything was chosen: figures named
 * "fresh exam". Nothing may be chosen by it.
 */
import { createHash } from "node:crypto";
import { availableParallelism, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fusionDefault, type Fusion } from "../../../convex/model/model.ts";
import { countsOf, checkDataset } from "../../../ml/dataset/check.ts";
import { distinct, pairsFromHistory } from "../../../ml/dataset/history.ts";
import { headingPairs, spanPairs } from "../../../ml/dataset/made.ts";
import { isReal, nameOf, type DatasetPassage, type Pair } from "../../../ml/dataset/pair.ts";
import { splitByDocument, type Split, type TestSet, type TrainingSet } from "../../../ml/dataset/split.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { decide } from "../../../ml/evaluate/gate.ts";
import { fused, meanOf, rankAll, scoresOf, type Question, type Ranked, type Scores } from "../../../ml/evaluate/measure.ts";
import { bootstrap } from "../../../ml/evaluate/metrics.ts";
import { toQuestions, wordsOver } from "../../../ml/train/ground.ts";
import { rerank } from "../../../ml/retrieve/rerank.ts";
import { learn, learnDefault, type Learned, type LearnOptions } from "../../../ml/train/learn.ts";
import { modelFiles } from "../../../ml/train/modelFiles.ts";
import { embedTexts } from "../../../ml/train/model.ts";
import { readCollection } from "../retrieval/parts/beir.ts";
import { atMost, report } from "../vectors/parts/figure.ts";
import { papers } from "../../../tests/fixtures/collection/papers.ts";
import { readFresh } from "../../../tests/fixtures/collection/fresh.ts";
import { topics } from "../../../tests/fixtures/collection/topics.ts";
import { passagesOf, useOf, type Ask, type TenantDocument } from "./parts/tenant.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean" },
    only: { type: "string" },
    recipes: { type: "string" },
    unread: { type: "boolean" },
    exam: { type: "string" },
  },
  strict: false,
});
const recipes = Number(flags.recipes ?? learnDefault.grid.length);
const options: LearnOptions = { ...learnDefault, grid: learnDefault.grid.slice(0, recipes) };
const live = baselineEmbedder();
const spansPerPassage = 1;
const scopes = new Set(["private"]);

type Firm = {
  readonly name: string;
  /** All that there is to learn from. */
  readonly passages: readonly DatasetPassage[];
  /** What the exam searches. */
  readonly searched: readonly DatasetPassage[];
  /** Parts of the exam that are told apart. */
  readonly partOf?: (documentId: string) => string;
  /** A second exam; of it what is about documents that no example is about is asked. */
  readonly fresh?: readonly Question[];
  readonly pairs: readonly Pair[];
  /** The share of questions that the last documents have; these are the exam. */
  readonly testShare: number;
};

/** Which half a document is of, as the retrieval bench has it: its held-out half is 1. */
const halfOf = (documentId: string): number => createHash("sha256").update(documentId).digest()[0]! % 2;

/**
 * Our collection, with 300 further papers of the same firm that only the log is about. The log is about one half of the documents and
 * the further papers; the exam is the questions of the other half, word for word, among the collection's documents.
 */
async function ownFirm(examined: 0 | 1): Promise<Firm> {
  const isHeldOut = (documentId: string): boolean => halfOf(documentId) === examined;
  const { documents, queries } = readCollection(fileURLToPath(new URL("../../../tests/fixtures/collection", import.meta.url)));
  const further = papers(300, 21);
  const searched = await passagesOf(documents);
  const passages = [
    ...searched,
    ...(await passagesOf(further.map(({ title, text, form }, at) => ({ id: `f${at}`, title, text, form })))),
  ];
  const exam = queries.map(({ text, judged }) => ({ question: text, documentId: [...judged.keys()].toSorted()[0]! }));
  const own: Ask[] = [...topics, ...papers(documents.length - topics.length, 11)].flatMap((paper, at) =>
    paper.asks.map((question) => ({ question, documentId: documents[at]!.id })),
  );
  const asks = own.filter(({ documentId }) => !isHeldOut(documentId));
  const aside = further.flatMap((paper, at) => paper.asks.map((question) => ({ question, documentId: `f${at}` })));
  const handWritten = new Set(documents.slice(0, topics.length).map(({ id }) => id));
  return {
    ...firmOf(`own collection, half ${2 - examined} of 2`, passages, [
      // Three people ask of what the collection holds for each one who asks of the further papers.
      ...pairsOf(asks, passages, { seed: 3, jargonShare: 0, times: 3 }),
      ...pairsOf(aside, passages, { seed: 31, jargonShare: 0, times: 1 }),
      // The exam as it stands: nobody shortens it, and what answers it is judged by hand.
      ...exam
        .filter(({ documentId }) => isHeldOut(documentId))
        .map(({ question, documentId }): Pair => ({
          query: question,
          passage: { documentId, ordinal: 0 },
          weight: 1,
          at: examAt,
          origin: "used",
          session: "exam",
        })),
    ]),
    searched,
    ...(flags.exam === "fresh" && {
      fresh: readFresh().map(({ id, text, judged, language, wording }) => ({
        id,
        text,
        judged,
        slices: [`language ${language}`, `wording ${wording}`],
      })),
    }),
    partOf: (documentId) => (handWritten.has(documentId) ? "hand-written" : "made papers"),
  };
}

/** 800 papers of another seed, asked for in words of the house as often as not; the exam is about a fifth of the papers. */
async function madeFirm(): Promise<Firm> {
  const all = papers(800, 5);
  const documents = all.map(({ title, text, form }, at): TenantDocument => ({ id: `p${at}`, title, text, form }));
  const passages = await passagesOf(documents);
  const asks = all.flatMap((paper, at) => paper.asks.map((question) => ({ question, documentId: `p${at}` })));
  const isLate = (documentId: string): boolean => Number(documentId.slice(1)) % 5 === 0;
  const log = (some: readonly Ask[], times: number): Pair[] => pairsOf(some, passages, { seed: 4, jargonShare: 0.6, times });
  return firmOf("made firm", passages, [
    ...log(
      asks.filter(({ documentId }) => !isLate(documentId)),
      2,
    ),
    ...log(
      asks.filter(({ documentId }) => isLate(documentId)),
      1,
    ).map((pair) => ({ ...pair, at: examAt })),
  ]);
}

const examAt = Date.UTC(2026, 11, 1);

function pairsOf(
  asks: readonly Ask[],
  passages: readonly DatasetPassage[],
  options: { seed: number; jargonShare: number; times: number },
): Pair[] {
  const { asked, reactions } = useOf(asks, passages, { ...options, isLate: () => false });
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  return distinct(pairsFromHistory(asked, reactions, { passages: known, scopes }));
}

function firmOf(name: string, passages: readonly DatasetPassage[], used: readonly Pair[]): Firm {
  const made = [...headingPairs(passages), ...spanPairs(passages, { perPassage: spansPerPassage, seed: 9 })];
  const pairs = [...used, ...made];
  // All that is a copy of an exam's document goes with it, so its share is counted by groups.
  const { groupOf } = splitByDocument(pairs, passages);
  const groups = new Set(used.filter(({ at }) => at === examAt).map(({ passage }) => groupOf.get(passage.documentId)));
  const late = used.filter(({ passage }) => groups.has(groupOf.get(passage.documentId))).length;
  return { name, passages, searched: passages, pairs, testShare: late / used.length };
}

const embedLive = (texts: readonly string[]): Float32Array[] => live.embed(texts);

type Judged = {
  readonly questions: readonly Question[];
  readonly of: (ranked: readonly Ranked[], by: By) => Scores;
  readonly rank: Rank;
};
type By = Fusion | "dense" | "lexical";
type Rank = (embed: (texts: readonly string[]) => readonly Float32Array[]) => Ranked[];

/** Of copies of the exam's documents there is a log, too; the exam is what was asked last. */
function examOf(test: TestSet, passages: readonly DatasetPassage[]): Question[] {
  const last = test.pairs.filter(({ at }) => at === examAt);
  return toQuestions({ ...test, pairs: last.length > 0 ? last : test.pairs }, passages);
}

function judging(questions: readonly Question[], passages: readonly DatasetPassage[]): Judged {
  const lexical = wordsOver(passages);
  const documentOf = (at: number): string => passages[at]!.documentId;
  return {
    questions,
    rank: (embed) => rankAll(questions, { embed, texts: passages.map(({ text }) => text), lexical }),
    of: (ranked, by) =>
      scoresOf(
        questions,
        (at) => (by === "dense" ? ranked[at]!.dense : by === "lexical" ? ranked[at]!.lexical : fused(ranked[at]!, by)),
        documentOf,
      ),
  };
}

type Exam = { readonly questions: readonly Question[]; readonly systems: Readonly<Record<string, Scores>>; readonly firm: Firm };

/** Learns from a firm's use. What its model reaches on its exam, and on the fresh one where there is one. */
async function study(firm: Firm): Promise<{ readonly exam: Exam; readonly fresh: Exam | undefined }> {
  const { name, passages, searched, pairs, testShare } = firm;
  const split = splitByDocument(pairs, passages, { testShare });
  const refusal = checkDataset(split, {
    passages: new Map(passages.map((passage) => [nameOf(passage), passage])),
    isReached: () => true,
  });
  console.error(
    `${name}: ${passages.length} passages, ${JSON.stringify(countsOf(split))}${refusal ? `; REFUSED: ${refusal.says}` : ""}`,
  );
  const startedAt = performance.now();
  const exam = new Set(split.test.groups);
  const read = flags.unread === true ? passages.filter(({ documentId }) => !exam.has(split.groupOf.get(documentId)!)) : passages;
  const learned = await learn({ split, passages, read, live: embedLive }, options, {
    onProgress: (_done, _total, trial) => trial && console.error(JSON.stringify(trial)),
  });
  report(
    {
      name: `learn.${name}.time`,
      value: (performance.now() - startedAt) / 1000,
      unit: `s of one thread, ${learned.examples} examples, load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores`,
    },
    atMost(300),
  );
  console.error(
    `${name}: ${JSON.stringify(learned.beginning)}, ${JSON.stringify(learned.chosen)}, share ${learned.share}, ${JSON.stringify(learned.fusion)}, ${JSON.stringify(learned.negatives)}`,
  );
  const fresh = firm.fresh?.filter(({ judged }) => [...judged.keys()].every((id) => exam.has(split.groupOf.get(id)!)));
  return {
    exam: examine(name, firm, { learned, questions: examOf(split.test, searched) }),
    fresh: fresh && examine(`${name}, fresh exam`, firm, { learned, questions: fresh }),
  };
}

const search = { live: "a search, live", trained: "a search, trained" };

/** What the models reach, beside words and the live one, and what the gate would say. */
function examine(
  name: string,
  firm: Firm,
  { learned, questions: asked }: { readonly learned: Learned; readonly questions: readonly Question[] },
): Exam {
  const { questions, rank, of } = judging(asked, firm.searched);
  const liveRanks = rank(embedLive);
  const untrainedRanks = rank((texts) => embedTexts(learned.untrained, texts));
  const trainedRanks = rank((texts) => embedTexts(learned.model, texts));
  const systems: Record<string, Scores> = {
    "words (BM25)": of(liveRanks, "lexical"),
    "vectors, live": of(liveRanks, "dense"),
    "vectors, untrained": of(untrainedRanks, "dense"),
    "vectors, trained": of(trainedRanks, "dense"),
    "both, live": of(liveRanks, fusionDefault),
    "both, untrained": of(untrainedRanks, fusionDefault),
    "both, trained, fused as before": of(trainedRanks, fusionDefault),
    "both, trained": of(trainedRanks, learned.fusion),
    [search.live]: answered(questions, firm.searched, { ranked: liveRanks, fusion: fusionDefault, needsWords: true }),
    [search.trained]: answered(questions, firm.searched, { ranked: trainedRanks, fusion: learned.fusion, needsWords: false }),
  };
  const evidence = (ranked: readonly Ranked[], fusion: Fusion) => ({
    dense: of(ranked, "dense"),
    hybrid: of(ranked, fusion),
    latencyMs: 1,
    sizeBytes: 0,
  });
  const verdict = decide(questions, {
    live: evidence(liveRanks, fusionDefault),
    candidate: evidence(trainedRanks, learned.fusion),
    probes: [],
  });
  console.error(`${name}, the verdict:`);
  for (const { name: check, passed, says } of verdict.checks) console.error(`  ${passed ? "passes" : "FAILS"} ${check}: ${says}`);
  return { questions, systems, firm };
}

/** As the appliance searches: the best of both rankings in the order in which they answer; by the baseline, only what shares a word. */
function answered(
  questions: readonly Question[],
  passages: readonly DatasetPassage[],
  { ranked, fusion, needsWords }: { ranked: readonly Ranked[]; fusion: Fusion; needsWords: boolean },
): Scores {
  const hitsOf = (question: number): { at: number }[] => {
    const candidates = fused(ranked[question]!, fusion).slice(0, candidatesMax);
    return rerank(
      candidates.map(({ at, score }) => ({ at, score, title: passages[at]!.title, text: passages[at]!.body })),
      questions[question]!.text,
      { needsWords },
    );
  };
  return scoresOf(questions, hitsOf, (at) => passages[at]!.documentId);
}

/** As many as a search looks at more closely. */
const candidatesMax = 30;

/** The figures of one exam, or of several that ask about different papers. */
function tell(name: string, exams: readonly Exam[]): void {
  const valuesOf = (system: string, measure: keyof Scores): number[] => exams.flatMap(({ systems }) => systems[system]![measure]);
  for (const system of Object.keys(exams[0]!.systems)) {
    const { mean, from, to } = bootstrap(valuesOf(system, "ndcg"));
    const others = `MRR ${meanOf(valuesOf(system, "mrr")).toFixed(3)}, recall ${meanOf(valuesOf(system, "recall")).toFixed(3)}`;
    report({
      name: `learn.${name}.${system}`,
      value: mean,
      unit: `NDCG@10 of ${valuesOf(system, "ndcg").length} questions, 95 % from ${from.toFixed(3)} to ${to.toFixed(3)}; ${others}`,
    });
  }
  for (const [one, other, goal] of [
    ["vectors, trained", "vectors, live", 0.1],
    ["vectors, trained", "vectors, untrained", 0],
    ["both, trained", "both, live", 0],
    ["both, trained", "words (BM25)", 0],
    [search.trained, search.live, 0],
    ["both, trained", "both, trained, fused as before", undefined],
  ] as const) {
    const [a, b] = [valuesOf(one, "ndcg"), valuesOf(other, "ndcg")];
    const { mean, from, to } = bootstrap(a.map((value, at) => value - b[at]!));
    const gain = mean / meanOf(b);
    report(
      {
        name: `learn.${name}.${one} - ${other}`,
        value: mean,
        unit: `NDCG@10 (${(gain * 100).toFixed(1)} %), 95 % from ${from.toFixed(3)} to ${to.toFixed(3)}`,
      },
      goal === undefined
        ? undefined
        : () => ({ goal: goal > 0 ? ">= +10 %, interval above 0" : "interval above 0", met: gain >= goal && from > 0 }),
    );
  }
  const parts = exams.flatMap(({ firm: { partOf }, questions }) =>
    questions.map(({ judged }) => partOf?.([...judged.keys()][0]!) ?? ""),
  );
  for (const [part, at] of Map.groupBy(parts.keys(), (question) => parts[question]!)) {
    if (part === "") continue;
    const [before, after] = (["vectors, live", "vectors, trained"] as const).map((system) => {
      const values = valuesOf(system, "ndcg");
      return at.map((question) => values[question]!);
    });
    const { mean, from, to } = bootstrap(after!.map((value, question) => value - before![question]!));
    report({
      name: `learn.${name}.${part}: vectors, trained - live`,
      value: mean,
      unit: `NDCG@10 of ${at.length} questions, from ${meanOf(before!).toFixed(3)}, 95 % from ${from.toFixed(3)} to ${to.toFixed(3)}`,
    });
  }
}

/**
 * The lie: the same pairs dealt out one by one, so that what is asked in the exam is about documents that were learned from. The types do
 * not allow it; here they are told to.
 */
async function lie({ passages, searched, pairs }: Firm, honest: Split): Promise<void> {
  const own = new Set(searched.map(({ documentId }) => documentId));
  const used = pairs.filter(({ origin, at, passage }) => isReal(origin) && at !== examAt && own.has(passage.documentId));
  const dealt = (rest: number): Pair[] => used.filter((_, at) => at % 5 === rest);
  const sets = {
    training: { pairs: used.filter((_, at) => at % 5 > 1), groups: new Set() } as unknown as TrainingSet,
    tuning: { ...honest.tuning, pairs: dealt(0) } as unknown as Split["tuning"],
    test: { ...honest.test, pairs: dealt(1) } as unknown as TestSet,
  };
  const learned = await learn({ split: { ...honest, ...sets }, passages, live: embedLive }, small);
  const gainOn = (test: TestSet): number => {
    const { rank, of } = judging(examOf(test, searched), searched);
    const before = meanOf(of(rank(embedLive), "dense").ndcg);
    return (
      (meanOf(
        of(
          rank((texts) => embedTexts(learned.model, texts)),
          "dense",
        ).ndcg,
      ) -
        before) /
      before
    );
  };
  report({ name: "learn.split by pair.promised gain", value: gainOn(sets.test) * 100, unit: "% NDCG@10 by vectors" });
  report({
    name: "learn.split by pair.true gain on unseen documents",
    value: gainOn(honest.test) * 100,
    unit: "% NDCG@10 by vectors",
  });
}

const small: LearnOptions = { ...learnDefault, grid: learnDefault.grid.slice(0, 1), epochsMax: 2 };

const digestOf = ({ model }: Learned): string => {
  const hash = createHash("sha256");
  for (const [path, bytes] of modelFiles(model)) hash.update(path).update(bytes);
  return hash.digest("hex");
};

const own = await ownFirm(1);
if (flags.only !== "made") {
  const halves = [await study(own), await study(await ownFirm(0))];
  tell(
    "own collection",
    halves.map(({ exam }) => exam),
  );
  const fresh = halves.flatMap((half) => half.fresh ?? []);
  if (fresh.length > 0) tell("own collection, fresh exam", fresh);
}
if (flags.only === undefined) {
  const honest = splitByDocument(own.pairs, own.passages, { testShare: own.testShare });
  await lie(own, honest);
  const once = async (): Promise<string> =>
    digestOf(await learn({ split: honest, passages: own.passages, live: embedLive }, small));
  const [one, other] = [await once(), await once()];
  report({ name: "learn.same seed, same bytes", value: one === other ? 1 : 0, unit: `sha256 ${one.slice(0, 12)}` }, () => ({
    goal: "equal",
    met: one === other,
  }));
}
if (flags.quick !== true && flags.only !== "study") {
  const made = await madeFirm();
  tell(made.name, [(await study(made)).exam]);
}
