import { fork, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import { visualDimensions, type VisualPicture } from "../../functions/ports/visual.ts";
import { openLooker } from "./look.ts";
import type { OpenedVisual } from "./visual.ts";

/** A model of the CLIP family as transformers.js reads it: MODELS/<name>/{config,tokenizer,…}.json and two graphs under onnx/. */
export type ClipFiles = {
  readonly modelsDir: string;
  /** Folder below `modelsDir`, with "/" between its parts. */
  readonly name: string;
  /** Which of onnx/{text,vision}_model_quantized.onnx and onnx/{text,vision}_model.onnx are used. */
  readonly isQuantized: boolean;
};

export type ClipRequest = { readonly id: number } & ({ readonly text: string } | { readonly png: Uint8Array });
export type ClipReply = { readonly id: number } & (
  | { readonly ok: true; readonly vector: Float32Array }
  | { readonly ok: false; readonly message: string }
);

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
  const child = openChild(files, log);
  const close = async (): Promise<void> => {
    await Promise.all([child.close(), looker.close()]);
  };
  const look = async ({ bytes }: VisualPicture, signal: AbortSignal): Promise<Float32Array | undefined> => {
    const png = await looker.shrink(bytes, sideMax, signal);
    return png && (await child.ask({ png }, signal));
  };
  try {
    await child.ask({ text: "health" }, new AbortController().signal);
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
      text: (query, signal) => child.ask({ text: query }, signal),
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

type Asked = { readonly text: string } | { readonly png: Uint8Array };
type Waiting = { resolve(vector: Float32Array): void; reject(error: NikaError): void };

function openChild(files: ClipFiles, log: (line: string) => void) {
  const waiting = new Map<number, Waiting>();
  let child: ChildProcess | undefined;
  let lastId = 0;
  let restartAt = 0;
  let isClosed = false;

  const start = (): ChildProcess => {
    const started = fork(new URL("clipProcess.ts", import.meta.url), [JSON.stringify(files)], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
      env: {},
    });
    started.on("message", (reply: ClipReply) => {
      const asker = waiting.get(reply.id);
      if (reply.ok) asker?.resolve(reply.vector);
      else asker?.reject(unavailable(reply.message));
    });
    const lose = (why: string): void => {
      if (child !== started) return;
      child = undefined;
      restartAt = Date.now() + restartDelayMs;
      if (!isClosed) log(`pictures: the model's process ended (${why})`);
      for (const asker of waiting.values()) asker.reject(unavailable(why));
    };
    started.once("error", (error) => lose(error.message));
    started.once("exit", (code, signal) => lose(signal ?? `exit code ${code}`));
    // It may be idle for days and must not keep the appliance from ending.
    started.unref();
    started.channel?.unref();
    return started;
  };

  const ask = (asked: Asked, signal: AbortSignal): Promise<Float32Array> =>
    new Promise((resolve, reject) => {
      if (isClosed || signal.aborted) return reject(cancelled());
      if (!child && Date.now() < restartAt) return reject(unavailable("waiting to be started again"));
      child ??= start();
      const running = child;
      const id = (lastId += 1);
      // A process that hangs is ended: the next picture starts another.
      const timer = setTimeout(() => running.kill("SIGKILL"), answerLimitMs);
      const onAbort = (): void => waiting.get(id)?.reject(cancelled());
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        waiting.delete(id);
        if (waiting.size === 0) running.channel?.unref();
      };
      waiting.set(id, { resolve: (vector) => (end(), resolve(vector)), reject: (error) => (end(), reject(error)) });
      signal.addEventListener("abort", onAbort, { once: true });
      running.channel?.ref();
      running.send({ id, ...asked } satisfies ClipRequest, (error) => error && running.kill("SIGKILL"));
    });

  return {
    ask: async (asked: Asked, signal: AbortSignal): Promise<Float32Array> => padded(await ask(asked, signal)),
    close: async (): Promise<void> => {
      isClosed = true;
      for (const asker of waiting.values()) asker.reject(cancelled());
      const ending = child;
      child = undefined;
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => ending.once("exit", () => resolve()));
      ending.ref();
      ending.kill("SIGKILL");
      await ended;
    },
  };
}

/** Of length 1, with zeros after it. */
function padded(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  if (vector.length > visualDimensions || !(length > 1e-9) || !Number.isFinite(length))
    throw unavailable(`a vector of ${vector.length} numbers and length ${length}`);
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

const unavailable = (why: string): NikaError =>
  new NikaError("unavailable", "The model of pictures is not answering.", { cause: new Error(why) });
const cancelled = (): NikaError => new NikaError("cancelled", "The work was cancelled.");
