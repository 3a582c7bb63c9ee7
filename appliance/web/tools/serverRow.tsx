import { memo, useId, useState } from "react";
import { seenOf, type ServerFacts, type ToolView } from "../../../convex/model/serverView.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";
import { ServerActions } from "./serverActions.tsx";
import { SignIn } from "./signIn.tsx";
import { Upgrade } from "./upgrade.tsx";

const ask = (verb: string, body: object): Promise<unknown> => askAppliance("POST", `/nika/mcp/${verb}`, { body });
const waits = ({ standing }: ToolView): boolean => standing !== "approved";

/** One server: how it stands and what waits for the owner; its tools behind it. */
export const ServerRow = memo(function ServerRow({ server }: { server: ServerFacts }) {
  const { words } = useSpeech();
  const { tools } = words;
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const { name, state, transport, isBare, problem } = server;
  const waiting = server.tools.filter(waits).length;
  const usable = server.tools.filter((tool) => !waits(tool) && tool.kind === "tool").length;
  const facts = [
    server.signIn === "wanted" ? tools.wantsSignIn : tools.states[state],
    tools.usable(usable),
    waiting > 0 ? tools.waiting(waiting) : "",
  ];
  return (
    <li className="row" data-testid="server-row" data-name={name} data-state={state}>
      <button type="button" className="row-head" aria-expanded={isOpen} aria-controls={panel} onClick={() => setOpen(!isOpen)}>
        <span className="row-name">
          <span className="document-name">
            {name}
            {isBare && transport === "stdio" && (
              <span className="bare-mark" data-testid="server-bare">
                <Icon name="alert" />
                {tools.bare}
              </span>
            )}
          </span>
          <span className="row-facts">{facts.filter((fact) => fact !== "").join(" · ")}</span>
          {problem !== undefined && <span className="row-facts owned-problem">{problem}</span>}
        </span>
        <Icon name="chevron" />
      </button>
      {isOpen && (
        <div className="row-panel" id={panel}>
          <Panel server={server} waiting={waiting} />
        </div>
      )}
    </li>
  );
});

function Panel({ server, waiting }: { server: ServerFacts; waiting: number }) {
  const { words, when } = useSpeech();
  const { tools } = words;
  const attempt = useAttempt();
  const { name, transport, target, origin, era, listedAt, isBare, state } = server;
  const facts: [string, string][] = [
    [tools.target, target],
    [tools.origin, origin],
    ...(era === undefined || listedAt === undefined
      ? []
      : ([[tools.seen, `${when(listedAt)} · ${tools.eras[era]}`]] as [string, string][])),
  ];
  return (
    <>
      <dl className="facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {transport === "stdio" && (isBare || state === "failed") && (
        <div className="bare-choice">
          <p className="fine">{isBare ? tools.bareAllowed : tools.bareWhy}</p>
          <button
            type="button"
            className="button small danger"
            data-testid="server-allow"
            onClick={() => attempt(() => ask("allow", { name, isAllowed: !isBare, seen: server.targetSha256 }))}
          >
            {isBare ? tools.forbidBare : tools.allowBare}
          </button>
        </div>
      )}
      <SignIn server={server} />
      <Upgrade server={server} />
      {waiting > 0 && (
        <div className="bare-choice">
          <p className="fine">{tools.approveWhy}</p>
          <button
            type="button"
            className="button small"
            data-testid="server-approve"
            onClick={() => attempt(() => ask("approve", { name, seen: seenOf(server) }))}
          >
            {tools.approveAll(waiting)}
          </button>
        </div>
      )}
      <ServerActions server={server} />
      <ul className="tool-list">
        {server.tools.map((tool) => (
          <Tool key={`${tool.kind} ${tool.name}`} server={name} tool={tool} />
        ))}
      </ul>
    </>
  );
}

function Tool({ server, tool }: { server: string; tool: ToolView }) {
  const { tools } = useSpeech().words;
  const attempt = useAttempt();
  const { kind, name, publicName, description, standing, approval, diff, warnings, hidden, sha256 } = tool;
  const facts = [
    kind === "prompt" ? tools.prompt : tools.classes[tool.class],
    approval === "never" ? "" : tools.approvals[approval],
    standing === "approved" ? "" : tools.standings[standing],
  ];
  return (
    <li className="tool" data-testid="tool" data-name={name} data-standing={standing}>
      <span className="function-name">{publicName}</span>
      <span className="row-facts">{facts.filter((fact) => fact !== "").join(" · ")}</span>
      <span className="tool-text">{description}</span>
      {hidden !== undefined && <span className="row-facts">{hidden}</span>}
      {diff.length > 0 && (
        <pre className="tool-diff" data-testid="tool-diff">
          {diff.join("\n")}
        </pre>
      )}
      {warnings.map((warning) => (
        <span key={warning} className="row-facts owned-problem" data-testid="tool-warning">
          {tools.careful}: {warning}
        </span>
      ))}
      {standing !== "approved" && (
        <button
          type="button"
          className="button small"
          onClick={() =>
            attempt(() =>
              ask("approve", {
                name: server,
                seen: sha256 === undefined ? {} : { [`${kind} ${name}`]: sha256 },
              }),
            )
          }
        >
          {tools.approve}
        </button>
      )}
    </li>
  );
}
