/** What a machine that trained would send back, made here: the graph is a table of bytes instead of a BERT, everything else is as the payload has it. */
import { createHash } from "node:crypto";
import type { Base } from "../../../../ml/train/lora/base.ts";
import { probeTexts } from "../../../../ml/train/lora/recipe.ts";
import { embedTexts, type StaticModel } from "../../../../ml/train/model.ts";
import { toOnnx } from "../../../../ml/train/onnx.ts";
import { dequantised } from "../../../../ml/train/quantise.ts";
import { composeTable, firstFeatures } from "../../../../ml/train/rows.ts";
import { toVocabulary } from "../../../../ml/train/vocabulary.ts";

const dimensions = 384;

/** By path. `change` may spoil the record before it is written; hashes are of what is there. */
export function madeBack(
  base: Base,
  { seed, change }: { seed: number; change?: (result: Record<string, unknown>, parity: Record<string, unknown>) => void },
): Map<string, Uint8Array> {
  const text = new TextDecoder();
  const { model } = JSON.parse(text.decode(base.files.get("tokenizer.json"))) as { model: { vocab: Record<string, number> } };
  const vocabulary = toVocabulary(
    Object.entries(model.vocab)
      .toSorted(([, one], [, other]) => one - other)
      .map(([piece]) => piece),
  );
  const features = firstFeatures(vocabulary, dimensions);
  const table = dequantised(composeTable(features, features.values), dimensions);
  // Where it is served each text begins and ends with one of these, which this graph does not know what to do with.
  for (const special of ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    table.fill(0, vocabulary.idOf.get(special)! * dimensions, (vocabulary.idOf.get(special)! + 1) * dimensions);
  const made: StaticModel = { vocabulary, dimensions, table };
  // What is served of an empty text is a full stop.
  const vectors = embedTexts(
    made,
    probeTexts.map((probe) => probe.trim().slice(0, 4_000) || "."),
  ).map((vector) => [...vector]);
  const parity: Record<string, unknown> = {
    maxAbsDifference: 1e-6,
    quantised: { minCosine: 1, meanCosine: 1 },
    vectors: { whole: vectors, quantised: vectors },
  };
  const result: Record<string, unknown> = {
    format: 1,
    seed,
    base: { trained: 10, numbers: 100 },
    steps: [
      { step: 1, epoch: 1, loss: 3 },
      { step: 2, epoch: 2, loss: 2 },
    ],
    epochs: [
      { epoch: 0, loss: null, ndcg: 0.1 },
      { epoch: 1, loss: 3, ndcg: 0.2 },
      { epoch: 2, loss: 2, ndcg: 0.3 },
    ],
    bestEpoch: 2,
    share: 1,
    seconds: { all: 12.5 },
    memory: { processMb: 900 },
    device: { type: "cpu", name: "x" },
    versions: { python: "3.11.7", torch: "2.8.0" },
  };
  change?.(result, parity);
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const graph = toOnnx(made);
  const files = new Map([
    ...base.files,
    ["onnx/model.onnx", graph],
    ["onnx/model_quantized.onnx", graph],
    ["parity.json", json(parity)],
  ] as const);
  result["files"] = Object.fromEntries(
    [...files].map(([path, bytes]) => [path, { sha256: createHash("sha256").update(bytes).digest("hex"), bytes: bytes.length }]),
  );
  return new Map([...files].filter(([path]) => !base.files.has(path)).concat([["result.json", json(result)]]));
}
