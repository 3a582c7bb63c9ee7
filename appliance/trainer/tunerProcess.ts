/** The process that packs and judges: it neither reads nor writes anything; models are asked through its parent. */
import { deserialize, serialize } from "node:v8";
import { isNikaError } from "../../convex/model/error.ts";
import { judge, toRefused, toResult, type Asking } from "../../ml/train/lora/judge.ts";
import { prepare, type Home } from "../../ml/train/lora/prepare.ts";
import { loraDefault, loraOfChance, probeTexts } from "../../ml/train/lora/recipe.ts";
import { cosines, refuseServed, toTuned } from "../../ml/train/lora/result.ts";
import { askParent, serve } from "../processes/serve.ts";
import type { TimedVector, TuneQuestion, TuneReply, TuneRequest } from "./tuner.ts";

/** Of texts that are embedded at a time: in between others get their turn. */
const textsPerAsk = 64;
/** Models that were trained here are asked as they are, whatever their base was asked with. */
const queryPrefix = "";

const ask = async <Answer>(question: TuneQuestion): Promise<Answer> => (await askParent(question)) as Answer;

function asking(of: "live" | "candidate"): Asking {
  const inParts = async <Answer>(kind: "passages" | "queries", texts: readonly string[]): Promise<Answer[]> => {
    const all: Answer[] = [];
    for (let at = 0; at < texts.length; at += textsPerAsk)
      all.push(...(await ask<Answer[]>({ ask: kind, of, texts: texts.slice(at, at + textsPerAsk) })));
    return all;
  };
  return {
    embed: (texts) => inParts<Float32Array>("passages", texts),
    ask: (texts) => inParts<TimedVector>("queries", texts),
  };
}

serve(async (request: TuneRequest, bytes: Uint8Array): Promise<TuneReply> => {
  try {
    return request.do === "pack" ? await pack(request) : await judgeBack(request, bytes);
  } catch (error) {
    if (isNikaError(error) && error.code === "invalid") return { type: "unusable", says: error.message };
    throw error;
  }
});

async function pack({ training, base, against }: TuneRequest & { do: "pack" }): Promise<TuneReply> {
  const recipe = base ? loraDefault : loraOfChance;
  const prepared = await prepare({ ...training, base, recipe, queryPrefix }, asking("live").embed);
  if (prepared.type === "refused") return { type: "refused", result: toRefused({ ...prepared, against }, prepared.refusal.says) };
  return { type: "packed", files: [...prepared.files], home: serialize(prepared.home) };
}

async function judgeBack(
  { parts, facts, against, fusion }: TuneRequest & { do: "judge" },
  bytes: Uint8Array,
): Promise<TuneReply> {
  const read = new Map<string, Uint8Array>();
  let at = 0;
  for (const { name, length } of parts) {
    read.set(name, bytes.subarray(at, at + length));
    at += length;
  }
  const home = deserialize(read.get("home")!) as Home;
  read.delete("home");
  const tuned = toTuned(read, home);
  const words = [...tuned.files].filter(([path]) => home.base.files.has(path));
  await ask({ ask: "serve", words, isQuantized: tuned.isQuantized });
  const candidate = asking("candidate");
  const servedCosine = Math.min(...cosines(await candidate.embed(probeTexts), tuned.probeVectors));
  refuseServed(servedCosine, tuned);
  const sizeBytes = tuned.files.values().reduce((sum, { length }) => sum + length, 0);
  const judged = await judge(home, { live: asking("live"), liveFusion: fusion, candidate, sizeBytes });
  return { type: "judged", result: toResult(home, tuned, judged, { against, facts, servedCosine, sizeBytes }) };
}
