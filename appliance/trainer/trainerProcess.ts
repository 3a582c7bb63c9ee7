/** The process that trains: all it needs comes with the request, all it makes goes back. */
import type { ModelResult } from "../../convex/model/model.ts";
import { fusionDefault } from "../../convex/model/model.ts";
import { baselineEmbedder } from "../../ml/embed/baseline.ts";
import { runCycle, type CycleResult } from "../../ml/train/cycle.ts";
import { learnDefault } from "../../ml/train/learn.ts";
import { askParent, serve } from "../processes/serve.ts";
import type { TrainQuestion, TrainReply, TrainRequest } from "./trainer.ts";

const live = baselineEmbedder();
const tellEveryMs = 1_000;

serve(async (request: TrainRequest): Promise<TrainReply> => {
  const { passages, uses, scopes, seed, isScrubbed, against } = request;
  let toldAt = 0;
  let far: TrainQuestion = { done: 0, total: 1 };
  const cycle = await runCycle(
    { passages, uses, scopes, pinned: [], isScrubbed, live: { embed: (texts) => live.embed(texts), fusion: fusionDefault } },
    {
      learn: { ...learnDefault, seed },
      timed: (work) => {
        const startedAt = performance.now();
        work();
        return performance.now() - startedAt;
      },
    },
    {
      onProgress: (done, total) => {
        far = { done, total };
      },
      breathe: async () => {
        if (performance.now() - toldAt < tellEveryMs) return;
        toldAt = performance.now();
        await askParent(far);
      },
    },
  );
  return { result: toResult(cycle, against), files: cycle.type === "trained" ? [...cycle.files] : [] };
});

function toResult(cycle: CycleResult, against: string): ModelResult {
  const { dataSha256, counts } = cycle.lineage;
  const { used, reformulated, heading, span, written } = counts.training;
  const shared = {
    dataSha256,
    against,
    trainingPairs: used + reformulated + heading + span + written,
    askedPairs: used + reformulated,
    testQuestions: counts.testQuestions,
    madeTestQuestions: counts.madeTestQuestions,
    documents: counts.documents,
  };
  if (cycle.type === "refused") return { ...shared, verdict: "refused", says: cycle.refusal.says, checks: [] };
  const { verdict, fusion, chosen, share, sha256, files } = cycle;
  const failed = verdict.checks.find(({ passed }) => !passed);
  return {
    ...shared,
    verdict: verdict.isBetter ? "better" : "rejected",
    says: failed ? `Not better: ${failed.name}, ${failed.says}.` : "Better than the live one by every condition.",
    checks: verdict.checks.map(({ name, passed, says }) => ({ name, passed, says })),
    trained: {
      sha256,
      sizeBytes: files.values().reduce((sum, { length }) => sum + length, 0),
      fusion,
      temperature: chosen.temperature,
      rate: chosen.rate,
      negatives: chosen.negatives,
      epochs: chosen.epoch,
      share,
      gain: Number.isFinite(verdict.gain) ? verdict.gain : 0,
      denseDifference: verdict.denseDifference,
      hybridDifference: verdict.hybridDifference,
    },
  };
}
