import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import { visualDimensions, type VisualPicture } from "../../functions/ports/visual.ts";
import { openLooker } from "./look.ts";
import { openModelProcess, type ModelReply, type ModelRequest } from "./modelProcess.ts";
import type { OpenedVisual } from "./opened.ts";

/** A model of the CLIP family as transformers.js reads it: MODELS/<name>/{config,tokenizer,…}.json and two graphs under onnx/. */
export type ClipFiles = {
  readonly modelsDir: string;
  /** Folder below `modelsDir`, with "/" between its parts. */
  readonly name: string;
  /** Which of onnx/{text,vision}_model_quantized.onnx and onnx/{text,vision}_model.onnx are used. */
  readonly isQuantized: boolean;
};

type Asked = { readonly text: string } | { readonly png: Uint8Array };
export type ClipRequest = ModelRequest<Asked>;
export type ClipReply = ModelReply<Float32Array>;

const names = ["Xenova/clip-vit-base-patch32", "Xenova/clip-vit-base-patch16", "clip-vit-base-patch32", "clip-vit-base-patch16"];
const needed = ["config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"];

/** Loading takes some seconds, a picture some 100 ms; a process this late hangs. */
const answerLimitMs = 60_000;
const restartDelayMs = 5_000;
/** The model scales to 224; this leaves it what it needs and no more. */
const sideMax = 512;

/** The first complete model folder; it is never fetched. */
export async function findClip(modelsDir: string): Promise<ClipFiles | undefined> {
  for (const name of names) {
    const has = (file: string): Promise<boolean> => exists(join(modelsDir, name, file));
    if (!(await Promise.all(needed.map(has))).every(Boolean)) continue;
    for (const isQuantized of [true, false])
      if ((await Promise.all(graphsOf(isQuantized).map(has))).every(Boolean)) return { modelsDir, name, isQuantized };
  }
  return undefined;
}

/**
 * The model in a process of its own: its runtime does not give memory back and may crash on its own account. It gets only pictures
 * that another process decoded and wrote anew. Vectors shorter than 1,408 are filled up with zeros, which changes no cosine. Fails when
 * the model does not work.
 */
export async function openClip(files: ClipFiles, log: (line: string) => void): Promise<OpenedVisual> {
  const looker = openLooker();
  const entry = new URL("clipProcess.ts", import.meta.url);
  const child = openModelProcess<Asked, Float32Array>({
    entry,
    files,
    name: "model of pictures",
    answerLimitMs,
    restartDelayMs,
    log,
  });
  const ask = async (asked: Asked, signal: AbortSignal): Promise<Float32Array> => {
    const vector = await child.ask(asked, signal);
    const full = padded(vector);
    if (!full) throw child.unavailable(`a vector of ${vector.length} numbers and length ${Math.hypot(...vector)}`);
    return full;
  };
  const close = async (): Promise<void> => {
    await Promise.all([child.close(), looker.close()]);
  };
  const look = async ({ bytes }: VisualPicture, signal: AbortSignal): Promise<Float32Array | undefined> => {
    const png = await looker.shrink(bytes, sideMax, signal);
    return png && (await ask({ png }, signal));
  };
  try {
    await ask({ text: "health" }, new AbortController().signal);
    return {
      id: `${baseOf(files.name)}-${await fingerprint(files)}`,
      label: `${baseOf(files.name)}: matches what pictures show, best in English`,
      dimensions: visualDimensions,
      seesMeaning: true,
      isRemote: false,
      images: async (pictures, signal) => {
        const vectors: (Float32Array | undefined)[] = [];
        for (const picture of pictures) vectors.push(await look(picture, signal));
        return vectors;
      },
      like: look,
      text: (query, signal) => ask({ text: query }, signal),
      close,
    };
  } catch (cause) {
    await close();
    throw new NikaError("invalid", `The model ${files.name} does not work; remove it or replace it.`, { cause });
  }
}

const graphsOf = (isQuantized: boolean): string[] =>
  ["text_model", "vision_model"].map((name) => `onnx/${name}${isQuantized ? "_quantized" : ""}.onnx`);
const baseOf = (name: string): string => name.slice(name.lastIndexOf("/") + 1);

/** Of both graphs: twelve digits of their hash. */
async function fingerprint({ modelsDir, name, isQuantized }: ClipFiles): Promise<string> {
  const hash = createHash("sha256");
  for (const graph of graphsOf(isQuantized)) await pipeline(createReadStream(join(modelsDir, name, graph)), hash, { end: false });
  return hash.digest("hex").slice(0, 12);
}

/** Of length 1, with zeros after it; undefined when it has no direction. */
function padded(vector: Float32Array): Float32Array | undefined {
  const length = Math.hypot(...vector);
  if (vector.length > visualDimensions || !(length > 1e-9) || !Number.isFinite(length)) return undefined;
  const full = new Float32Array(visualDimensions);
  full.set(vector.map((value) => value / length));
  return full;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
