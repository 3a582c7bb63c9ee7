/** How runs of functions ended, for who asked and for the log. */
import type { Caller, Result } from "./call.ts";
import type { ReadRange } from "./commit.ts";

export type QueryRun = {
  readonly result: Result;
  /** The snapshot it read, nanoseconds. */
  readonly ts: bigint;
  readonly journal: string | null;
  readonly logLines: readonly string[];
  readonly reads: readonly ReadRange[];
  /** True when the result depends on who asked. */
  readonly usedIdentity: boolean;
  /** True when the run looked at the clock. */
  readonly usedTime: boolean;
  /** It took its thread down. Its reads are then at least what it read; with a `ts` of 0 it read nothing that is known. */
  readonly isFatal?: true;
};

export type MutationRun = {
  readonly result: Result;
  /** Commit time; null when it failed. */
  readonly ts: bigint | null;
  readonly logLines: readonly string[];
};
export type ActionRun = { readonly result: Result; readonly logLines: readonly string[] };

/** One run that is over. Its arguments and its value are not in it: what a log keeps, somebody reads. */
export type RunNote = {
  readonly path: string;
  readonly kind: "query" | "mutation" | "action" | "httpAction";
  readonly caller: Caller;
  readonly requestId: string;
  /** How long it ran, without waiting for its turn. */
  readonly ms: number;
  readonly logLines: readonly string[];
  /** It did not run: the answer was known, and still true. */
  readonly isCached?: true;
  /** Why it failed, with a mapped stack; undefined when it did well. */
  readonly error?: string | undefined;
};
