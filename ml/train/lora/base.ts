/** What a LoRA is learned beside: a model of the BERT family whose files lie on this machine, or a tiny one of chance to try the way. */
import { NikaError } from "../../../convex/model/error.ts";
import { learnVocabulary, tokenizerJson } from "../vocabulary.ts";

export type Pooling = "cls" | "mean";

/** A base as it is packed. `files` by path in its folder, but for the weights, which are large and go along as they lie. */
export type Base = {
  readonly name: string;
  readonly weights: "safetensors" | "random";
  readonly pooling: Pooling;
  readonly files: ReadonlyMap<string, Uint8Array>;
};

/** What every base has to bring. The last three go back to the owner as they are; see result.ts. */
export const servedFiles = ["config.json", "tokenizer.json", "tokenizer_config.json"] as const;
export const weightsFile = "model.safetensors";
/** Where a base of sentence-transformers says how it pools. */
export const poolingFile = "1_Pooling/config.json";

/** Vectors of passages are of this size, whoever makes them. */
const widthOfAll = 384;

/** Fails with `invalid` when the files of a base cannot be trained here, or served afterwards. */
export function toBase(name: string, files: ReadonlyMap<string, Uint8Array>): Base {
  for (const path of servedFiles) if (!files.has(path)) throw new NikaError("invalid", `The model ${name} lacks ${path}.`);
  const config = jsonOf(name, files, "config.json");
  if (config["model_type"] !== "bert")
    throw new NikaError("invalid", `The model ${name} is of type ${say(config["model_type"])}; only bert can be served here.`);
  if (config["hidden_size"] !== widthOfAll)
    throw new NikaError(
      "invalid",
      `The model ${name} makes vectors of ${say(config["hidden_size"])} numbers; it takes ${widthOfAll}.`,
    );
  const pooling = files.has(poolingFile) ? jsonOf(name, files, poolingFile) : {};
  return {
    name,
    weights: "safetensors",
    // Those of BAAI, which are the usual ones here, say nothing in older copies and mean the first.
    pooling: pooling["pooling_mode_mean_tokens"] === true ? "mean" : "cls",
    files: new Map(servedFiles.map((path) => [path, files.get(path)!])),
  };
}

function jsonOf(name: string, files: ReadonlyMap<string, Uint8Array>, path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(files.get(path)));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new NikaError("invalid", `The model ${name} has a ${path} that is no JSON.`);
}

const say = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "unknown");

/** The name that asks for one of chance. */
export const randomName = "random";

/** Two layers whose weights the seed decides, and the words of the texts: knows nothing, and goes the whole way in a minute. */
export function randomBase(texts: Iterable<string>): Base {
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
  const { pieces } = learnVocabulary(texts, { sizeMax: 4_000 });
  const all = [...special, ...pieces.filter((piece) => !special.includes(piece))];
  const vocabulary = { pieces: all, idOf: new Map(all.map((piece, id) => [piece, id])) };
  const token = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
  const json = (value: object): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  return {
    name: randomName,
    weights: "random",
    pooling: "mean",
    files: new Map([
      [
        "config.json",
        json({
          model_type: "bert",
          architectures: ["BertModel"],
          hidden_size: widthOfAll,
          vocab_size: all.length,
          num_hidden_layers: 2,
          num_attention_heads: 6,
          intermediate_size: 768,
          max_position_embeddings: 512,
          type_vocab_size: 2,
          pad_token_id: 0,
        }),
      ],
      [
        "tokenizer.json",
        json({
          ...tokenizerJson(vocabulary),
          post_processor: {
            type: "TemplateProcessing",
            single: [token("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, token("[SEP]")],
            pair: [
              token("[CLS]"),
              { Sequence: { id: "A", type_id: 0 } },
              token("[SEP]"),
              { Sequence: { id: "B", type_id: 1 } },
              token("[SEP]"),
            ],
            special_tokens: Object.fromEntries(
              ["[CLS]", "[SEP]"].map((id) => [id, { id, ids: [vocabulary.idOf.get(id)], tokens: [id] }]),
            ),
          },
        }),
      ],
      [
        "tokenizer_config.json",
        json({
          tokenizer_class: "BertTokenizer",
          model_max_length: 512,
          do_lower_case: true,
          unk_token: "[UNK]",
          pad_token: "[PAD]",
          cls_token: "[CLS]",
          sep_token: "[SEP]",
        }),
      ],
    ]),
  };
}
