import { useEffect, useState } from "react";
import type { GrantedClient } from "../../mcp/auth/grantFile.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";

type Asked = { readonly name: string; readonly host: string; readonly isLocal: boolean };
const ask = <T,>(verb: string, body: object): Promise<T> => askAppliance<T>("POST", `/nika/mcp/${verb}`, { body });

/** Programs elsewhere that signed in, looked at when the screen opens and after each change. */
export function Clients() {
  const { words, when } = useSpeech();
  const { tools } = words;
  const attempt = useAttempt();
  const [clients, setClients] = useState<readonly GrantedClient[]>([]);
  const look = async (): Promise<void> => setClients((await ask<{ clients: readonly GrantedClient[] }>("clients", {})).clients);
  useEffect(() => {
    look().catch(() => undefined);
  }, []);
  if (clients.length === 0) return null;
  return (
    <section className="section">
      <h2>{tools.clients}</h2>
      <ul className="rows" data-testid="clients">
        {clients.map(({ id, name, redirects, usedAt }) => (
          <li key={id} className="row" data-testid="client">
            <span className="row-name">
              <span className="document-name">{name}</span>
              <span className="row-facts">{`${redirects.map((to) => URL.parse(to)?.host ?? to).join(", ")} · ${when(usedAt)}`}</span>
            </span>
            <button
              type="button"
              className="button small danger"
              onClick={() =>
                attempt(async () => {
                  await ask("revoke", { id });
                  await look();
                })
              }
            >
              {tools.clientRevoke}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A program elsewhere wants to use the owner's tools: asked in the browser in which it began. */
export function Consent({ uid }: { uid: string }) {
  const { tools } = useSpeech().words;
  const attempt = useAttempt();
  const [asked, setAsked] = useState<Asked | "nothing">();
  useEffect(() => {
    ask<Asked>("asked", { uid }).then(setAsked, () => setAsked("nothing"));
  }, [uid]);
  const answer = (isAllowed: boolean): void =>
    attempt(async () => {
      const { url } = await ask<{ url: string }>("consent", { uid, isAllowed });
      window.location.assign(url);
    });
  if (asked === undefined) return null;
  if (asked === "nothing") return <p className="fine">{tools.consentNothing}</p>;
  return (
    <section className="section" data-testid="consent">
      <h2>{tools.consentAsk(asked.name)}</h2>
      <p>{asked.isLocal ? tools.consentLocal : tools.consentHost(asked.host)}</p>
      <p className="fine">{tools.consentWhy}</p>
      <div className="bare-choice">
        <button type="button" className="button small" data-testid="consent-allow" onClick={() => answer(true)}>
          {tools.consentAllow}
        </button>
        <button type="button" className="button small danger" data-testid="consent-refuse" onClick={() => answer(false)}>
          {tools.consentRefuse}
        </button>
      </div>
    </section>
  );
}
