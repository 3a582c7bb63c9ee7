/** A model that reads a question and a passage together, when there is one on this machine. */
export type Reranker = {
  /** Names the model; undefined when there is none, and then nobody asks. */
  readonly id: string | undefined;
  /**
   * How well each text answers, in order; higher is better, any scale. Fails with `cancelled` when `signal` fires and `unavailable`
   * when the model does not answer.
   */
  score(question: string, texts: readonly string[], signal: AbortSignal): Promise<readonly number[]>;
};
