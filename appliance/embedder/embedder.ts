import { openBaseline } from "./baseline.ts";
import { findModel, modelLabel, type ModelFiles } from "./model.ts";
import { openNeural } from "./neural.ts";
import type { OpenedEmbedder } from "./opened.ts";

export type EmbedderOptions = {
  /** Where model folders lie; need not exist. */
  readonly modelsDir: string;
  /** Whether the model may be fetched from the network when it is not there. */
  readonly allowDownload: boolean;
  readonly log: (line: string) => void;
};

/**
 * The best embedder there is: bge-small-en-v1.5 when its files are in `modelsDir` or may be fetched, else the offline baseline.
 * Decided once, here, and said in the log: vectors of two embedders do not compare. A model that is there but does not work is an
 * error, not a reason to fall back, because falling back would make every vector in the store useless without a word.
 */
export async function openEmbedder({ modelsDir, allowDownload, log }: EmbedderOptions): Promise<OpenedEmbedder> {
  const found = await findModel(modelsDir);
  if (found) return await openModel(found, log);
  if (!allowDownload) return baseline("no model in the models folder", log);
  try {
    return await openModel({ modelsDir, name: "Xenova/bge-small-en-v1.5", isQuantized: true, isDownload: true }, log);
  } catch (error) {
    return baseline(`the model could not be fetched: ${error instanceof Error ? error.message : String(error)}`, log);
  }
}

async function openModel(model: ModelFiles, log: (line: string) => void): Promise<OpenedEmbedder> {
  const neural = await openNeural(model, log);
  log(`embedder: ${modelLabel}, from ${model.name}`);
  return neural;
}

function baseline(why: string, log: (line: string) => void): OpenedEmbedder {
  log(`embedder: offline baseline, because ${why}`);
  return openBaseline();
}
