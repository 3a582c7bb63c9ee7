/** The verdict on a model that was trained elsewhere, by the same gate as any other, and what becomes of it as a record. */
import type { Fusion, ModelResult } from "../../../convex/model/model.ts";
import { decide, type Evidence, type Verdict } from "../../evaluate/gate.ts";
import { fused, rankedMax, scoresOf, type Question, type Ranked } from "../../evaluate/measure.ts";
import { flat, nearest } from "../../evaluate/ranking.ts";
import { tuneFusion } from "../../evaluate/fusion.ts";
import { dataOf, probe, probes, type Data } from "../cycle.ts";
import { wordsOver } from "../ground.ts";
import { vectorsOf, type Home } from "./prepare.ts";
import type { Tuned } from "./result.ts";

/** A model as it is asked where it is served. */
export type Asking = {
  /** As passages are. */
  readonly embed: (texts: readonly string[]) => Promise<readonly Float32Array[]>;
  /** As questions are, one after the other; with the milliseconds that each took. */
  readonly ask: (texts: readonly string[]) => Promise<readonly { readonly vector: Float32Array; readonly ms: number }[]>;
};

export type Judged = { readonly verdict: Verdict; readonly fusion: Fusion };

type Judging = {
  readonly live: Asking;
  /** How the live ranking is joined with the one by words. */
  readonly liveFusion: Fusion;
  readonly candidate: Asking;
  readonly sizeBytes: number;
};

export async function judge(home: Home, { live, liveFusion, candidate, sizeBytes }: Judging): Promise<Judged> {
  const { passages, tuning, test, regressions } = home;
  const texts = passages.map(({ text }) => text);
  const lexical = wordsOver(passages);
  const documentOf = (at: number): string => passages[at]!.documentId;
  const look = async (model: Asking, more: readonly Question[]) => {
    const vectors = flat(await model.embed(texts));
    const questions = [...test, ...regressions, ...more];
    const asked = await model.ask(questions.map(({ text }) => text));
    const ranked = questions.map(({ text }, at) => ({
      dense: nearest(vectors, asked[at]!.vector, rankedMax),
      lexical: lexical(text),
    }));
    const times = asked.slice(0, test.length).map(({ ms }) => ms);
    const [first, last] = [test.length, test.length + regressions.length];
    return {
      test: ranked.slice(0, first),
      pinned: ranked.slice(first, last),
      more: ranked.slice(last),
      latencyMs: times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.95)] ?? 0,
    };
  };
  const evidence = (ranked: readonly Ranked[], fusion: Fusion): Pick<Evidence, "dense" | "hybrid"> => ({
    dense: scoresOf(test, (at) => ranked[at]!.dense, documentOf),
    hybrid: scoresOf(test, (at) => fused(ranked[at]!, fusion), documentOf),
  });
  const answered = (ranked: readonly Ranked[], fusion: Fusion): boolean[] =>
    scoresOf(regressions, (at) => fused(ranked[at]!, fusion), documentOf).recall.map((share) => share > 0);
  const before = await look(live, []);
  const after = await look(candidate, tuning);
  const { fusion } = tuneFusion(tuning, after.more, documentOf);
  const odd = await vectorsOf(
    probes.map(([, text]) => text),
    candidate.embed,
  );
  const [had, has] = [answered(before.pinned, liveFusion), answered(after.pinned, fusion)];
  const verdict = decide(test, {
    live: { ...evidence(before.test, liveFusion), latencyMs: before.latencyMs, sizeBytes: 0 },
    candidate: { ...evidence(after.test, fusion), latencyMs: after.latencyMs, sizeBytes },
    probes: probe((some) => some.map((text) => odd.get(text)!)),
    pinned: regressions.map(({ text }, at) => ({ question: text, before: had[at]!, after: has[at]! })),
  });
  return { verdict, fusion };
}

export const toRefused = (data: Data, says: string): ModelResult => ({
  ...dataOf(data),
  verdict: "refused",
  says,
  checks: [],
});

/** `facts`: of the machine, as the port of GPU jobs tells them. `servedCosine`: here and there, on the probes. */
export function toResult(
  home: Home,
  tuned: Tuned,
  { verdict, fusion }: Judged,
  {
    against,
    facts,
    servedCosine,
    sizeBytes,
  }: { against: string; facts: readonly string[]; servedCosine: number; sizeBytes: number },
): ModelResult {
  const { recipe, base } = home;
  const failed = verdict.checks.find(({ passed }) => !passed);
  const [first, last] = [tuned.epochs.find(({ loss }) => loss !== null), tuned.epochs.at(-1)];
  return {
    ...dataOf({ ...home, against }),
    verdict: verdict.isBetter ? "better" : "rejected",
    says: failed ? `Not better: ${failed.name}, ${failed.says}.` : "Better than the live one by every condition.",
    checks: verdict.checks.map(({ name, passed, says }) => ({ name, passed, says })),
    trained: {
      sha256: tuned.sha256,
      sizeBytes,
      fusion,
      temperature: recipe.temperature,
      rate: recipe.rate,
      negatives: recipe.negatives,
      epochs: tuned.bestEpoch,
      share: tuned.share,
      gain: Number.isFinite(verdict.gain) ? verdict.gain : 0,
      denseDifference: verdict.denseDifference,
      hybridDifference: verdict.hybridDifference,
      lora: {
        base: base.name,
        rank: recipe.rank,
        alpha: recipe.alpha,
        trained: tuned.trained,
        numbers: tuned.numbers,
        firstLoss: first?.loss ?? tuned.losses[0]!,
        lastLoss: last?.loss ?? tuned.losses.at(-1)!,
        maxAbsDifference: tuned.maxAbsDifference,
        quantisedCosine: tuned.quantisedCosine,
        servedCosine,
        isQuantized: tuned.isQuantized,
        seconds: tuned.seconds,
        memoryMb: tuned.memoryMb,
        ...(tuned.gpuMemoryMb !== undefined && { gpuMemoryMb: tuned.gpuMemoryMb }),
        device: tuned.device,
        facts: [...facts],
        versions: tuned.versions,
      },
    },
  };
}
