/** What trains beside a base, joined: it packs and judges, and what it judges is served as any other model is. */
import { join } from "node:path";
import type { Embedders } from "../functions/ports/embedder.ts";
import type { Tuner } from "../functions/ports/tuner.ts";
import { openNeural } from "./embedder/neural.ts";
import type { Generations } from "./generations.ts";
import { openTuner } from "./trainer/tuner.ts";

type TuningOptions = {
  readonly dataDir: string;
  readonly modelsDir: string;
  readonly generations: Pick<Generations, "live"> & { readonly embedders: Pick<Embedders, "of"> };
  readonly log: (line: string) => void;
};

export const openTuning = ({ dataDir, modelsDir, generations, log }: TuningOptions): Tuner & { close(): Promise<void> } =>
  openTuner({
    modelsDir,
    workDir: join(dataDir, "cache", "tuning"),
    live: () => generations.live(),
    embedders: generations.embedders,
    serve: async (name, { isQuantized }) => await openNeural({ modelsDir, name, isQuantized, isDownload: false }, log),
  });
