/**
 * What goes to the machine that trains: the pairs to learn from and the questions that choose the epoch, with their passages. What the
 * verdict rests on stays at home, so that nobody can learn it.
 */
import { withoutSource } from "../../dataset/made.ts";
import { nameOf, type DatasetPassage, type Pair } from "../../dataset/pair.ts";
import { randomOf } from "../../dataset/random.ts";
import type { Split } from "../../dataset/split.ts";
import { toQuestions } from "../ground.ts";
import type { Base } from "./base.ts";
import { probeTexts, type LoraRecipe } from "./recipe.ts";

/** Raised when what job.json or a line of the others means changes; payload/job.py knows the same. */
export const payloadFormat = 1;

/** The payload's own files, which lie beside these in the repository. */
export const payloadFiles = [
  "start.py",
  "run.py",
  "job.py",
  "encoder.py",
  "learning.py",
  "checkpoint.py",
  "export.py",
  "facts.py",
  "requirements.txt",
] as const;

/** Beside the answers, so many other passages that an epoch is chosen among them, and few enough to embed after each. */
const examPassagesMax = 2_000;
const checkpointSeconds = 300;

export type Packing = {
  readonly modelId: string;
  readonly seed: number;
  readonly split: Split;
  readonly passages: readonly DatasetPassage[];
  /** Of each training pair, passages that look as if they answered. */
  readonly negatives: ReadonlyMap<Pair, readonly string[]>;
  readonly base: Base;
  readonly recipe: LoraRecipe;
  /** What questions are asked with, here as where the model is served. */
  readonly queryPrefix: string;
};

/** By path in the payload's folder, without the payload's own files; the same bytes for the same data and seed. */
export function packJob({
  modelId,
  seed,
  split,
  passages,
  negatives,
  base,
  recipe,
  queryPrefix,
}: Packing): Map<string, Uint8Array> {
  const known = new Map(passages.map((passage) => [nameOf(passage), passage]));
  const pairs = split.training.pairs.flatMap((pair) => {
    const passage = known.get(nameOf(pair.passage));
    if (!passage) return [];
    const group = split.groupOf.get(passage.documentId) ?? passage.documentId;
    const positive = withoutSource(passage, pair);
    const mine = { query: pair.query, positive, negatives: negatives.get(pair) ?? [], group };
    return [{ ...mine, weight: pair.weight, origin: pair.origin, split: "training" }];
  });
  const job = {
    format: payloadFormat,
    modelId,
    seed,
    base: { name: base.name, folder: "base", weights: base.weights, pooling: base.pooling },
    queryPrefix,
    recipe,
    checkpointSeconds,
    probes: probeTexts,
  };
  return new Map([
    ["job.json", bytesOf([JSON.stringify(job)])],
    ["pairs.jsonl", bytesOf(pairs.map((line) => JSON.stringify(line)))],
    ["eval.jsonl", bytesOf(examOf(split, passages, seed).map((line) => JSON.stringify(line)))],
    ...[...base.files].map(([path, bytes]) => [`base/${path}`, bytes] as const),
  ]);
}

/** The tuning questions, what answers them, and passages of what is learned from beside it: none that the verdict rests on. */
function examOf(split: Split, passages: readonly DatasetPassage[], seed: number): object[] {
  const questions = toQuestions(split.tuning, passages);
  const answers = new Set(questions.flatMap(({ judged }) => [...judged.keys()]));
  const groupOf = ({ documentId }: DatasetPassage): string => split.groupOf.get(documentId) ?? documentId;
  const mine = passages.filter(({ documentId }) => answers.has(documentId));
  const others = passages.filter((passage) => !answers.has(passage.documentId) && !split.test.groups.has(groupOf(passage)));
  const below = randomOf(seed);
  while (mine.length < examPassagesMax && others.length > 0) mine.push(...others.splice(below(others.length), 1));
  return [
    ...mine.map((passage) => ({ type: "passage", document: passage.documentId, text: passage.text })),
    ...questions.map(({ text, judged }) => ({ type: "question", text, answers: [...judged.keys()] })),
  ];
}

const bytesOf = (lines: readonly string[]): Uint8Array => new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
