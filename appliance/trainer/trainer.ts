/** Trains in a process of its own, which is polite, may be ended at any moment, and may neither read nor write anything. */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Comparison } from "../../convex/model/comparison.ts";
import { NikaError } from "../../convex/model/error.ts";
import { wantedOf } from "../../convex/model/generation.ts";
import type { Fusion, ModelResult } from "../../convex/model/model.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { Comparing, Trainer, Training, Wanted } from "../../functions/ports/trainer.ts";
import { isTable } from "../../ml/train/modelFiles.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";

/** A model as the process knows it: to be asked of the parent by its id. */
export type Named = { readonly id: string; readonly fusion: Fusion; readonly sizeBytes: number };

export type TrainerRequest =
  | (Omit<Training, "modelId"> & { readonly type: "train"; readonly live: Named; readonly from?: Uint8Array })
  | (Omit<Comparing, "one" | "other"> & { readonly type: "compare"; readonly one: Named; readonly other?: Named });
export type TrainerReply =
  | { readonly type: "trained"; readonly result: ModelResult; readonly files: readonly (readonly [string, Uint8Array])[] }
  | { readonly type: "compared"; readonly result: Comparison };
export type TrainerQuestion =
  | { readonly type: "far"; readonly done: number; readonly total: number }
  /** To be kept, so that training can be taken up again. */
  | { readonly type: "keep"; readonly bytes: Uint8Array }
  | { readonly type: "embed"; readonly id: string; readonly texts: readonly string[] }
  | { readonly type: "ask"; readonly id: string; readonly text: string };
export type Asked = { readonly vector: Float32Array; readonly ms: number };

/** Features of a large vault and their gradients; the texts beside them. */
const memoryMiBMax = 3_072;
/** Between two words of how far it is: an epoch of a large vault, on a machine that is busy. */
const timeLimitMs = 30 * 60_000;
const idleMs = 1_000;
export type TrainerOptions = {
  /** Where models lie, each in a folder of its name. */
  readonly modelsDir: string;
  /** What searches go by now. */
  readonly live: () => Promise<{ readonly embedderId: string; readonly fusion: Fusion }>;
  readonly embedders: {
    of(embedderId: string): Promise<Embedder | undefined>;
    find(wanted: string): Promise<{ readonly embedderId: string }>;
  };
};

export function openTrainer({ modelsDir, live, embedders }: TrainerOptions): Trainer & { close(): Promise<void> } {
  const dir = join(modelsDir, "nika");
  const checkpointOf = (modelId: string): string => join(dir, `${modelId}.checkpoint`);
  let working: { readonly told: (done: number, total: number) => void; readonly modelId?: string; readonly signal: AbortSignal };
  const processes = openProcesses<TrainerRequest, TrainerReply>({
    entry: new URL("trainerProcess.ts", import.meta.url),
    processesMax: 1,
    memoryMiBMax,
    timeLimitMs,
    idleMs,
    answer: async (given) => {
      const question = given as TrainerQuestion;
      switch (question.type) {
        case "far":
          return working.told(question.done, question.total);
        case "keep":
          return working.modelId === undefined ? undefined : await keepBytes(checkpointOf(working.modelId), question.bytes);
        case "embed":
          return (await embedderOf(question.id)).passages(question.texts, working.signal);
        case "ask": {
          const embedder = await embedderOf(question.id);
          const startedAt = performance.now();
          const vector = await embedder.query(question.text, working.signal);
          return { vector, ms: performance.now() - startedAt } satisfies Asked;
        }
      }
    },
  });

  const embedderOf = async (id: string): Promise<Embedder> => {
    const embedder = await embedders.of(id);
    if (!embedder) throw new NikaError("missing", `The files of ${id} are not on this machine.`);
    return embedder;
  };

  const call = async (request: TrainerRequest, signal: AbortSignal): Promise<TrainerReply> =>
    processes.call(request, { signal }).catch((error: unknown) => {
      if (error instanceof ProcessLostError)
        throw new NikaError("unavailable", "The trainer stopped in the middle of its work.", { cause: error });
      throw error;
    });

  const named = async (one: Wanted | "live"): Promise<Named> => {
    const inForce = await live();
    const isLive = one === "live" || one.wanted === "live";
    const embedderId = isLive ? inForce.embedderId : (await embedders.find(one.wanted)).embedderId;
    const fusion = isLive ? inForce.fusion : one.fusion;
    return { id: embedderId, fusion, sizeBytes: await sizeOf(join(dir, wantedOf(embedderId))) };
  };

  return {
    train: async ({ modelId, ...training }, { signal, progress }) => {
      const inForce = await named("live");
      if (wantedOf(inForce.id) !== "baseline" && !(await isTableIn(join(dir, wantedOf(inForce.id)))))
        throw new NikaError(
          "invalid",
          "A model that knows meanings is in force; a table of words would not be better. `nika model train --with lora` trains one beside its base.",
        );
      working = { told: progress, modelId, signal };
      const from = await readFile(checkpointOf(modelId)).catch(() => undefined);
      const reply = await call({ ...training, type: "train", live: inForce, ...(from && { from }) }, signal);
      if (reply.type !== "trained") throw new NikaError("bug", "The trainer answered something else.");
      if (reply.files.length > 0) await keep(join(dir, modelId), reply.files);
      await rm(checkpointOf(modelId), { force: true });
      return reply.result;
    },
    compare: async ({ one, other, ...remembered }, { signal, progress }) => {
      working = { told: progress, signal };
      const both = { one: await named(one), ...(other !== undefined && { other: await named(other) }) };
      const reply = await call({ ...remembered, ...both, type: "compare" }, signal);
      if (reply.type !== "compared") throw new NikaError("bug", "The trainer answered something else.");
      return reply.result;
    },
    tidy: async (modelIds) => {
      const stays = new Set(modelIds);
      const names = await readdir(dir).catch((): string[] => []);
      const going = names.filter((name) => !stays.has(name.replace(/\.(?:checkpoint|partial)$/u, "")));
      for (const name of going) await rm(join(dir, name), { recursive: true, force: true });
      return going.filter((name) => !name.includes(".")).length;
    },
    close: () => processes.close(),
  };
}

/** Whether a table of words lies there, as this trainer makes it; one that was trained beside a base has layers, and so has any other. */
async function isTableIn(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, "config.json"), "utf8").catch(() => undefined);
  return text !== undefined && isTable(text);
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch((): string[] => []);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** All of it or nothing: a model that lacks a file is none. */
async function keep(dir: string, files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  const partial = `${dir}.partial`;
  await rm(partial, { recursive: true, force: true });
  for (const [path, bytes] of files) {
    const to = join(partial, path);
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, bytes, { flush: true });
  }
  await rm(dir, { recursive: true, force: true });
  await rename(partial, dir);
}

async function keepBytes(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.partial`, bytes, { flush: true });
  await rename(`${path}.partial`, path);
}
