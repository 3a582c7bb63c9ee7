import { useState } from "react";
import type { ServerFacts } from "../../../convex/model/serverView.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";

const ask = <T,>(verb: string, body: object): Promise<T> => askAppliance<T>("POST", `/nika/mcp/${verb}`, { body });

/** Signing in to a server elsewhere, and out again. */
export function SignIn({ server: { name, signIn } }: { server: ServerFacts }) {
  const { tools } = useSpeech().words;
  const attempt = useAttempt();
  const [url, setUrl] = useState<string>();
  const begin = async (): Promise<void> => {
    const begun = await ask<{ url: string }>("login", { name, origin: window.location.origin });
    setUrl(begun.url);
  };
  if (signIn === undefined) return null;
  return (
    <div className="bare-choice" data-testid="sign-in" data-state={signIn}>
      <p className="fine">{signIn === "done" ? tools.signedIn : tools.signInWhy}</p>
      {url === undefined ? (
        <button
          type="button"
          className="button small"
          data-testid="sign-in-begin"
          onClick={() => attempt(signIn === "done" ? () => ask("logout", { name }) : begin)}
        >
          {signIn === "done" ? tools.signOut : tools.signIn}
        </button>
      ) : (
        signIn === "wanted" && (
          <a className="button small" href={url} target="_blank" rel="noreferrer" data-testid="sign-in-go">
            {tools.signInGo(new URL(url).host)}
          </a>
        )
      )}
    </div>
  );
}
