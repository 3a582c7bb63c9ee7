/** Trains in a process of its own, which is polite, may be ended at any moment, and may neither read nor write anything. */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { ModelResult } from "../../convex/model/model.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { Trainer, Training } from "../../functions/ports/trainer.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";

export type TrainRequest = Training & { readonly against: string };
export type TrainReply = { readonly result: ModelResult; readonly files: readonly (readonly [string, Uint8Array])[] };
export type TrainQuestion = { readonly done: number; readonly total: number };

/** Features of a large vault and their gradients; the texts beside them. */
const memoryMiBMax = 3_072;
/** Between two words of how far it is: an epoch of a large vault, on a machine that is busy. */
const timeLimitMs = 30 * 60_000;
const idleMs = 1_000;

export type TrainerOptions = {
  /** Where models lie, each in a folder of its name. */
  readonly modelsDir: string;
  readonly embedder: Pick<Embedder, "id" | "isBaseline">;
};

export function openTrainer({ modelsDir, embedder }: TrainerOptions): Trainer & { close(): Promise<void> } {
  let told: ((done: number, total: number) => void) | undefined;
  const processes = openProcesses<TrainRequest, TrainReply>({
    entry: new URL("trainerProcess.ts", import.meta.url),
    processesMax: 1,
    memoryMiBMax,
    timeLimitMs,
    idleMs,
    answer: async (question) => {
      const { done, total } = question as TrainQuestion;
      told?.(done, total);
    },
  });
  return {
    train: async (training, { signal, progress }) => {
      if (!embedder.isBaseline)
        throw new NikaError(
          "invalid",
          "A model that knows meanings is installed; the one that can be trained on this machine matches wording and would not be better.",
        );
      told = progress;
      const request = { ...training, against: embedder.id };
      const { result, files } = await processes.call(request, { signal }).catch((error: unknown) => {
        if (error instanceof ProcessLostError)
          throw new NikaError("unavailable", "The trainer stopped in the middle of its work.", { cause: error });
        throw error;
      });
      if (files.length > 0) await keep(join(modelsDir, "nika", training.modelId), files);
      return result;
    },
    close: () => processes.close(),
  };
}

/** All of it or nothing: a model that lacks a file is none. */
async function keep(dir: string, files: TrainReply["files"]): Promise<void> {
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
