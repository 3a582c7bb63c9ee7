import { useMutation } from "convex/react";
import { useId, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { BatchView, Only } from "../../../convex/model/batch.ts";
import { entityTypes, scopes, type DocumentLabels } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { useAttempt } from "./notice.tsx";
import { Sheet } from "./sheet.tsx";

/** A group of a batch that the owner wants to file elsewhere. */
export type Refiled = { readonly only: Only; readonly name: string; readonly documents: number };

type Props = { readonly batch: BatchView; readonly group: Refiled | undefined; readonly onClose: () => void };

/** What all documents of a group are filed under. A field that is left alone changes nothing. */
export function GroupDialog({ batch, group, onClose }: Props) {
  const { words } = useSpeech();
  const edit = useMutation(api.batches.edit);
  const attempt = useAttempt();
  const title = useId();
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const labels = labelsOf(new FormData(event.currentTarget));
    if (group && Object.keys(labels).length > 0) attempt(() => edit({ id: batch.id, only: group.only, labels }));
    onClose();
  };
  return (
    <Sheet isOpen={group !== undefined} labelledBy={title} onClose={onClose}>
      <h2 id={title}>{group && words.batches.refileTitle(group.name, group.documents)}</h2>
      <p className="sheet-text">{words.batches.refileHint}</p>
      <form className="edit-form" onSubmit={submit}>
        <Fields />
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

function labelsOf(form: FormData): DocumentLabels {
  const text = (name: string): string => {
    const value = form.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  const given = (["entityType", "domain", "language", "scope"] as const)
    .map((name) => [name, name === "language" ? text(name).toLowerCase() : text(name)] as const)
    .filter(([, value]) => value !== "");
  return Object.fromEntries(given);
}

function Fields() {
  const { words } = useSpeech();
  const { document: say, batches } = words;
  return (
    <>
      <label>
        {say.type}
        <select className="field" name="entityType" defaultValue="" data-testid="group-type">
          <option value="">{batches.asItIs}</option>
          {entityTypes.map((type) => (
            <option key={type} value={type}>
              {say.types[type]}
            </option>
          ))}
        </select>
      </label>
      <label>
        {say.theme}
        <input className="field" name="domain" placeholder={batches.asItIs} autoComplete="off" data-testid="group-theme" />
      </label>
      <label>
        {words.documents.language}
        <input
          className="field"
          name="language"
          placeholder={batches.asItIs}
          maxLength={3}
          autoComplete="off"
          autoCapitalize="off"
        />
      </label>
      <label>
        {say.scope}
        <select className="field" name="scope" defaultValue="">
          <option value="">{batches.asItIs}</option>
          {scopes.map((scope) => (
            <option key={scope} value={scope}>
              {say.scopes[scope]}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}
