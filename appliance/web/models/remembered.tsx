import { useMutation } from "convex/react";
import type { FunctionReturnType } from "convex/server";
import { useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import { scopesKnown } from "../../../convex/model/use.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";

export type Learning = FunctionReturnType<typeof api.uses.get>;

/** Of which documents the use is remembered, how much there is, and that all of it can be forgotten. */
export function Remembered({ learning: { scopes, questions, reactions } }: { learning: Learning }) {
  const { words, number } = useSpeech();
  const said = words.models;
  const allow = useMutation(api.uses.allow);
  const erase = useMutation(api.uses.erase);
  const attempt = useAttempt();
  const [isSure, setSure] = useState(false);
  return (
    <section className="section" data-testid="remembered">
      <h2>{said.remembered}</h2>
      <p className="fine">{scopes.length === 0 ? said.nothingRemembered : said.staysHere}</p>
      <fieldset className="model-scopes">
        <legend>{said.scopesOf}</legend>
        {scopesKnown.map((scope) => (
          <label key={scope}>
            <input
              type="checkbox"
              checked={scopes.includes(scope)}
              data-testid={`allow-${scope}`}
              onChange={({ target }) => {
                const others = scopes.filter((one) => one !== scope);
                attempt(() => allow({ scopes: target.checked ? [...others, scope] : others }));
              }}
            />
            <span>{said.scopes[scope]}</span>
          </label>
        ))}
      </fieldset>
      <p>{said.counts(number(questions), number(reactions))}</p>
      {questions > 0 && !isSure && (
        <button type="button" className="button small" onClick={() => setSure(true)}>
          <span className="button-text">{said.erase}</span>
        </button>
      )}
      {isSure && (
        <p className="model-sure">
          <button
            type="button"
            className="button small danger"
            data-testid="uses-erase"
            onClick={() => {
              setSure(false);
              attempt(() => erase({}));
            }}
          >
            <span className="button-text">{said.eraseSure}</span>
          </button>
          <button type="button" className="button small" onClick={() => setSure(false)}>
            <span className="button-text">{said.keep}</span>
          </button>
        </p>
      )}
    </section>
  );
}
