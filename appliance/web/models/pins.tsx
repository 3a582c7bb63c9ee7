import { useMutation, useQuery } from "convex/react";
import { useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import { questionCharsMax } from "../../../convex/model/answer.ts";
import { DocumentName } from "../components/documentName.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useDocumentList } from "../documentList.ts";
import { useSpeech } from "../language/language.tsx";

const offeredMax = 20;

/** Questions that have to stay answered, and by which document. */
export function Pins() {
  const { words } = useSpeech();
  const said = words.models.pins;
  const pins = useQuery(api.comparisons.pins);
  const unpin = useMutation(api.comparisons.unpin);
  const attempt = useAttempt();
  return (
    <section className="section" data-testid="pins">
      <h2>{said.title}</h2>
      <p className="fine">{said.about}</p>
      {pins?.length === 0 && <p className="fine">{said.none}</p>}
      <ul className="rows">
        {pins?.map(({ id, question, documentName }) => (
          <li key={id} className="row" data-testid="pin">
            <div className="row-head">
              <span className="row-name">
                <span>{question}</span>
                <span className="row-facts">
                  <DocumentName name={documentName} />
                </span>
              </span>
              <button
                type="button"
                className="button small"
                aria-label={said.removeOf(question)}
                data-testid="pin-remove"
                onClick={() => attempt(() => unpin({ question }))}
              >
                <span className="button-text">{said.remove}</span>
              </button>
            </div>
          </li>
        ))}
      </ul>
      <AddPin />
    </section>
  );
}

function AddPin() {
  const { words } = useSpeech();
  const said = words.models.pins;
  const pin = useMutation(api.comparisons.pin);
  const attempt = useAttempt();
  const [question, setQuestion] = useState("");
  const [name, setName] = useState("");
  const offered = useId();
  const { documents } = useDocumentList(undefined, name);
  const wanted = name.trim();
  const found = documents?.find((document) => document.name === wanted) ?? (documents?.length === 1 ? documents[0] : undefined);
  const isUnknown = wanted !== "" && documents?.length === 0;
  return (
    <form
      className="model-compare"
      onSubmit={(event) => {
        event.preventDefault();
        if (!found) return;
        attempt(async () => {
          await pin({ question, documentId: found.id });
          setQuestion("");
          setName("");
        });
      }}
    >
      <label>
        <span>{said.question}</span>
        <input
          className="field"
          value={question}
          maxLength={questionCharsMax}
          autoComplete="off"
          data-testid="pin-question"
          onChange={({ target }) => setQuestion(target.value)}
        />
      </label>
      <label>
        <span>{said.document}</span>
        <input
          className="field"
          value={name}
          list={offered}
          autoComplete="off"
          data-testid="pin-document"
          onChange={({ target }) => setName(target.value)}
        />
        <datalist id={offered}>
          {documents?.slice(0, offeredMax).map((document) => (
            <option key={document.id} value={document.name} />
          ))}
        </datalist>
      </label>
      <button type="submit" className="button" disabled={question.trim() === "" || found === undefined} data-testid="pin-add">
        <span className="button-text">{said.add}</span>
      </button>
      {isUnknown && <p className="row-why">{said.unknown}</p>}
    </form>
  );
}
