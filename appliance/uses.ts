/** Tells the control plane how searches are used; whether anything of it is kept is decided there. Nobody waits for it. */
import { randomUUID } from "node:crypto";
import type { Answer } from "../convex/model/answer.ts";
import { internal } from "../convex/_generated/api.js";
import type { PassageName, ReactionType } from "../convex/model/use.ts";
import type { State } from "../functions/ports/state.ts";

export type Uses = {
  /** The answer with the key by which it is said what was done with it. `session`: who asked, in one go. */
  answered(answer: Answer, session: string): Answer;
  opened(key: string | undefined, passage: PassageName): void;
  /** An answer of somebody's rests on it. */
  cited(key: string | undefined, passage: PassageName): void;
};

export function openUses(state: State, log: (line: string) => void): Uses {
  const tell = (telling: Promise<unknown>): void => {
    telling.catch((error: unknown) => log(`use: it was not remembered: ${String(error)}`));
  };
  const reacted = (type: ReactionType, key: string | undefined, { documentId, ordinal }: PassageName): void => {
    if (key !== undefined) tell(state.mutation(internal.uses.reacted, { key, type, documentId, ordinal }));
  };
  return {
    answered: (answer, session) => {
      const useKey = randomUUID();
      const shown = answer.passages.map(({ documentId, ordinal }) => ({ documentId, ordinal }));
      if (shown.length > 0)
        tell(state.mutation(internal.uses.record, { key: useKey, session, question: answer.question, shown }));
      return { ...answer, useKey };
    },
    opened: (key, passage) => reacted("opened", key, passage),
    cited: (key, passage) => reacted("cited", key, passage),
  };
}
