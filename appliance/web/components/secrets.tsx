import { useQuery } from "convex/react";
import { useId, useState, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";
import { Icon } from "./icon.tsx";
import { useAttempt } from "./notice.tsx";

/** The names of what Nika keeps under lock. A value goes in once and never comes back. */
export function Secrets() {
  const { words, when } = useSpeech();
  const attempt = useAttempt();
  const [name, value] = [useId(), useId()];
  const secrets = useQuery(api.credentials.list);
  // What is forgotten cannot be had back, so one press only asks.
  const [asked, setAsked] = useState<string>();
  const forget = (secret: string): void => {
    setAsked(undefined);
    attempt(() => askAppliance("DELETE", "/nika/secrets", { body: { name: secret } }));
  };
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const body = Object.fromEntries(new FormData(form));
    attempt(async () => {
      await askAppliance("POST", "/nika/secrets", { body });
      form.reset();
    });
  };
  return (
    <section className="secrets" data-testid="secrets">
      <h3>{words.secrets.title}</h3>
      <p className="fine">{words.secrets.hint}</p>
      <ul className="secret-list">
        {secrets?.map((secret) => (
          <li key={secret.name}>
            <span className="secret-name">{secret.name}</span>
            <span className="fine">{words.secrets.setAt(when(secret.setAt))}</span>
            {asked === secret.name ? (
              <button type="button" className="button" data-testid="secret-forget" onClick={() => forget(secret.name)}>
                {words.secrets.forget}
              </button>
            ) : (
              <button
                type="button"
                className="icon-button"
                aria-label={words.secrets.remove(secret.name)}
                onClick={() => setAsked(secret.name)}
              >
                <Icon name="trash" />
              </button>
            )}
          </li>
        ))}
      </ul>
      <form className="secret-form" onSubmit={submit} autoComplete="off">
        <label htmlFor={name}>{words.secrets.name}</label>
        <input
          id={name}
          name="name"
          className="field"
          required
          maxLength={64}
          pattern="[A-Za-z][A-Za-z0-9._\-]*"
          spellCheck={false}
        />
        <label htmlFor={value}>{words.secrets.value}</label>
        <input id={value} name="value" type="password" className="field" required autoComplete="new-password" />
        <button type="submit" className="button" data-testid="secret-set">
          {words.secrets.set}
        </button>
      </form>
    </section>
  );
}
