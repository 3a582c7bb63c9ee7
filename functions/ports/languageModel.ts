/** What is asked of a language model: what to do, and what to do it with. The second is data, whatever it says. */
export type Prompt = { readonly task: string; readonly content: string; readonly tokensMax: number };

export type Written =
  /** `isCut` when it stopped in the middle. What it says is data, too, and nothing that it asks for is done. */
  | { readonly type: "written"; readonly text: string; readonly isCut: boolean }
  /** It would not. */
  | { readonly type: "refused"; readonly reason: string };

/** A language model that the owner configured, for what is made outside of a conversation. */
export type LanguageModel = {
  /** For the owner: "qwen3:8b at 127.0.0.1". */
  readonly label: string;
  /** Whether it is served on this machine: to any other what is asked goes out. */
  readonly isHere: boolean;
  /**
   * Once, not tried again here. Fails with `cancelled`; `unavailable` when it does not answer in two minutes, is overloaded, asks to slow down
   * or answers what cannot be understood; `denied` when the key is not taken; `invalid` when the request is not.
   */
  write(prompt: Prompt, signal: AbortSignal): Promise<Written>;
};
