/**
 * How a vault moves to another model, as data: which step comes next, given what is known. Nothing here acts; whoever acts asks again after
 * each step, so a move that was cut off anywhere goes on from what it finds.
 */

export type MigrationStage =
  /** Decided; nothing is there yet. */
  | "planned"
  /** The new space is there, and every write goes to both. */
  | "copying"
  /** All was copied; the two are compared. */
  | "checking"
  /** Searches go by the new one; the old one is written along, so that going back loses nothing. */
  | "switched";

export type MigrationFacts = {
  readonly stage: MigrationStage;
  /** In both at one moment. */
  readonly passagesOld: number;
  readonly passagesNew: number;
  /** Passages that differed in the last comparison, and were put right; absent until there was one. */
  readonly mended?: number;
  /** The least cosine between what is stored and what the model gives now, over a sample; absent until it was taken. */
  readonly sampleLeast?: number;
  readonly freeBytes: number;
  readonly needBytes: number;
};

export type MigrationStep =
  | { readonly do: "prepare" | "copy" | "compare" | "sample" | "switch" | "point" | "nothing" }
  | { readonly do: "refuse"; readonly says: string };

/** Stored numbers have eight decimals and a table of bytes is the same everywhere, so less than this is another model. */
const sampleLeastMin = 0.999;

export function nextStep({
  stage,
  passagesOld,
  passagesNew,
  mended,
  sampleLeast,
  freeBytes,
  needBytes,
}: MigrationFacts): MigrationStep {
  switch (stage) {
    case "planned":
      if (freeBytes < needBytes)
        return {
          do: "refuse",
          says: `The move takes ${mib(needBytes)} MiB of disk beside the vault's own, and ${mib(freeBytes)} are free.`,
        };
      return { do: "prepare" };
    case "copying":
      return { do: "copy" };
    case "checking":
      // What was put right is looked at once more: only two spaces that were found alike change places.
      if (mended !== 0 || passagesNew !== passagesOld) return { do: "compare" };
      if (sampleLeast === undefined) return { do: "sample" };
      if (sampleLeast < sampleLeastMin)
        return {
          do: "refuse",
          says: "What is stored for the new model is not what it gives now; its files or its process are not sound. The old one stays in force.",
        };
      return { do: "switch" };
    case "switched":
      return { do: "point" };
  }
}

const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20);
