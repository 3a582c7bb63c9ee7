import { useMutation } from "convex/react";
import { useId } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { DocumentView } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { Icon } from "./icon.tsx";
import { useAttempt } from "./notice.tsx";
import { Sheet } from "./sheet.tsx";

type Props = { readonly document: DocumentView | undefined; readonly onClose: () => void };

/** Asks before forgetting, because it cannot be undone. Keeping it is what Enter does. */
export function ForgetDialog({ document, onClose }: Props) {
  const { documents } = useSpeech().words;
  const forget = useMutation(api.documents.forget);
  const attempt = useAttempt();
  const title = useId();
  return (
    <Sheet isOpen={document !== undefined} labelledBy={title} onClose={onClose}>
      <h2 id={title}>{documents.forgetTitle}</h2>
      <p className="sheet-text">{document && documents.forgetText(document.name)}</p>
      <div className="actions end">
        {/* A dialog must put the focus somewhere: here, on the harmless choice. */}
        <button type="button" className="button" autoFocus onClick={onClose}>
          {documents.cancel}
        </button>
        <button
          type="button"
          className="button danger filled"
          data-testid="forget-confirm"
          onClick={() => {
            if (document) attempt(() => forget({ id: document.id }));
            onClose();
          }}
        >
          <Icon name="trash" />
          {documents.forget}
        </button>
      </div>
    </Sheet>
  );
}
