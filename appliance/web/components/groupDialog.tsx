import { useMutation } from "convex/react";
import { useId, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { BatchView, Only } from "../../../convex/model/batch.ts";
import { useSpeech } from "../language/language.tsx";
import { LabelFields, labelsIn } from "./labelFields.tsx";
import { useAttempt } from "./notice.tsx";
import { Sheet } from "./sheet.tsx";

/** A group of a batch that the owner wants to file elsewhere. */
export type Refiled = { readonly only: Only; readonly name: string; readonly documents: number };

type Props = { readonly batch: BatchView; readonly group: Refiled | undefined; readonly onClose: () => void };

/** What all documents of a group are filed under. A field that is left alone changes nothing. */
export function GroupDialog({ batch, group, onClose }: Props) {
  const { words } = useSpeech();
  const { asItIs } = words.batches;
  const edit = useMutation(api.batches.edit);
  const attempt = useAttempt();
  const title = useId();
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const labels = Object.fromEntries(
      Object.entries(labelsIn(new FormData(event.currentTarget))).filter(([, value]) => value !== ""),
    );
    if (group && Object.keys(labels).length > 0) attempt(() => edit({ id: batch.id, only: group.only, labels }));
    onClose();
  };
  return (
    <Sheet isOpen={group !== undefined} labelledBy={title} onClose={onClose}>
      <h2 id={title}>{group && words.batches.refileTitle(group.name, group.documents)}</h2>
      <p className="sheet-text">{words.batches.refileHint}</p>
      <form className="edit-form" onSubmit={submit}>
        <LabelFields unset={{ entityType: asItIs, domain: asItIs, language: asItIs, scope: asItIs }} testId="group" />
        <div className="actions end">
          <button type="button" className="button" onClick={onClose}>
            {words.document.cancel}
          </button>
          <button type="submit" className="button primary" data-testid="group-save">
            {words.document.save}
          </button>
        </div>
      </form>
    </Sheet>
  );
}
