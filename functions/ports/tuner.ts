import type { ModelResult } from "../../convex/model/model.ts";
import type { Training } from "./trainer.ts";

/** A LoRA to be learned on another machine, or by another program on this one. */
export type Tuning = Training & {
  /** A folder below the models folder, or "random"; absent: the first known one that is there. */
  readonly base?: string;
};

/** What is to run, as a job of a machine that has what it takes; or why nothing is. */
export type Packed =
  | { readonly type: "refused"; readonly result: ModelResult }
  | { readonly type: "ready"; readonly folder: string; readonly command: readonly string[] };

/** Packs what a LoRA is learned from, and takes back what came of it. */
export type Tuner = {
  /**
   * Leaves a folder to be shipped; one that was packed for this model before is kept as it is. Fails with `missing` when the base is not
   * there, `invalid` when it is none that can be trained and served here, `cancelled`, `unavailable`.
   */
  pack(tuning: Tuning, watching: { readonly signal: AbortSignal }): Promise<Packed>;
  /**
   * Checks what came back, serves it, judges it beside the live model, and keeps its files. Fails with `invalid` when what came back is not
   * usable, and says why. `facts`: of the machine that trained.
   */
  judge(
    back: { readonly modelId: string; readonly folder: string; readonly facts: readonly string[] },
    watching: { readonly signal: AbortSignal },
  ): Promise<ModelResult>;
  /** Throws away what was packed for a model; what is not there is not an error. */
  drop(modelId: string): Promise<void>;
};
