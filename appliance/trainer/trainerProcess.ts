/** The process that trains: all it needs comes with the request or is asked of its parent, all it makes goes back. */
import { createHash } from "node:crypto";
import type { Comparison } from "../../convex/model/comparison.ts";
import type { ModelResult } from "../../convex/model/model.ts";
import { countsOf } from "../../ml/dataset/check.ts";
import { splitByDocument } from "../../ml/dataset/split.ts";
import { baselineEmbedder } from "../../ml/embed/baseline.ts";
import { compareModels, type Asking } from "../../ml/evaluate/compare.ts";
import { fromBytes, toBytes } from "../../ml/train/checkpoint.ts";
import { dataOf, digestOf, pairsOf, runCycle, toRegressions, type CycleResult } from "../../ml/train/cycle.ts";
import { toQuestions, wordsOver } from "../../ml/train/ground.ts";
import { learnDefault, type Checkpoint } from "../../ml/train/learn.ts";
import { askParent, serve } from "../processes/serve.ts";
import type { Asked, Named, TrainerQuestion, TrainerReply, TrainerRequest } from "./trainer.ts";

const baseline = baselineEmbedder();
const tellEveryMs = 1_000;
/** A large vault's checkpoint is hundreds of megabytes. */
const keepEveryMs = 20_000;
const textsPerAsk = 256;

const ask = async (question: TrainerQuestion): Promise<unknown> => askParent(question);

serve(async (request: TrainerRequest): Promise<TrainerReply> => {
  if (request.type === "compare") return { type: "compared", result: await compare(request) };
  const { passages, uses, written = [], scopes, pinned = [], seed, isScrubbed, live, from } = request;
  const options = { ...learnDefault, seed };
  // What a checkpoint belongs to: what comes with the request is all that training goes by.
  const of = createHash("sha256")
    .update(JSON.stringify([passages, uses, written, scopes, seed, isScrubbed, live.id, options]))
    .digest("hex");
  let toldAt = 0;
  let keptAt = performance.now();
  let [done, total] = [0, 1];
  const cycle = await runCycle(
    {
      passages,
      uses,
      written,
      scopes,
      pinned,
      isScrubbed,
      live: { embed: (texts) => embed(live.id, texts), fusion: live.fusion },
    },
    {
      learn: options,
      timed: (work) => {
        const startedAt = performance.now();
        work();
        return performance.now() - startedAt;
      },
    },
    {
      from: from && fromBytes(from, of),
      onProgress: (now, all) => {
        [done, total] = [now, all];
      },
      breathe: async () => {
        if (performance.now() - toldAt < tellEveryMs) return;
        toldAt = performance.now();
        await ask({ type: "far", done, total });
      },
      keep: async (checkpoint: Checkpoint) => {
        if (performance.now() - keptAt < keepEveryMs) return;
        keptAt = performance.now();
        await ask({ type: "keep", bytes: toBytes(checkpoint, of) });
      },
    },
  );
  return { type: "trained", result: toResult(cycle, live.id), files: cycle.type === "trained" ? [...cycle.files] : [] };
});

/** The baseline is at hand; the others are served elsewhere. */
async function embed(id: string, texts: readonly string[]): Promise<Float32Array[]> {
  if (id === baseline.id) return baseline.embed(texts);
  const vectors: Float32Array[] = [];
  for (let from = 0; from < texts.length; from += textsPerAsk)
    vectors.push(...((await ask({ type: "embed", id, texts: texts.slice(from, from + textsPerAsk) })) as Float32Array[]));
  return vectors;
}

async function compare(request: Extract<TrainerRequest, { type: "compare" }>): Promise<Comparison> {
  const { passages, uses, scopes, pinned = [], one, other } = request;
  const { pairs } = await pairsOf({ passages, uses, scopes, isScrubbed: true }, learnDefault.seed);
  const split = splitByDocument(pairs, passages);
  const questions = toQuestions(split.test, passages);
  const { testQuestions, madeTestQuestions } = countsOf(split);
  const shared = { questions: testQuestions, madeQuestions: madeTestQuestions, dataSha256: digestOf(pairs, passages) };
  if (questions.length === 0)
    return { ...shared, problem: "There are no questions to judge by.", slices: [], moved: [], pinned: [] };
  const exam = { passages, lexical: wordsOver(passages), questions, pinned: toRegressions(pinned, passages) };
  const total = (passages.length + questions.length + exam.pinned.length) * (other ? 2 : 1);
  let [done, toldAt] = [0, -Infinity];
  const told = async (count: number): Promise<void> => {
    done += count;
    if (performance.now() - toldAt < tellEveryMs) return;
    toldAt = performance.now();
    await ask({ type: "far", done, total });
  };
  const asking = ({ id, fusion, sizeBytes }: Named): Asking => ({
    name: id,
    fusion,
    sizeBytes,
    embed: async (texts) => {
      const vectors: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += textsPerAsk) {
        const some = texts.slice(from, from + textsPerAsk);
        vectors.push(...(await embed(id, some)));
        await told(some.length);
      }
      return vectors;
    },
    ask: async (text) => {
      await told(1);
      return (await ask({ type: "ask", id, text })) as Asked;
    },
  });
  return { ...shared, ...(await compareModels(exam, asking(one), other && asking(other))) };
}

function toResult(cycle: CycleResult, against: string): ModelResult {
  const shared = dataOf({ ...cycle.lineage, ...(cycle.type === "trained" && { rivals: cycle.rivals }), against });
  if (cycle.type === "refused") return { ...shared, verdict: "refused", says: cycle.refusal.says, checks: [] };
  const { verdict, fusion, beginning, chosen, share, sha256, files } = cycle;
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
      beginning,
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
