/** How a LoRA is trained. Plain data, which goes to job.json as it is; the payload's run.py reads nothing else. */
import type { Recipe } from "../trainer.ts";

export type LoraRecipe = {
  readonly epochs: number;
  readonly batch: number;
  /** Texts that lie on the GPU at a time; 0 for all of a batch. The result is the same, memory is less and time more. */
  readonly miniBatch: number;
  readonly rate: number;
  /** Of all steps, over which the rate rises. */
  readonly warmup: number;
  readonly temperature: number;
  /** Of each example's negatives, how many are used. */
  readonly negatives: number;
  readonly piecesMax: number;
  readonly prefixes: Recipe["prefixes"];
  /** Of the thin matrices that are learned beside each target, and how much they count: `alpha / rank`. */
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Of the base's layers, by the end of their names. */
  readonly targets: readonly string[];
  /** "auto": a base of 300 million numbers and more is held in 4 bits where CUDA and bitsandbytes are there (QLoRA). */
  readonly fourBit: "auto" | "never";
  /** Epochs without a better score after which it is over. */
  readonly patience: number;
};

export const loraDefault: LoraRecipe = {
  epochs: 3,
  batch: 64,
  miniBatch: 0,
  rate: 1e-4,
  warmup: 0.1,
  temperature: 0.05,
  negatives: 1,
  piecesMax: 512,
  prefixes: [
    { size: 384, weight: 1 },
    { size: 192, weight: 0.3 },
    { size: 96, weight: 0.2 },
  ],
  rank: 32,
  alpha: 64,
  dropout: 0.1,
  targets: ["query", "key", "value", "dense"],
  fourBit: "auto",
  patience: 1,
};

/** Of weights that know nothing, on little: only to try the way. */
export const loraOfChance: LoraRecipe = { ...loraDefault, epochs: 2, batch: 16, rate: 2e-3, patience: 2 };

/** Texts on which the graph is compared with torch, and what is served with the graph: usual ones, and those on which servers differ. */
export const probeTexts: readonly string[] = [
  "Where is the invoice for the roof?",
  "À quelle date le bail du garage prend-il fin ?",
  "Total due: 1,250.50 EUR, to be paid by 31 March 2026 (no. DN50-B).",
  "日本語 text, Ümlaut, Œuvre, 🙂 ⁂ ﷽",
  "",
  "word ".repeat(900),
  "The contract may be ended by either party with three months' notice; what was paid in advance is returned within thirty days.",
];
