import type { RunFacts } from "../../convex/model/userFunction.ts";

/** One call of a function that the owner wrote. */
export type UserCall = {
  readonly name: string;
  /** JSON text. */
  readonly input: string;
  /** What the function is told of itself. */
  readonly about: { readonly id: string; readonly attempt: number; readonly trigger: string };
  readonly signal: AbortSignal;
  /** What it says meanwhile: whole lines, each with its end. Bounded by whoever listens. */
  readonly onLog: (text: string) => void;
  readonly onProgress: (done: number, total: number) => void;
};

/** What came of a call. A function that fails is an answer, not an exception. */
export type UserReply =
  | { readonly type: "done"; readonly output: string; readonly facts: RunFacts }
  | {
      readonly type: "failed";
      readonly code: "invalid" | "full" | "timeout" | "unavailable";
      readonly message: string;
      /** Whether another try may help: the function itself can say that none will. */
      readonly retry: boolean;
      readonly facts?: RunFacts;
    };

/** Functions that the owner wrote into the data folder, each in its sandbox. */
export type UserFunctions = {
  /**
   * Runs one. Fails with `missing` (no such function), `denied` (nothing on this machine may run it), `cancelled` when `signal` fired.
   */
  call(call: UserCall): Promise<UserReply>;
  /** Tries that a call of it gets; 1 when there is no such function. */
  attemptsMax(name: string): number;
};
