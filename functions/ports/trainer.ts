import type { ModelResult } from "../../convex/model/model.ts";
import type { Use } from "../../convex/model/use.ts";
import type { DatasetPassage } from "../../ml/dataset/pair.ts";

export type Training = {
  /** Names the model; training it again replaces what there was of it. */
  readonly modelId: string;
  readonly passages: readonly DatasetPassage[];
  readonly uses: readonly Use[];
  /** Of documents whose use may be learned from. */
  readonly scopes: readonly string[];
  readonly seed: number;
  /** Whether addresses, accounts and numbers are taken out of questions first. */
  readonly isScrubbed: boolean;
};

/** Makes a model of the owner's own, and judges it beside the live one. */
export type Trainer = {
  /**
   * Leaves the model's files behind when there is one. Fails with `cancelled`, with `invalid` where the live embedder is none that this
   * trainer can better, and with `unavailable` when its process was lost.
   */
  train(
    training: Training,
    watching: { readonly signal: AbortSignal; readonly progress: (done: number, total: number) => void },
  ): Promise<ModelResult>;
};
