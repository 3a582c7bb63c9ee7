/** What somebody who was asked has to say, in a few lines that can be read on their own: the vault, or a function of the owner's. */
export type Answers = {
  /** Undefined when nothing in the vault bears on it. Fails with `cancelled` when `signal` fires. */
  ask(question: string, signal: AbortSignal): Promise<string | undefined>;
  /**
   * What one of the owner's functions returns when a schedule says `prompt` to it. Fails with `missing` when there is none of that name,
   * with what the function failed with, and like `ask`.
   */
  call(name: string, prompt: string, signal: AbortSignal): Promise<string>;
};
