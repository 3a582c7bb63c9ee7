import { useMutation } from "convex/react";
import { useId, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { DocumentView } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { LabelFields, labelsIn, textIn } from "./labelFields.tsx";
import { useAttempt } from "./notice.tsx";
import { Sheet } from "./sheet.tsx";

type Props = { readonly document: DocumentView; readonly isOpen: boolean; readonly onClose: () => void };

/** What a document is called and filed under. Empty fields are as Nika found them. */
export function EditDialog({ document, isOpen, onClose }: Props) {
  const { words } = useSpeech();
  const edit = useMutation(api.documents.edit);
  const attempt = useAttempt();
  const title = useId();
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const labels = { title: textIn(form, "title"), ...labelsIn(form) };
    attempt(() => edit({ ids: [document.id], labels }));
    onClose();
  };
  return (
    <Sheet isOpen={isOpen} labelledBy={title} onClose={onClose}>
      <h2 id={title}>{words.document.editTitle}</h2>
      <p className="sheet-text">{words.document.editHint}</p>
      <form className="edit-form" onSubmit={submit}>
        <Fields document={document} />
        <div className="actions end">
          <button type="button" className="button" onClick={onClose}>
            {words.document.cancel}
          </button>
          <button type="submit" className="button primary" data-testid="edit-save">
            {words.document.save}
          </button>
        </div>
      </form>
    </Sheet>
  );
}

function Fields({ document: { labels, reading } }: { document: DocumentView }) {
  const { words } = useSpeech();
  const { document: say } = words;
  const found = reading?.entityType ?? "document";
  const foundName = say.types[found as keyof typeof say.types] ?? found;
  return (
    <>
      <label>
        {words.documents.heading}
        <input
          className="field"
          name="title"
          defaultValue={labels?.title ?? ""}
          placeholder={reading?.title}
          autoComplete="off"
        />
      </label>
      <LabelFields
        labels={labels ?? {}}
        unset={{
          entityType: say.asFound(foundName),
          scope: say.asFound(say.scopes.private),
          ...(reading && { language: reading.language }),
        }}
        testId="edit"
      />
    </>
  );
}
