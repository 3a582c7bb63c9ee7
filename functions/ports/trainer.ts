import type { Comparison } from "../../convex/model/comparison.ts";
import type { Fusion, ModelResult } from "../../convex/model/model.ts";
import type { Use } from "../../convex/model/use.ts";
import type { Written } from "../../convex/model/written.ts";
import type { DatasetPassage } from "../../ml/dataset/pair.ts";

/** What was remembered, and what of it may be learned from. */
export type Remembered = {
  readonly passages: readonly DatasetPassage[];
  readonly uses: readonly Use[];
  /** Of documents whose use may be learned from. */
  readonly scopes: readonly string[];
  /** Questions that have to stay answered by a document. */
  readonly pinned?: readonly { readonly question: string; readonly documentId: string }[];
};

export type Training = Remembered & {
  /** Names the model; training it again goes on where it was cut off, and replaces what there was of it. */
  readonly modelId: string;
  readonly seed: number;
  /** Whether addresses, accounts and numbers are taken out of questions first. */
  readonly isScrubbed: boolean;
  /** What a language model wrote about passages, where the owner asked for it. */
  readonly written?: readonly Written[];
};

export type Comparing = Remembered & { readonly one: Wanted; readonly other?: Wanted };

export type Wanted = {
  /** "live", "baseline", "bge" or the id of a model that was trained here. */
  readonly wanted: string;
  /** How its ranking is joined with the one by words; of the live one, as it is now. */
  readonly fusion: Fusion;
};

export type Watching = { readonly signal: AbortSignal; readonly progress: (done: number, total: number) => void };

/** Makes a model of the owner's own, and judges it beside the live one. */
export type Trainer = {
  /**
   * Leaves the model's files behind when there is one. Fails with `cancelled`, with `invalid` where the live embedder is none that this
   * trainer can better, and with `unavailable` when its process was lost.
   */
  train(training: Training, watching: Watching): Promise<ModelResult>;
  /** Fails with `missing` when the files of one are not on this machine, and as `train` does. */
  compare(comparing: Comparing, watching: Watching): Promise<Comparison>;
  /** Drops the files of all models but these, and what was kept of trainings that are over. Says how many models went. */
  tidy(modelIds: readonly string[]): Promise<number>;
};
