/** What the vault has to say to a question, in a few lines that can be read on their own. */
export type Answers = {
  /** Undefined when nothing in the vault bears on it. Fails with `cancelled` when `signal` fires. */
  ask(question: string, signal: AbortSignal): Promise<string | undefined>;
};
