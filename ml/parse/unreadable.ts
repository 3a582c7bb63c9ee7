import { problemMessages, type Problem } from "../../convex/model/document.ts";

/** Bytes that cannot become passages. The state of a document, not a fault: callers turn it into `{ type: "unreadable" }`. */
export class UnreadableError extends Error {
  override readonly name = "UnreadableError";
  readonly problem: Problem;

  /** `cause` is what the library said, for the log only. */
  constructor(problem: Problem, options?: { cause?: unknown }) {
    super(problemMessages[problem], options);
    this.problem = problem;
  }
}
