import type { DocumentState } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { Icon, type IconName } from "./icon.tsx";

const icons: Record<DocumentState, IconName> = {
  waiting: "clock",
  reading: "eye",
  staged: "ask",
  ready: "check",
  unreadable: "alert",
  replaced: "clock",
  forgetting: "trash",
};

/** A document's state in a word, with a sign of its own: colour alone tells nobody anything. */
export function StateChip({ state }: { state: DocumentState }) {
  const { words } = useSpeech();
  return (
    <span className={`chip ${state}`} data-testid="state-chip" data-state={state}>
      <Icon name={icons[state]} />
      <span className="chip-text">{words.documents.states[state]}</span>
    </span>
  );
}
