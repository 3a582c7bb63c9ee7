/**
 * Whether a model may take the live one's place. A model is deployed when it is better beyond chance where it was not trained, and worse
 * nowhere that counts; each condition stands with its number, so that a refusal says why.
 */
import { bootstrap, type Interval } from "./metrics.ts";
import { meanOf, type Question, type Scores } from "./measure.ts";

export type Evidence = {
  readonly dense: Scores;
  readonly hybrid: Scores;
  /** To embed a question, 95 of 100 at most, ms. */
  readonly latencyMs: number;
  readonly sizeBytes: number;
};

/** What was tried beside questions: the empty text, a very long one, signs of all kinds. */
export type Probe = { readonly name: string; readonly passed: boolean };

/** A question that the owner wants answered, and whether its paper was among the first ten, before and after. */
export type Regression = { readonly question: string; readonly before: boolean; readonly after: boolean };

export type Check = {
  readonly name: string;
  readonly passed: boolean;
  /** What was found and what it takes, for people. */
  readonly says: string;
};

export type Verdict = {
  readonly isBetter: boolean;
  readonly checks: readonly Check[];
  /** Relative gain by vectors alone. */
  readonly gain: number;
  /** Of the difference in NDCG@10, by vectors and by both; 95 %. */
  readonly denseDifference: Interval;
  readonly hybridDifference: Interval;
};

export const gate = {
  questionsMin: 50,
  gainMin: 0.05,
  /** Where the live model finds next to nothing, a relative gain means nothing. */
  nothingBelow: 0.01,
  absoluteGainMin: 0.02,
  hybridLossMax: 0.01,
  otherLossMax: 0.02,
  sliceLossMax: 0.1,
  sliceQuestionsMin: 30,
  latencyRatioMax: 1.5,
  /** A table of words takes a tenth of a millisecond, so no model with layers would ever do by the ratio alone; below this nobody notices. */
  latencyFreeMs: 30,
} as const;

type Judging = {
  readonly live: Evidence;
  readonly candidate: Evidence;
  readonly probes: readonly Probe[];
  readonly pinned?: readonly Regression[];
};

export function decide(questions: readonly Question[], { live, candidate, probes, pinned = [] }: Judging): Verdict {
  const before = meanOf(live.dense.ndcg);
  const after = meanOf(candidate.dense.ndcg);
  const gain = before > 0 ? (after - before) / before : after > 0 ? Infinity : 0;
  const denseDifference = difference(live.dense.ndcg, candidate.dense.ndcg);
  const hybridDifference = difference(live.hybrid.ndcg, candidate.hybrid.ndcg);
  const checks: Check[] = [
    check("questions", questions.length >= gate.questionsMin, `${questions.length} questions, ${gate.questionsMin} needed`),
    before < gate.nothingBelow
      ? check(
          "gain by vectors",
          after - before > gate.absoluteGainMin,
          `NDCG@10 from ${number(before)} to ${number(after)}, more than +${gate.absoluteGainMin} needed`,
        )
      : check(
          "gain by vectors",
          gain > gate.gainMin,
          `NDCG@10 from ${number(before)} to ${number(after)} (${percent(gain)}), more than ${percent(gate.gainMin)} needed`,
        ),
    check(
      "beyond chance",
      denseDifference.from > 0,
      `the difference is between ${number(denseDifference.from)} and ${number(denseDifference.to)} (95 %), above 0 needed`,
    ),
    loss("both together", meanOf(live.hybrid.ndcg), meanOf(candidate.hybrid.ndcg), gate.hybridLossMax),
    ...(["dense", "hybrid"] as const).flatMap((system) =>
      (["mrr", "recall"] as const).map((measure) =>
        loss(
          `${measure === "mrr" ? "MRR@10" : "Recall@10"} ${system === "dense" ? "by vectors" : "both together"}`,
          meanOf(live[system][measure]),
          meanOf(candidate[system][measure]),
          gate.otherLossMax,
        ),
      ),
    ),
    ...slicesOf(questions).map(([slice, at]) =>
      loss(
        slice,
        meanOf(at.map((question) => live.hybrid.ndcg[question]!)),
        meanOf(at.map((question) => candidate.hybrid.ndcg[question]!)),
        gate.sliceLossMax,
      ),
    ),
    regressions(pinned),
    check(
      "speed",
      candidate.latencyMs <= Math.max(gate.latencyFreeMs, gate.latencyRatioMax * live.latencyMs),
      `a question takes ${candidate.latencyMs.toFixed(1)} ms, the live model ${live.latencyMs.toFixed(1)}`,
    ),
    ...probes.map(({ name, passed }) => check(name, passed, passed ? "a vector as it should be" : "no usable vector")),
  ];
  return { isBetter: checks.every(({ passed }) => passed), checks, gain, denseDifference, hybridDifference };
}

const check = (name: string, passed: boolean, says: string): Check => ({ name, passed, says });

/** The interval of a paired difference, question by question. */
const difference = (before: readonly number[], after: readonly number[]): Interval =>
  bootstrap(after.map((value, at) => value - before[at]!));

function loss(name: string, before: number, after: number, lossMax: number): Check {
  const change = before > 0 ? (after - before) / before : 0;
  return check(
    name,
    change >= -lossMax,
    `from ${number(before)} to ${number(after)} (${percent(change)}), not below ${percent(-lossMax)} needed`,
  );
}

function slicesOf(questions: readonly Question[]): [string, number[]][] {
  const slices = new Map<string, number[]>();
  for (const [at, { slices: mine }] of questions.entries())
    for (const slice of mine) slices.set(slice, [...(slices.get(slice) ?? []), at]);
  return [...slices].filter(([, at]) => at.length >= gate.sliceQuestionsMin);
}

/** What the owner wants answered, and the live search answers, stays answered. */
function regressions(pinned: readonly Regression[]): Check {
  const lost = pinned.filter(({ before, after }) => before && !after);
  const which = lost.length > 0 ? `: ${lost.map(({ question }) => `“${question}”`).join(", ")}` : "";
  return check("pinned questions", lost.length === 0, `${lost.length} of ${pinned.length} no longer answered${which}`);
}

const number = (value: number): string => value.toFixed(3);
const percent = (value: number): string => `${value >= 0 ? "+" : ""}${(value * 100).toFixed(1)} %`;
