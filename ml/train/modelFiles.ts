/** A trained model as the files that transformers.js and the tokenizers library read. */
import type { StaticModel } from "./model.ts";
import { toOnnx } from "./onnx.ts";
import { piecesMax, tokenizerJson } from "./vocabulary.ts";

/** By path in the model's folder; the same bytes for the same model. */
export function modelFiles(model: StaticModel): ReadonlyMap<string, Uint8Array> {
  const json = (value: object): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  const { dimensions, vocabulary } = model;
  return new Map([
    [
      "config.json",
      json({
        model_type: "bert",
        architectures: ["BertModel"],
        hidden_size: dimensions,
        vocab_size: vocabulary.pieces.length,
      }),
    ],
    ["tokenizer.json", json(tokenizerJson(vocabulary))],
    [
      "tokenizer_config.json",
      json({
        tokenizer_class: "BertTokenizer",
        model_max_length: piecesMax,
        do_lower_case: true,
        unk_token: "[UNK]",
        pad_token: "[PAD]",
      }),
    ],
    ["onnx/model_quantized.onnx", toOnnx(model)],
  ]);
}

/** Of a model's config.json: whether it is such a table. Any other says how many layers it has. */
export function isTable(config: string): boolean {
  try {
    const value: unknown = JSON.parse(config);
    return typeof value === "object" && value !== null && !("num_hidden_layers" in value);
  } catch {
    return false;
  }
}
