/** Models beside each other on the questions of today, and the questions that the owner wants answered by whichever is in force. */
import { v, type Infer } from "convex/values";
import { vFusion } from "./model.ts";

const vInterval = v.object({ mean: v.number(), from: v.number(), to: v.number() });
/** NDCG@10 with its 95 % interval, MRR@10 and Recall@10. */
const vReached = v.object({ ndcg: vInterval, mrr: v.number(), recall: v.number() });

export const vModelMeasures = v.object({
  /** The embedder's id. */
  name: v.string(),
  fusion: vFusion,
  /** Of its files; 0 for one that has none. */
  sizeBytes: v.number(),
  /** To embed a question where it is served, 95 of 100 at most, ms. */
  latencyMs: v.number(),
  /** By vectors alone, and together with words. */
  dense: vReached,
  hybrid: vReached,
});
export type ModelMeasures = Infer<typeof vModelMeasures>;

export const vComparison = v.object({
  /** Why there is nothing to compare by, in a sentence; then the rest is empty. */
  problem: v.optional(v.string()),
  questions: v.number(),
  /** Of these, how many nobody really asked. */
  madeQuestions: v.number(),
  dataSha256: v.string(),
  one: v.optional(vModelMeasures),
  other: v.optional(vModelMeasures),
  /** Of NDCG@10, the other less the one. */
  denseDifference: v.optional(vInterval),
  hybridDifference: v.optional(vInterval),
  /** NDCG@10 of both rankings together, by language, type and scope. */
  slices: v.array(v.object({ name: v.string(), questions: v.number(), one: v.number(), other: v.optional(v.number()) })),
  /** The questions that rose or fell most, by NDCG@10 of both rankings together. */
  moved: v.array(v.object({ question: v.string(), one: v.number(), other: v.number() })),
  /** Whether the paper is among the first ten. */
  pinned: v.array(v.object({ question: v.string(), one: v.boolean(), other: v.optional(v.boolean()) })),
});
export type Comparison = Infer<typeof vComparison>;

export const vComparisonView = v.object({
  id: v.id("comparisons"),
  at: v.number(),
  /** As they were asked for: "live", "baseline", "bge" or a model's id. */
  one: v.string(),
  other: v.optional(v.string()),
  state: v.union(v.literal("working"), v.literal("done"), v.literal("failed")),
  problem: v.optional(v.string()),
  result: v.optional(vComparison),
});
export type ComparisonView = Infer<typeof vComparisonView>;

export const vPin = v.object({
  id: v.id("pins"),
  question: v.string(),
  documentId: v.id("documents"),
  documentName: v.string(),
  at: v.number(),
});
export type Pin = Infer<typeof vPin>;

export const comparisonsKeptMax = 20;
export const pinsMax = 200;
