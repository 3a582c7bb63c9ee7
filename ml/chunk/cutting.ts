import type { Measure } from "./tokens.ts";

/** How long passages are, in tokens. */
export type Budgets = {
  /** Running text and rows: enough to answer from, short enough to be read on a phone and to mean one thing. */
  readonly target: number;
  /** Lists, code and records are worth more whole; with the title in front this is what common embedders still take in (512). */
  readonly whole: number;
};

/** What all of one document is cut by. */
export type Cutting = { readonly measure: Measure; readonly budgets: Budgets; readonly language: "en" | "fr" };
