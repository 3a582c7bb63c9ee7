/** Models that were learned here: what is known of each, and which one searches go by. */
import { v, type Infer } from "convex/values";
import { vMoney } from "./gpu.ts";

/** How the ranking by vectors and the one by words become one; see ml/retrieve/fuse.ts. Chosen with a model and in force with it. */
export const vFusion = v.object({
  method: v.union(v.literal("ranks"), v.literal("scores")),
  /** Of ranks: what weights act on. */
  k: v.number(),
  dense: v.number(),
  lexical: v.number(),
});
export type Fusion = Infer<typeof vFusion>;

/** What a model that was learned here is joined by, unless its tuning questions say otherwise beyond doubt; see ml/evaluate/fusion.ts. */
export const fusionLearned: Fusion = { method: "ranks", k: 2, dense: 3, lexical: 1 };

/** What holds until a model brings its own. */
export const fusionDefault: Fusion = { method: "ranks", k: 2, dense: 1, lexical: 2 };

export const vCheck = v.object({
  name: v.string(),
  passed: v.boolean(),
  /** What was found and what it takes. */
  says: v.string(),
});

/** A LoRA: thin matrices that were learned beside the layers of a base and made one with it. */
const vLora = v.object({
  base: v.string(),
  rank: v.number(),
  alpha: v.number(),
  /** Numbers that were learned, beside how many. */
  trained: v.number(),
  numbers: v.number(),
  /** Mean of the first epoch, and of the last. */
  firstLoss: v.number(),
  lastLoss: v.number(),
  /** Between torch and the graph; then cosines: the graph in bytes beside torch, and what is served here beside what the trainer said. */
  maxAbsDifference: v.number(),
  quantisedCosine: v.number(),
  servedCosine: v.number(),
  isQuantized: v.boolean(),
  seconds: v.number(),
  memoryMb: v.number(),
  gpuMemoryMb: v.optional(v.number()),
  /** "cpu", or the GPU's name. */
  device: v.string(),
  /** Of the machine, as whoever ran it tells them. */
  facts: v.array(v.string()),
  versions: v.string(),
});

/** What was wished for when a LoRA was asked for. */
export const vLoraWish = v.object({
  /** A folder below the models folder, or "random" for a tiny one of chance; absent: the first known one that is there. */
  base: v.optional(v.string()),
  /** Absent: only machines that cost nothing. */
  costMax: v.optional(vMoney),
});
export type LoraWish = Infer<typeof vLoraWish>;

/** Of a schedule without LoRA, where what is in force knows meanings. */
export const nothingBetter =
  "it knows meanings, and a table of words would not be better. `nika model schedule weekly --with lora` trains beside its base; `nika model schedule off` ends this.";

/** What training came to, with all that it takes to make the same model again. */
export const vModelResult = v.object({
  /** Not trained, because of its data; trained, and not better; trained, and better than the live one by the gate. */
  verdict: v.union(v.literal("refused"), v.literal("rejected"), v.literal("better")),
  /** Why, in a sentence. */
  says: v.string(),
  checks: v.array(vCheck),
  dataSha256: v.string(),
  trainingPairs: v.number(),
  /** Of these, what somebody really asked; the others were made of headings and passages. */
  askedPairs: v.number(),
  /** Of the pairs, what language models wrote, and which; and wrong answers of theirs that were learned from. */
  written: v.optional(v.object({ pairs: v.number(), rivals: v.number(), by: v.array(v.string()) })),
  testQuestions: v.number(),
  madeTestQuestions: v.number(),
  documents: v.number(),
  /** The embedder that it was compared with. */
  against: v.string(),
  trained: v.optional(
    v.object({
      sha256: v.string(),
      sizeBytes: v.number(),
      fusion: vFusion,
      temperature: v.number(),
      rate: v.number(),
      negatives: v.number(),
      epochs: v.number(),
      /** How much of what was learned is in it, 0 to 1. */
      share: v.number(),
      /** What training began with: see ml/train/pretrain.ts. */
      beginning: v.optional(v.object({ isEven: v.boolean(), company: v.number(), use: v.number() })),
      /** Relative gain in NDCG@10 by vectors; the difference in NDCG@10, by vectors and by both, with its 95 % interval. */
      gain: v.number(),
      denseDifference: v.object({ mean: v.number(), from: v.number(), to: v.number() }),
      hybridDifference: v.object({ mean: v.number(), from: v.number(), to: v.number() }),
      /** Of one that was trained beside a base: see ml/train/lora. */
      lora: v.optional(vLora),
    }),
  ),
});
export type ModelResult = Infer<typeof vModelResult>;

export const vModelView = v.object({
  id: v.id("models"),
  at: v.number(),
  seed: v.number(),
  /** To be the same as this one. */
  againOf: v.optional(v.id("models")),
  /** Put in force when it is better, by the owner's word. */
  deploys: v.optional(v.boolean()),
  /** "waiting", "running", or, without a result, how its work ended. */
  state: v.union(v.literal("waiting"), v.literal("running"), v.literal("done"), v.literal("failed"), v.literal("cancelled")),
  problem: v.optional(v.string()),
  result: v.optional(vModelResult),
});
export type ModelView = Infer<typeof vModelView>;

/** Records of more than these are dropped, oldest first. */
export const modelsKeptMax = 50;
/** Files of so many of the newest stay, and of whatever is in force or may be gone back to. */
export const modelFilesKeptMax = 3;
