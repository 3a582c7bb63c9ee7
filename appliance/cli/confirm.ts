/** Asks a person before something is done that cannot be taken back, or that he should have thought about. */
import { createInterface } from "node:readline/promises";
import { NikaError } from "../../convex/model/error.ts";
import { interrupted } from "./live.ts";
import type { Terminal } from "./terminal.ts";

export type Question = {
  /** Ends with a question mark. */
  readonly text: string;
  /** What to do where nobody can be asked: a sentence for `invalid`. */
  readonly otherwise: string;
  readonly signal: AbortSignal;
};

export const canAsk = (terminal: Terminal): boolean => terminal.isInteractive && process.stdin.isTTY;

/** Whether the answer is yes; Enter is no. Fails with `invalid` where nobody is there. */
export async function confirmed(terminal: Terminal, { text, otherwise, signal }: Question): Promise<boolean> {
  if (!canAsk(terminal)) throw new NikaError("invalid", otherwise);
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^(?:y|yes|o|oui)$/i.test((await prompt.question(`${text} [y/N] `, { signal })).trim());
  } catch (error) {
    throw error instanceof Error && error.name === "AbortError" ? interrupted() : error;
  } finally {
    prompt.close();
  }
}
