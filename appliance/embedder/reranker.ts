import { access } from "node:fs/promises";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Reranker } from "../../functions/ports/reranker.ts";
import { modelFingerprint, type ModelFiles } from "./model.ts";
import { openModelProcess, type ModelReply, type ModelRequest } from "./modelProcess.ts";

type Asked = { readonly question: string; readonly texts: readonly string[] };
export type RerankRequest = ModelRequest<Asked>;
export type RerankReply = ModelReply<readonly number[]>;

/** Cross-encoders that read a question and a passage together; put there by the owner, never fetched. */
const names = ["Xenova/ms-marco-MiniLM-L-6-v2", "Xenova/bge-reranker-base", "ms-marco-MiniLM-L-6-v2", "bge-reranker-base"];
const needed = ["config.json", "tokenizer.json", "tokenizer_config.json"];
/** Who asks waits for it. Loading takes a second or two; a search that gets no answer by then does without. */
const answerLimitMs = 8_000;
const restartDelayMs = 30_000;

export type OpenedReranker = Reranker & { close(): Promise<void> };

/** The first cross-encoder whose files are all in `modelsDir`, in a process of its own that starts when first asked; else none. */
export async function openReranker({
  modelsDir,
  log,
}: {
  modelsDir: string;
  log: (line: string) => void;
}): Promise<OpenedReranker> {
  const model = await find(modelsDir);
  if (!model)
    return { id: undefined, score: async () => Promise.reject(unavailable("there is no such model")), close: async () => {} };
  const id = `${model.name.split("/").at(-1)}-${await modelFingerprint(model)}`;
  log(`reranker: ${model.name}`);
  const entry = new URL("rerankerProcess.ts", import.meta.url);
  const options = { entry, files: model, name: "reranker", answerLimitMs, restartDelayMs, log };
  const { ask, close } = openModelProcess<Asked, readonly number[]>(options);
  return {
    id,
    close,
    score: async (question, texts, signal) => (texts.length === 0 ? [] : await ask({ question, texts }, signal)),
  };
}

async function find(modelsDir: string): Promise<ModelFiles | undefined> {
  for (const name of names) {
    const has = (file: string): Promise<boolean> =>
      access(join(modelsDir, name, file)).then(
        () => true,
        () => false,
      );
    if (!(await Promise.all(needed.map(has))).every(Boolean)) continue;
    if (await has("onnx/model_quantized.onnx")) return { modelsDir, name, isQuantized: true, isDownload: false };
    if (await has("onnx/model.onnx")) return { modelsDir, name, isQuantized: false, isDownload: false };
  }
  return undefined;
}

const unavailable = (why: string): NikaError =>
  new NikaError("unavailable", "The reranker is not answering.", { cause: new Error(why) });
