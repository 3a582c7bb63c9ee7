/** Why nothing was trained, in the language of the page: the record keeps the sentence in English, with its figures. */
import type { Words } from "../language/words.ts";

type Reason = keyof Words["models"]["refusals"];

/** As ml/dataset/check.ts says them; a test holds the two together. */
const patterns: Readonly<Record<Reason, RegExp>> = {
  documents: /^Of documents to learn from there are (\d+); it takes (\d+)\.$/u,
  pairs: /^There are (\d+) questions with their answers to learn from; it takes (\d+)\.$/u,
  questions: /^There are (\d+) questions to judge a model by; it takes (\d+)\.$/u,
  tuning: /^There are no questions to choose a recipe by\.$/u,
  both: /^(\d+) (?:documents|questions) are both learned from and judged by\.$/u,
  bare: /^(\d+) made questions stand word for word in the passage that answers them\.$/u,
  session: /^One session made (\d+) % of what was used\.$/u,
  passage: /^One passage is the answer to (\d+) % of all questions\.$/u,
  reached: /^Only (\d+) % of what was used has anything to do with its question\.$/u,
};

/** Undefined for a sentence that is not known: then it stands as it is. */
export function refusalOf(says: string, { refusals }: Words["models"]): string | undefined {
  for (const [reason, pattern] of Object.entries(patterns) as [Reason, RegExp][]) {
    const found = pattern.exec(says);
    if (found) return refusals[reason](found[1] ?? "", found[2] ?? "");
  }
  return undefined;
}
