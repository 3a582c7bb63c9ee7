import type { ServerFacts } from "../../../convex/model/serverView.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";

/** A new form of a server that answers otherwise, and waits; and what the server says of itself to models. */
export function Upgrade({ server: { name, upgrade, instructions } }: { server: ServerFacts }) {
  const { tools } = useSpeech().words;
  const attempt = useAttempt();
  const decide = (isAccepted: boolean) => () =>
    attempt(() => askAppliance("POST", "/nika/mcp/upgrade", { body: { name, isAccepted, seen: upgrade?.sha256 } }));
  return (
    <>
      {upgrade?.isTrying === true && (
        <p className="fine" data-testid="server-upgrade-trying">
          {tools.upgradeTrying}
        </p>
      )}
      {upgrade && upgrade.isTrying !== true && (
        <div className="bare-choice" data-testid="server-upgrade">
          <p className="fine">{tools.upgradeWhy(upgrade.calls)}</p>
          <pre className="tool-diff">{upgrade.lines.join("\n")}</pre>
          <button type="button" className="button small" data-testid="server-upgrade-accept" onClick={decide(true)}>
            {tools.upgradeAccept}
          </button>
          <button type="button" className="button small" data-testid="server-upgrade-refuse" onClick={decide(false)}>
            {tools.upgradeRefuse}
          </button>
        </div>
      )}
      {instructions && instructions.text !== "" && (
        <details className="tool">
          <summary className="row-facts">{tools.saysOfItself}</summary>
          <p className="tool-text">{instructions.text}</p>
          {instructions.warnings.map((warning) => (
            <span key={warning} className="row-facts owned-problem">
              {tools.careful}: {warning}
            </span>
          ))}
        </details>
      )}
    </>
  );
}
