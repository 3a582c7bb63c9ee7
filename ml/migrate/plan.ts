/**
 * How a vault moves to another model, as data: which step comes next, given what is known. Nothing here acts; whoever acts asks again after
 * each step, so a move that was cut off anywhere goes on from what it finds.
 */

export type MigrationStage =
  /** Decided; nothing is there yet. */
  | "planned"
  /** The new collection is there, empty, and every write goes to both. */
  | "copying"
  /** All was copied; counts and samples are compared. */
  | "checking"
  /** Searches go by the new one; the old one is written along, so that going back loses nothing. */
  | "observing"
  /** The old one is gone. */
  | "finished"
  /** Searches go by the old one again. */
  | "rolledBack"
  /** Given up before the switch; the new collection is gone. */
  | "abandoned";

export type MigrationFacts = {
  readonly stage: MigrationStage;
  /** Documents whose passages are not embedded anew yet, those written meanwhile among them. */
  readonly documentsLeft: number;
  readonly passagesOld: number;
  readonly passagesNew: number;
  /** The least cosine between what is stored and what the model gives now, over a sample; absent until it was taken. */
  readonly sampleLeast?: number;
  readonly wantsRollback: boolean;
  /** Since the switch. */
  readonly observedMs: number;
  readonly freeBytes: number;
  readonly needBytes: number;
};

export type MigrationStep =
  | { readonly do: "prepare" | "copy" | "sample" | "switch" | "dropOld" | "switchBack" | "dropNew" | "nothing" }
  | { readonly do: "refuse"; readonly says: string };

export const keptAfterSwitchMs = 7 * 24 * 3_600_000;
/** Stored numbers have eight decimals and a table of bytes is the same everywhere, so more than this is another model. */
export const sampleLeastMin = 0.999;

export function nextStep(facts: MigrationFacts): MigrationStep {
  const { stage, documentsLeft, passagesOld, passagesNew, sampleLeast, wantsRollback } = facts;
  switch (stage) {
    case "planned":
      if (wantsRollback) return { do: "dropNew" };
      if (facts.freeBytes < facts.needBytes)
        return {
          do: "refuse",
          says: `The move takes ${mib(facts.needBytes)} MiB of disk, and ${mib(facts.freeBytes)} are free.`,
        };
      return { do: "prepare" };
    case "copying":
      if (wantsRollback) return { do: "dropNew" };
      return documentsLeft > 0 ? { do: "copy" } : { do: "sample" };
    case "checking":
      if (wantsRollback) return { do: "dropNew" };
      // Something was written since: it is copied first.
      if (documentsLeft > 0 || passagesNew !== passagesOld) return { do: "copy" };
      if (sampleLeast === undefined) return { do: "sample" };
      if (sampleLeast < sampleLeastMin)
        return { do: "refuse", says: "What was stored for the new model is not what it gives now; the move starts over." };
      return { do: "switch" };
    case "observing":
      if (wantsRollback) return { do: "switchBack" };
      return facts.observedMs >= keptAfterSwitchMs ? { do: "dropOld" } : { do: "nothing" };
    case "rolledBack":
      return { do: "dropNew" };
    case "finished":
    case "abandoned":
      return { do: "nothing" };
  }
}

const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20);
