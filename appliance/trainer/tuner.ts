/** Packs what a LoRA is learned from and judges what comes back. The thinking is done in a process of its own; files are moved here. */
import { constants, createReadStream } from "node:fs";
import { copyFile, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { NikaError } from "../../convex/model/error.ts";
import type { Fusion, ModelResult } from "../../convex/model/model.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { FileBytes } from "../../functions/ports/files.ts";
import type { Packed, Tuner, Tuning } from "../../functions/ports/tuner.ts";
import type { Training } from "../../functions/ports/trainer.ts";
import { poolingFile, randomName, servedFiles, toBase, weightsFile, type Base } from "../../ml/train/lora/base.ts";
import { payloadFiles } from "../../ml/train/lora/pack.ts";
import { graphs, resultFiles } from "../../ml/train/lora/result.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";

export type TuneRequest =
  | { readonly do: "pack"; readonly training: Training; readonly base: Base | undefined; readonly against: string }
  /** The bytes are what stayed at home, then the files of `resultFiles` that there are. */
  | {
      readonly do: "judge";
      readonly parts: readonly Part[];
      readonly facts: readonly string[];
      readonly against: string;
      readonly fusion: Fusion;
    };
export type Part = { readonly name: string; readonly length: number };
export type TuneReply =
  | { readonly type: "refused"; readonly result: ModelResult }
  | { readonly type: "packed"; readonly files: readonly (readonly [string, Uint8Array])[]; readonly home: Uint8Array }
  | { readonly type: "judged"; readonly result: ModelResult }
  | { readonly type: "unusable"; readonly says: string };
export type TuneQuestion =
  | { readonly ask: "passages" | "queries"; readonly of: "live" | "candidate"; readonly texts: readonly string[] }
  | { readonly ask: "serve"; readonly words: readonly (readonly [string, Uint8Array])[]; readonly isQuantized: boolean };
export type TimedVector = { readonly vector: Float32Array; readonly ms: number };

type Served = Pick<Embedder, "passages" | "query"> & { close(): Promise<void> };

export type TunerOptions = {
  /** Where models lie, each in a folder of its name. */
  readonly modelsDir: string;
  /** Where what is packed lies until it was judged. */
  readonly workDir: string;
  /** What searches go by now. */
  readonly live: () => Promise<{ readonly embedderId: string; readonly fusion: Fusion }>;
  readonly embedders: { of(embedderId: string): Promise<Embedder | undefined> };
  /** Serves a model of the models folder as any other is. */
  readonly serve: (name: string, options: { readonly isQuantized: boolean }) => Promise<Served>;
};

const payloadDir = fileURLToPath(new URL("../../ml/train/lora/payload/", import.meta.url));
/** Where copies of the usual base lie, with the weights that can be trained: those of the model card, not the graph. */
const usualBases = ["BAAI/bge-small-en-v1.5", "bge-small-en-v1.5", "Xenova/bge-small-en-v1.5"];
const memoryMiBMax = 3_072;
/** Between two questions to its parent. */
const timeLimitMs = 30 * 60_000;
const idleMs = 1_000;
const homeName = "home";
const payloadName = "payload";
/** Written last: what lacks it is packed again. */
const completeName = "complete";

export function openTuner({ modelsDir, workDir, live, embedders, serve }: TunerOptions): Tuner & { close(): Promise<void> } {
  let answerer: ((question: TuneQuestion, signal: AbortSignal) => Promise<unknown>) | undefined;
  const processes = openProcesses<TuneRequest, TuneReply>({
    entry: new URL("tunerProcess.ts", import.meta.url),
    processesMax: 1,
    memoryMiBMax,
    timeLimitMs,
    idleMs,
    answer: async (question, signal) => await answerer?.(question as TuneQuestion, signal),
  });
  const call = async (request: TuneRequest, options: Parameters<typeof processes.call>[1]): Promise<TuneReply> => {
    const reply = await processes.call(request, options).catch((error: unknown) => {
      if (error instanceof ProcessLostError)
        throw new NikaError("unavailable", "What packs and judges models stopped in the middle of its work.", { cause: error });
      throw error;
    });
    if (reply.type === "unusable") throw new NikaError("invalid", reply.says);
    return reply;
  };

  const inForce = async (): Promise<{ embedder: Embedder; fusion: Fusion }> => {
    const { embedderId, fusion } = await live();
    const embedder = await embedders.of(embedderId);
    if (!embedder) throw new NikaError("missing", `The files of ${embedderId} are not on this machine.`);
    return { embedder, fusion };
  };

  const pack = async (tuning: Tuning, signal: AbortSignal): Promise<Packed> => {
    const { base: wanted, ...training } = tuning;
    const dir = join(workDir, training.modelId);
    const packed: Packed = { type: "ready", folder: join(dir, payloadName), command: ["python3", "start.py"] };
    if ((await sizeOf(join(dir, completeName))) !== undefined) return packed;
    const found = wanted === randomName ? undefined : await findBase(modelsDir, wanted);
    const { embedder } = await inForce();
    answerer = async (question, signal) => await askModel(embedder, question, signal);
    const reply = await call({ do: "pack", training, base: found?.base, against: embedder.id }, { signal });
    if (reply.type === "refused") return reply;
    if (reply.type !== "packed") throw new NikaError("bug", "The tuner answered something else.");
    // One model is trained at a time; what others left is of no use any more.
    await rm(workDir, { recursive: true, force: true });
    for (const [path, bytes] of reply.files) await put(join(packed.folder, path), bytes);
    for (const name of payloadFiles) await copyFile(join(payloadDir, name), join(packed.folder, name));
    if (found) await copyFile(join(found.dir, weightsFile), join(packed.folder, "base", weightsFile), constants.COPYFILE_FICLONE);
    await put(join(dir, homeName), reply.home);
    await put(join(dir, completeName), new Uint8Array());
    return packed;
  };

  const judge: Tuner["judge"] = async ({ modelId, folder, facts }, { signal }) => {
    const dir = join(modelsDir, "nika", modelId);
    const partial = `${dir}.partial`;
    const found = [
      { name: homeName, path: join(workDir, modelId, homeName) },
      ...resultFiles.map(({ path }) => ({ name: path, path: join(folder, path) })),
    ];
    const parts: (Part & { path: string })[] = [];
    for (const { name, path } of found) {
      const length = await sizeOf(path);
      const most = resultFiles.find((one) => one.path === name)?.bytesMax ?? Infinity;
      if (name === homeName && length === undefined)
        throw new NikaError("missing", "What the model was to be judged by is not here any more; train it again.");
      // What is missing or too large is said by who reads them.
      if (length !== undefined && length <= most) parts.push({ name, path, length });
    }
    const { embedder, fusion } = await inForce();
    let served: Served | undefined;
    answerer = async (question, signal) => {
      if (question.ask !== "serve") return await askModel(question.of === "live" ? embedder : served!, question, signal);
      await rm(partial, { recursive: true, force: true });
      for (const [path, bytes] of question.words) await put(join(partial, path), bytes);
      const graph = question.isQuantized ? graphs.quantised : graphs.whole;
      await mkdir(dirname(join(partial, graph)), { recursive: true });
      await copyFile(join(folder, graph), join(partial, graph));
      served = await serve(`nika/${modelId}.partial`, { isQuantized: question.isQuantized });
      return undefined;
    };
    try {
      const request = {
        do: "judge",
        facts,
        fusion,
        against: embedder.id,
        parts: parts.map(({ name, length }) => ({ name, length })),
      } as const;
      const reply = await call(request, { signal, bytes: oneAfterTheOther(parts) });
      if (reply.type !== "judged") throw new NikaError("bug", "The tuner answered something else.");
      await served?.close();
      await rm(dir, { recursive: true, force: true });
      await rename(partial, dir);
      return reply.result;
    } finally {
      await served?.close();
      await rm(partial, { recursive: true, force: true });
    }
  };

  return {
    pack: async (tuning, { signal }) => await pack(tuning, signal),
    judge,
    drop: async (modelId) => await rm(join(workDir, modelId), { recursive: true, force: true }),
    close: () => processes.close(),
  };
}

async function askModel(
  model: Pick<Embedder, "passages" | "query">,
  question: TuneQuestion,
  signal: AbortSignal,
): Promise<readonly Float32Array[] | readonly TimedVector[]> {
  if (question.ask === "serve") throw new NikaError("bug", "Nothing is served while it is packed.");
  if (question.ask === "passages") return await model.passages(question.texts, signal);
  const vectors: TimedVector[] = [];
  for (const text of question.texts) {
    const startedAt = performance.now();
    const vector = await model.query(text, signal);
    vectors.push({ vector, ms: performance.now() - startedAt });
  }
  return vectors;
}

/** Fails with `missing` when it, or any of the usual ones, is not there. */
async function findBase(modelsDir: string, wanted: string | undefined): Promise<{ base: Base; dir: string }> {
  if (wanted !== undefined && !/^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/u.test(wanted))
    throw new NikaError(
      "invalid",
      "A base is named by its folder below the models folder: `BAAI/bge-small-en-v1.5`, or `random`.",
    );
  if (wanted?.startsWith("nika/") === true)
    throw new NikaError(
      "invalid",
      "A model that was trained here is no base: a table of words has no layers, and one that was trained beside a base is better trained anew beside that base. Name the base, or leave --base out.",
    );
  for (const name of wanted === undefined ? usualBases : [wanted]) {
    const dir = join(modelsDir, name);
    if ((await sizeOf(join(dir, weightsFile))) === undefined) continue;
    const files = new Map<string, Uint8Array>();
    for (const path of [...servedFiles, poolingFile])
      if ((await sizeOf(join(dir, path))) !== undefined) files.set(path, await readFile(join(dir, path)));
    return { base: toBase(name, files), dir };
  }
  const there = await readdir(modelsDir).catch(() => []);
  throw new NikaError(
    "missing",
    `There is no ${wanted ?? usualBases[0]!} with ${weightsFile} in the models folder (${there.length === 0 ? "which is empty" : "with the files of its model card"}); ` +
      "put it there, or name another with --base.",
  );
}

/** Of a plain file; undefined for anything else, links included. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

async function put(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, bytes, { flush: true, mode: 0o600 });
}

function oneAfterTheOther(parts: readonly { readonly path: string; readonly length: number }[]): FileBytes {
  return {
    sizeBytes: parts.reduce((sum, { length }) => sum + length, 0),
    pieces: async function* (signal) {
      for (const { path, length } of parts)
        if (length > 0) yield* createReadStream(path, { end: length - 1, signal }) as AsyncIterable<Uint8Array>;
    },
  };
}
