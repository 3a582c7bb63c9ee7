/** A language model that does what it is told to do in the test, and notes what it was asked. */
import { NikaError } from "../../convex/model/error.ts";
import type { LanguageModel } from "../../functions/ports/languageModel.ts";

/** Says that it cannot answer, as a model that is overloaded does. */
export const busy = (): never => {
  throw new NikaError("unavailable", "The language model asks to slow down.");
};

export function fakeLanguageModel(
  answer: (content: string) => string,
  { isHere = true }: { isHere?: boolean } = {},
): LanguageModel & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    label: "fake at 127.0.0.1",
    isHere,
    asked,
    write: async ({ content }, signal) => {
      if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
      asked.push(content);
      return { type: "written", text: answer(content), isCut: false };
    },
  };
}
