import { entityTypes, scopes, type DocumentLabels } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";

/** What a field says while nothing is chosen in it. */
type Unset = Readonly<Record<"entityType" | "scope", string>> & { readonly domain?: string; readonly language?: string };

type Props = { readonly labels?: DocumentLabels; readonly unset: Unset; readonly testId: string };

/** What documents are filed under: fields of a form, under the names of the labels. */
export function LabelFields({ labels = {}, unset, testId }: Props) {
  const { words } = useSpeech();
  const { document: say } = words;
  return (
    <>
      <label>
        {say.type}
        <select className="field" name="entityType" defaultValue={labels.entityType ?? ""} data-testid={`${testId}-type`}>
          <option value="">{unset.entityType}</option>
          {entityTypes.map((type) => (
            <option key={type} value={type}>
              {say.types[type]}
            </option>
          ))}
        </select>
      </label>
      <label>
        {say.theme}
        <input
          className="field"
          name="domain"
          defaultValue={labels.domain ?? ""}
          placeholder={unset.domain}
          autoComplete="off"
          data-testid={`${testId}-theme`}
        />
      </label>
      <label>
        {words.documents.language}
        <input
          className="field"
          name="language"
          defaultValue={labels.language ?? ""}
          placeholder={unset.language}
          maxLength={3}
          autoComplete="off"
          autoCapitalize="off"
        />
      </label>
      <label>
        {say.scope}
        <select className="field" name="scope" defaultValue={labels.scope ?? ""}>
          <option value="">{unset.scope}</option>
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

/** The labels as the form has them; empty where nothing was chosen. */
export function labelsIn(form: FormData): Required<Omit<DocumentLabels, "title">> {
  const language = textIn(form, "language").toLowerCase();
  return { entityType: textIn(form, "entityType"), domain: textIn(form, "domain"), language, scope: textIn(form, "scope") };
}

export function textIn(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
}
