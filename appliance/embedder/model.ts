import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { learnedId, wantedOf } from "../../convex/model/generation.ts";

/** Model files in the layout that transformers.js reads: MODELS/<name>/{config,tokenizer,tokenizer_config}.json and onnx/. */
export type ModelFiles = {
  readonly modelsDir: string;
  /** Folder below `modelsDir`, with "/" between its parts. */
  readonly name: string;
  /** Which of onnx/model_quantized.onnx and onnx/model.onnx is used. */
  readonly isQuantized: boolean;
  readonly isDownload: boolean;
};

export const modelLabel = "bge-small-en-v1.5: matches meanings, best in English";

const learnedLabels = {
  table: "trained on your use: matches wording, and what you call things",
  layers: "trained on your use beside a model of the BERT family: matches what that one knows, and what you call things",
};

/** The model card's instruction for short questions; passages are embedded as they are. */
const queryPrefix = "Represent this sentence for searching relevant passages: ";

const names = ["Xenova/bge-small-en-v1.5", "bge-small-en-v1.5"];
const needed = ["config.json", "tokenizer.json", "tokenizer_config.json"];

/** The first complete model folder; a folder that lacks files counts as absent. */
export async function findModel(modelsDir: string): Promise<ModelFiles | undefined> {
  for (const name of names) {
    const found = await findNamed(modelsDir, name);
    if (found) return found;
  }
  return undefined;
}

/** Where models that were trained here lie, each in a folder of its id. */
const learnedDir = "nika/";

/** A model that was trained here, when all of its files are there. */
export const findLearned = (modelsDir: string, modelId: string): Promise<ModelFiles | undefined> =>
  /^[\w-]+$/u.test(modelId) ? findNamed(modelsDir, learnedDir + modelId) : Promise.resolve(undefined);

/** The files of the embedder with that id; undefined when they are not there, or are others than they were: these would make other vectors. */
export async function findEmbedder(modelsDir: string, embedderId: string): Promise<ModelFiles | undefined> {
  const wanted = wantedOf(embedderId);
  const files = wanted === "bge" ? await findModel(modelsDir) : await findLearned(modelsDir, wanted);
  return files && (await modelCard(files)).id === embedderId ? files : undefined;
}

/** All that a model folder needs to be complete, below it. */
export const pathsOf = ({ isQuantized }: ModelFiles): readonly string[] => [
  ...needed,
  `onnx/${isQuantized ? "model_quantized.onnx" : "model.onnx"}`,
];

async function findNamed(modelsDir: string, name: string): Promise<ModelFiles | undefined> {
  const has = (file: string): Promise<boolean> => exists(join(modelsDir, name, file));
  if (!(await Promise.all(needed.map(has))).every(Boolean)) return undefined;
  if (await has("onnx/model_quantized.onnx")) return { modelsDir, name, isQuantized: true, isDownload: false };
  if (await has("onnx/model.onnx")) return { modelsDir, name, isQuantized: false, isDownload: false };
  return undefined;
}

/** How a model is named, told of and asked. Its id names the vectors it makes: other weights, other id. */
export async function modelCard(model: ModelFiles): Promise<{ id: string; label: string; queryPrefix: string }> {
  const fingerprint = await modelFingerprint(model);
  return model.name.startsWith(learnedDir)
    ? {
        id: learnedId(model.name.slice(learnedDir.length), fingerprint),
        label: learnedLabels[await learnedKind(model)],
        queryPrefix: "",
      }
    : { id: `bge-small-en-v1.5-${fingerprint}`, label: modelLabel, queryPrefix };
}

/** A table of words has no layers; whatever was trained beside a base has its. */
async function learnedKind({ modelsDir, name }: ModelFiles): Promise<keyof typeof learnedLabels> {
  const config = JSON.parse(await readFile(join(modelsDir, name, "config.json"), "utf8")) as Record<string, unknown>;
  return "num_hidden_layers" in config ? "layers" : "table";
}

/** Of a model's weights: twelve digits of their hash. */
export async function modelFingerprint({ modelsDir, name, isQuantized }: ModelFiles): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(join(modelsDir, name, "onnx", isQuantized ? "model_quantized.onnx" : "model.onnx")), hash);
  return hash.digest("hex").slice(0, 12);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
